"""Tests of pycast.config.rules: advice for what works and is probably not meant. (Conflicts: test_load.py.)"""

import pytest

from pycast.config.load import loads
from pycast.config.rules import advice
from pycast.errors import ConfigError

GOOD = """
[server]
hostname = "radio.example.org"
[authentication]
source_password = "a"
relay_password = "b"
admin_password = "c"
"""


def test_finished_configuration_needs_no_advice() -> None:
    assert advice(loads(GOOD, {}, "f")) == []


def test_a_local_name_is_pointed_out() -> None:
    said = advice(loads("", {}, "f"))
    assert [line.split(" ")[0] for line in said] == ["server.hostname"]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_local_name_is_right_where_only_this_machine_can_listen(address: str) -> None:
    assert advice(loads(f'[[listen]]\nbind_address = "{address}"\n', {}, "f")) == []


@pytest.mark.parametrize(
    "name", ["http://radio.example.org", "radio.example.org:8000", "radio.example.org/live", "radio example"]
)
def test_what_is_more_than_a_name_or_an_address_is_pointed_out(name: str) -> None:
    text = GOOD.replace("radio.example.org", name)
    [line] = advice(loads(text, {}, "f"))
    assert line.startswith(f'server.hostname is "{name}": expected a name or an address alone')
    assert advice(loads(text.replace("hostname", 'public_url = "https://a.example"\nhostname'), {}, "f")) == []


@pytest.mark.parametrize(
    "name", ["http://radio.example", "radio.example:8000", "radio.example/live.mp3", "u@radio.example"]
)
def test_the_name_of_another_server_is_a_name_alone(name: str) -> None:
    text = '[[relay]]\nserver = "{0}"\nlocal_mount = "/a"\n[[redirect]]\nhost = "{0}"\n'
    text += '[master]\nserver = "{0}"\npassword = "of twelve letters"\n'
    said = [line.split(" ")[0] for line in advice(loads(GOOD + text.format(name), {}, "f"))]
    assert said == ["relay[0].server", "redirect[0].host", "master.server"]
    for right in ("radio.example", "192.0.2.7", "2001:db8::1", "[2001:db8::1]", "müsik.example"):
        assert advice(loads(GOOD + text.format(right), {}, "f")) == []


@pytest.mark.parametrize("name", ["192.0.2.7", "2001:db8::7", "[2001:db8::7]", "rädio.example"])
def test_an_address_is_a_name_for_listeners(name: str) -> None:
    assert advice(loads(GOOD.replace("radio.example.org", name), {}, "f")) == []


@pytest.mark.parametrize("root", ["/", "//", "/.", "/../", "/x/.."])
@pytest.mark.parametrize("key", ["webroot", "adminroot"])
def test_a_whole_file_system_is_not_served(key: str, root: str) -> None:
    with pytest.raises(ConfigError, match=f"paths.{key}.*: expected a folder of its own"):
        loads(f'[paths]\n{key} = "{root}"\n', {}, "f")


def test_local_name_is_right_for_a_server_that_only_listens_locally() -> None:
    text = GOOD.replace("radio.example.org", "localhost") + '[[listen]]\nbind_address = "127.0.0.1"\n'
    assert advice(loads(text, {}, "f")) == []


def test_burst_larger_than_the_queue_is_pointed_out() -> None:
    [line] = advice(loads(GOOD + '[limits]\nqueue_size = "32k"\n', {}, "f"))
    assert "queue_size (32768) is smaller than burst_size (65536)" in line


def test_workers_that_other_machines_cannot_reach_are_pointed_out() -> None:
    text = GOOD.replace("hostname =", "workers = 2\nhostname =") + '[cluster]\nsecret = "s"\n'
    [line] = advice(loads(text + 'peers = ["10.0.0.2:8000"]\n', {}, "f"))
    assert "link_port is 0" in line
    assert advice(loads(text + 'peers = ["127.0.0.2:8000"]\n', {}, "f")) == []
    assert advice(loads(text + 'peers = ["10.0.0.2:8000"]\nlink_port = 9000\n', {}, "f")) == []


def test_a_server_that_takes_no_sources_or_no_listeners_is_pointed_out() -> None:
    text = GOOD + '[[listen]]\nserves = ["admin", "listeners"]\n[[listen]]\nport = 8003\nserves = ["health"]\n'
    [line] = advice(loads(text, {}, "f"))
    assert "takes no sources" in line
    assert len(advice(loads(text.replace('"listeners"', '"metrics"'), {}, "f"))) == 2
    assert advice(loads(text.replace('"health"', '"sources"'), {}, "f")) == []


def test_a_port_for_shoutcast_sources_has_to_serve_them() -> None:
    text = GOOD + '[[listen]]\nshoutcast_mount = "/x"\nserves = ["listeners"]\n'
    with pytest.raises(ConfigError, match=r"listen\[0\].serves: expected \"sources\" too"):
        loads(text, {}, "f")


def test_listeners_with_less_patience_than_sources_are_pointed_out() -> None:
    [line] = advice(loads(GOOD + "[limits]\nlistener_patience = 9\n", {}, "f"))
    assert line.startswith("limits: listener_patience is shorter")
    [line] = advice(loads(GOOD + '[[mount]]\nmount_name = "/x"\nlistener_patience = 9\n', {}, "f"))
    assert line.startswith("mount /x: listener_patience is shorter")
    assert advice(loads(GOOD + "[limits]\nlistener_patience = 10\n", {}, "f")) == []


@pytest.mark.parametrize(
    "url",
    ["ftp://yp.example/", "http://user@yp.example/", "http://yp.example:0/", "http://yp.example:99999/", "yp", " "],
)
def test_a_directory_has_an_address_of_the_web(url: str) -> None:
    with pytest.raises(ConfigError, match="expected an address such as"):
        loads(f'[[directory]]\nyp_url = "{url}"\n', {}, "f.toml")
    with pytest.raises(ConfigError, match=r"directory\[0\].yp_url.*expected its address"):
        loads("[[directory]]\n", {}, "f.toml")


def test_a_directory_that_would_list_nothing_is_advised_about() -> None:
    toml = '[[directory]]\nyp_url = "http://yp.example/"\n'
    assert any("it lists no stream" in line for line in advice(loads(toml, {}, "f.toml")))
    toml += '[server]\nhostname = "radio.example"\n'
    assert not any("it lists no stream" in line for line in advice(loads(toml, {}, "f.toml")))
