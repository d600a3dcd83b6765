"""Tests of pycast.config.icecast_sockets: ports come over in all forms, and none that Icecast keeps closed opens."""

import pytest

from tests.config.imports import closed, imported, left_out, result_of

CERTIFICATE = "<paths><ssl-certificate>/c.pem</ssl-certificate></paths>"


@pytest.mark.parametrize(
    "xml",
    [
        "<listen-socket><port>9000</port><bind-address>127.0.0.2</bind-address></listen-socket>",
        '<listen-socket port="9000" bind-address="127.0.0.2"/>',
        '<listen-socket type="normal" port="9000"><bind-address>127.0.0.2</bind-address></listen-socket>',
        "<port>9000</port><bind-address>127.0.0.2</bind-address>",
    ],
)
def test_socket_comes_over_in_each_form(xml: str) -> None:
    [listen] = imported(xml).listen
    assert (listen.port, listen.bind_address) == (9000, "127.0.0.2")


@pytest.mark.parametrize("old", ["<port>8000</port>", "<port>9000</port>", "<bind-address>127.0.0.2</bind-address>"])
def test_port_of_the_server_opens_none_beside_a_socket(old: str) -> None:
    xml = f"{old}<listen-socket><port>8000</port></listen-socket>"
    assert [(listen.port, listen.bind_address) for listen in result_of(xml).listen] == [(8000, "0.0.0.0")]
    [said] = left_out(xml)
    assert said.endswith("Icecast uses it only in a file without a listen-socket")


def test_star_stands_for_all_addresses() -> None:
    xml = "<listen-socket><port>8000</port><bind-address>*</bind-address></listen-socket>"
    assert [listen.bind_address for listen in imported(xml).listen] == ["0.0.0.0"]


@pytest.mark.parametrize("mode", ["1", "true", "rfc2818", "rfc2817", "auto_no_plain"])
def test_port_that_takes_no_plain_connections_takes_none(mode: str) -> None:
    xml = f"<listen-socket><port>8443</port><tls>{mode}</tls></listen-socket>{CERTIFICATE}"
    assert imported(xml).listen[0].is_tls_only
    assert (imported(xml).listen[0].tls == "auto_no_plain") == (mode in ("auto_no_plain", "rfc2817"))


def test_port_with_a_mode_that_is_not_known_takes_no_plain_connections() -> None:
    xml = f"<listen-socket><port>8443</port><tls>a_new_mode</tls></listen-socket>{CERTIFICATE}"
    assert result_of(xml).listen[0].tls
    assert len(closed(xml)) == 1


def modes(xml: str) -> list[bool | str]:
    return [listen.tls for listen in imported(xml).listen]


def test_port_for_both_takes_both_if_there_is_a_certificate() -> None:
    xml = "<listen-socket><port>8000</port><tls>auto</tls></listen-socket>"
    assert modes(xml + CERTIFICATE) == ["auto"]
    assert modes(xml) == [False]


@pytest.mark.parametrize("sockets", ["", "<port>8000</port>", '<listen-socket port="8000"/>'])
def test_certificate_without_a_port_for_it_is_for_all_ports(sockets: str) -> None:
    assert modes(sockets + CERTIFICATE) == ["auto"]


def test_port_that_is_said_to_be_plain_stays_so() -> None:
    plain = "<listen-socket><port>8000</port><ssl>0</ssl></listen-socket>"
    other = "<listen-socket><port>8001</port></listen-socket>"
    assert modes(plain + other + CERTIFICATE) == [False, "auto"]


def test_with_a_port_for_tls_the_others_are_plain_as_in_icecast() -> None:
    tls = "<listen-socket><port>8443</port><ssl>1</ssl></listen-socket>"
    assert modes(f"<listen-socket><port>8000</port></listen-socket>{tls}{CERTIFICATE}") == [False, True]


@pytest.mark.parametrize(
    "inside",
    [
        "<port>8000</port><bind-address>${NOWHERE}</bind-address>",
        "<port>${NOWHERE}</port>",
        '<port>8000</port><authentication><role type="htpasswd"/></authentication>',
    ],
)
def test_port_that_cannot_be_protected_is_open_for_this_machine_only(inside: str) -> None:
    xml = f"<listen-socket>{inside}</listen-socket>"
    assert [listen.bind_address for listen in result_of(xml).listen] == ["127.0.0.1"]
    assert closed(xml)


