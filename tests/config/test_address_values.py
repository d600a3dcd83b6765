"""Tests of pycast.config.address_values: what a port is bound to, networks, nodes, and addresses for listeners."""

from ipaddress import ip_network

import pytest

from pycast.config.load import loads
from pycast.config.rules import advice
from pycast.config.schema import ListenSection
from pycast.errors import ConfigError


@pytest.mark.parametrize(("written", "address"), [("[::1]", "::1"), ("[::]", "::"), ("::1", "::1"), ("[x]", "[x]")])
def test_an_address_may_have_the_brackets_that_it_has_in_a_url(written: str, address: str) -> None:
    config = loads(f'[[listen]]\nbind_address = "{written}"\n', {}, "test")
    assert [listen.bind_address for listen in config.listen] == [address]


@pytest.mark.parametrize("written", ["0.0.0.0", "fe80::1%eth0", "::ffff:10.0.0.1", "localhost", "127.1"])
def test_a_port_may_be_bound_to_an_address_or_a_name(written: str) -> None:
    config = loads(f'[[listen]]\nbind_address = "{written}"\n', {}, "test")
    assert [listen.bind_address for listen in config.listen] == [written]


@pytest.mark.parametrize("written", ["256.1.1.1", "127.0.0.1:8000", "10.0.0.01", "[::1]:8000", "::g", "localhost:80"])
def test_what_is_no_address_is_told_before_a_port_is_bound(written: str) -> None:
    with pytest.raises(ConfigError, match=r'listen\[0\]\.bind_address.*: expected an address such as "0.0.0.0"'):
        loads(f'[[listen]]\nbind_address = "{written}"\n', {}, "test")


def trusted(written: object) -> tuple[str, ...]:
    return tuple(str(network) for network in ListenSection.KEYS["trusted_proxies"].read(written))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ([], ()),
        ("", ()),
        (["10.0.0.0/8", "2001:db8::/32"], ("10.0.0.0/8", "2001:db8::/32")),
        (["192.0.2.7", "::1"], ("192.0.2.7/32", "::1/128")),
        ("10.0.0.0/8, 192.0.2.7", ("10.0.0.0/8", "192.0.2.7/32")),  # a variable of the environment
        ((ip_network("10.0.0.0/8"),), ("10.0.0.0/8",)),
    ],
)
def test_networks_are_a_list_or_one_text(written: object, meant: tuple[str, ...]) -> None:
    assert trusted(written) == meant


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"10.0.0.0/8 or so"', "not '10.0.0.0/8 or so'"),
        ('["10.0.0.0/8", "localhost"]', "not 'localhost'"),
        ('["10.0.0.0/33"]', "not '10.0.0.0/33'"),
        ('["10.0.0.1/8"]', 'expected an IP network without host bits: "10.0.0.0/8" instead of "10.0.0.1/8"'),
        ("[7]", "expected"),
        ("7", "expected a list of networks"),
        ("{}", "expected a list of networks"),
    ],
)
def test_what_is_no_list_of_networks_is_named(written: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(f"[[listen]]\ntrusted_proxies = {written}\n", {}, "p.toml")
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("p.toml:2: listen[0].trusted_proxies")
    assert expected in caught.value.problems[0]


def test_variable_of_the_environment_sets_networks() -> None:
    config = loads("", {"PYCAST_LISTEN__0__TRUSTED_PROXIES": "10.0.0.0/8,::1"}, "p.toml")
    assert config.listen[0].trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


ADDRESSES = ["10.0.0.1:8000", "radio-1:1", "node.example:65535", "[2001:db8::1]:8000"]
NO_ADDRESSES = [
    "10.0.0.1",
    "radio-1:",
    ":8000",
    "radio-1:0",
    "radio-1:65536",
    "radio-1:99999",
    "::1:8000",
    "a b:1",
    "x:1e3",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_address_of_a_node_is_a_host_and_a_port(address: str) -> None:
    text = f'[cluster]\nsecret = "s"\nadvertise = "{address}"\npeers = ["{address}"]\ndns = "{address}"\n'
    cluster = loads(text, {}, "p.toml").cluster
    assert (cluster.advertise, cluster.peers, cluster.dns) == (address, (address,), address)


@pytest.mark.parametrize("address", NO_ADDRESSES)
@pytest.mark.parametrize("key", ["advertise", "peers"])
def test_an_address_without_a_possible_port_is_an_error_of_the_configuration(key: str, address: str) -> None:
    value = f'"{address}"' if key == "advertise" else f'["{address}"]'
    with pytest.raises(ConfigError, match=rf"cluster\.{key}.* port"):
        loads(f'[cluster]\nsecret = "s"\n{key} = {value}\n', {}, "p.toml")


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("dns", '"nodes.radio.internal"', '"nodes.radio.internal:99999"'),
        ("etcd", '["https://10.0.0.9:2379/", "http://etcd"]', '["http://10.0.0.9:99999"]'),
        ("etcd", '["http://[2001:db8::9]:2379"]', '["http://10.0.0.9:0"]'),
    ],
)
def test_a_port_that_cannot_be_is_an_error_in_names_and_urls_too(key: str, good: str, bad: str) -> None:
    loads(f'[cluster]\nsecret = "s"\n{key} = {good}\n', {}, "p.toml")
    with pytest.raises(ConfigError, match=rf"cluster\.{key}"):
        loads(f'[cluster]\nsecret = "s"\n{key} = {bad}\n', {}, "p.toml")


def test_trusting_everybody_is_advised_against() -> None:
    config = loads('[[listen]]\ntrusted_proxies = ["0.0.0.0/0"]', {}, "p.toml")
    assert any("trusted_proxies" in line and "0.0.0.0/0" in line for line in advice(config))


GOOD_ADDRESSES = {
    "": "",
    "https://radio.example": "https://radio.example",
    "http://radio.example:8000/": "http://radio.example:8000",
    "https://[2001:db8::1]:8443/below/": "https://[2001:db8::1]:8443/below",
    "https://cdn.example/live%20x.mp3": "https://cdn.example/live%20x.mp3",
}
BAD_ADDRESSES = [
    *(
        "radio.example",
        "ftp://radio.example",
        "https://",
        "https:///x",
        "https://a b",
        "https://a/b c",
        "//radio.example",
    ),
    *("https://user@radio.example", "https://user:pw@radio.example", "https://a/?x=1", "https://a/#x", "https://a:0"),
    *("https://a:65536", "https://a:x", "javascript:alert(1)", 'https://a/"', "https://a/<b>", "https://a\\b"),
]


@pytest.mark.parametrize("key", ["server.public_url", "mount.listenurl"])
def test_an_address_for_listeners_has_a_scheme_and_a_host_and_nothing_secret(key: str) -> None:
    section, name = key.split(".")
    head = "[server]\n" if section == "server" else '[[mount]]\nmount_name = "/x"\n'
    for given, kept in GOOD_ADDRESSES.items():
        config = loads(f"{head}{name} = '{given}'\n", {}, "test")
        assert (config.server.public_url if section == "server" else config.for_mount("/x").listenurl) == kept
    for given in BAD_ADDRESSES:
        with pytest.raises(ConfigError, match=f"{name}.*expected an address for listeners"):
            loads(f"{head}{name} = '{given}'\n", {}, "test")


def test_with_a_public_address_the_host_name_does_not_matter() -> None:
    assert any("hostname" in line for line in advice(loads("", {}, "test")))
    config = loads('[server]\npublic_url = "https://radio.example"\n', {}, "test")
    assert not any("hostname" in line for line in advice(config))
