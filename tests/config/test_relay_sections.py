"""The sections for relays: what has to be there, and what cannot work."""

import pytest

from pycast.config.load import loads
from pycast.config.relay_sections import RelaySection
from pycast.errors import ConfigError

LOCAL = '[[listen]]\nbind_address = "127.0.0.1"\n'


def test_mount_here_is_that_there_unless_another_one_is_named() -> None:
    assert RelaySection(mount="/a.mp3").local_name == "/a.mp3"
    assert RelaySection(mount="/a.mp3?token=1").local_name == "/a.mp3"
    assert RelaySection(mount="/a.mp3", local_mount="/b.mp3").local_name == "/b.mp3"


def test_relays_name_their_mounts() -> None:
    config = loads('[[relay]]\nserver = "x"\nmount = "/a"\nlocal_mount = "/b"\n', {}, "x.toml")
    assert config.names_mount("/b") and not config.names_mount("/a")
    assert config.has_relays and not loads("", {}, "x.toml").has_relays


@pytest.mark.parametrize(
    ("toml", "wrong"),
    [
        ("[[relay]]\nmount = '/a'", "relay[0].server"),
        ("[[relay]]\nserver = 'x'\nmount = '/a'\n[[relay]]\nserver = 'y'\nmount = '/a'", "relay[1].local_mount"),
        (LOCAL + "[[relay]]\nserver = 'localhost'\nmount = '/a'", "relay[0].server"),
        ("[[relay]]\nserver = 'x'\nmount = 'a'", "relay[0].mount"),
        ("[[relay]]\nupstreams = ['ftp://x/']", "relay[0].upstreams"),
        ("[[relay]]\nupstreams = ['http://u:geheim@x:99999/']", "relay[0].upstreams"),
        ("[[relay]]\nserver = 'x'\nbind = 'eth0'", "relay[0].bind"),
        ("[master]\nserver = 'x'", "master.password"),
        ("[[redirect]]\nport = 1", "redirect[0].host"),
        (LOCAL + "[[redirect]]\nhost = 'localhost'", "redirect[0].host"),
        ("[[mount]]\nmount_name = '/a'\nredirect_to = 'cdn.example'", "mount[0].redirect_to"),
        ("[[mount]]\nmount_name = '/a'\nredirect_to = 'https://c/a b'", "mount[0].redirect_to"),
        ("[[mount]]\nmount_name = '/a'\nredirect_to = \"https://c/a\\u007f\"", "mount[0].redirect_to"),
        (LOCAL + "[master]\nserver = '127.0.0.1'\npassword = 'x'", "master.server"),
    ],
)
def test_what_cannot_work_is_an_error(toml: str, wrong: str) -> None:
    with pytest.raises(ConfigError) as error:
        loads(toml, {}, "x.toml")
    [problem] = error.value.problems
    assert f" {wrong}" in problem and "geheim" not in problem


def test_mount_of_this_server_may_have_a_relay_under_another_name() -> None:
    loads(LOCAL + "[[relay]]\nserver = 'localhost'\nmount = '/a'\nlocal_mount = '/b'", {}, "x.toml")


def test_server_at_another_address_of_this_machine_is_another_one() -> None:
    listen = '[[listen]]\nbind_address = "10.0.0.1"\n'
    loads(listen + "[[relay]]\nserver = 'localhost'\nmount = '/a'", {}, "x.toml")
    loads(listen + "[master]\nserver = '127.0.0.1'\npassword = 'x'", {}, "x.toml")
    with pytest.raises(ConfigError):
        loads(listen + "[[relay]]\nserver = '10.0.0.1'\nmount = '/a'", {}, "x.toml")