def test_virtual_socket_is_no_port() -> None:
    xml = (
        '<listen-socket><port>8000</port></listen-socket><listen-socket type="virtual"><port>80</port></listen-socket>'
    )
    assert [listen.port for listen in result_of(xml).listen] == [8000]
    assert left_out(xml) == [
        "line 1: listen-socket 80 (type = virtual, port = 80): a virtual socket listens nowhere",
    ]


def test_shoutcast_port_becomes_a_key_of_the_port_below() -> None:
    xml = """<shoutcast-mount>/sc</shoutcast-mount><listen-socket><port>8000</port></listen-socket>
      <listen-socket><port>8001</port><shoutcast-compat>1</shoutcast-compat></listen-socket>"""
    [listen] = imported(xml).listen
    assert (listen.port, listen.shoutcast_mount) == (8000, "/sc")


def test_shoutcast_port_without_a_port_below_is_named() -> None:
    [said] = left_out("<listen-socket><port>8001</port><shoutcast-compat>1</shoutcast-compat></listen-socket>")
    assert "set shoutcast_mount in the [[listen]] section of the port below" in said


def socket(port: int, address: str = "", inside: str = "") -> str:
    bind = f"<bind-address>{address}</bind-address>" * bool(address)
    return f"<listen-socket><port>{port}</port>{bind}{inside}</listen-socket>"


@pytest.mark.parametrize(
    ("xml", "wanted"),
    [
        (socket(8000) + socket(8000), [(8000, "0.0.0.0")]),
        (socket(8000) + socket(8000, "127.0.0.2"), [(8000, "127.0.0.2")]),
        (socket(8000, "127.0.0.2") + socket(8000), [(8000, "0.0.0.0")]),
        (socket(8000, "::1") + socket(8000, "::1") + socket(8001), [(8000, "::1"), (8001, "0.0.0.0")]),
    ],
)
def test_port_that_is_named_twice_is_that_of_the_last_socket_as_in_icecast(
    xml: str, wanted: list[tuple[int, str]]
) -> None:
    assert [(listen.port, listen.bind_address) for listen in result_of(xml).listen] == wanted
    [said] = left_out(xml)
    assert said.endswith("another listen-socket has port 8000; Icecast uses the last one")


@pytest.mark.parametrize(
    "xml",
    [
        socket(8000) + socket(8001),
        socket(8000, "127.0.0.2") + socket(8000, "127.0.0.3"),
        socket(8000, "0.0.0.0") + socket(8000, "::"),
        socket(0) + socket(0),
    ],
)
def test_sockets_that_can_all_be_opened_are_all_there(xml: str) -> None:
    assert len(imported(xml).listen) == 2 and not left_out(xml)


def test_port_for_shoutcast_sources_that_another_socket_has_is_left_out() -> None:
    xml = socket(8000, inside="<shoutcast-mount>/sc</shoutcast-mount>") + socket(8001)
    assert [(one.port, one.shoutcast_mount) for one in result_of(xml).listen] == [(8000, ""), (8001, "")]
    [said] = left_out(xml)
    assert "shoutcast-mount" in said and "has port 8001" in said
    other_way = socket(8001) + socket(8000, inside="<shoutcast-mount>/sc</shoutcast-mount>")
    assert [(one.port, one.shoutcast_mount) for one in result_of(other_way).listen] == [(8000, "/sc")]


@pytest.mark.parametrize("is_first", [True, False])
def test_port_that_is_named_twice_is_no_more_open_than_the_closed_one_of_them(is_first: bool) -> None:
    guarded = socket(8000, inside='<authentication><role type="htpasswd"/></authentication>')
    xml = guarded + socket(8000) if is_first else socket(8000) + guarded
    assert [(listen.port, listen.bind_address) for listen in result_of(xml).listen] == [(8000, "127.0.0.1")]


@pytest.mark.parametrize("sockets", ["", "<listen-socket port='8000'/><listen-socket port='8010'/>"])
def test_proxies_that_may_name_their_clients_are_trusted_on_all_ports(sockets: str) -> None:
    paths = "<paths><x-forwarded-for>127.0.0.1</x-forwarded-for><x-forwarded-for>10.0.*</x-forwarded-for></paths>"
    for listen in imported(sockets + paths).listen:
        assert [str(network) for network in listen.trusted_proxies] == ["127.0.0.1/32", "10.0.0.0/16"]


def test_proxies_that_could_be_anybody_are_not_trusted() -> None:
    xml = "<paths><x-forwarded-for>*</x-forwarded-for></paths>"
    assert result_of(xml).listen[0].trusted_proxies == ()
    assert left_out(xml) == [
        'line 1: paths/x-forwarded-for = *: expected addresses such as "10.0.0.7", "10.0.*" or "10.0.0.0/8"'
    ]
