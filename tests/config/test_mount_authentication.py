"""Tests of pycast.config.mount_authentication: the keys, what they need of each other, and whose they are."""

from pathlib import Path

import pytest

from pycast.config.load import loads
from pycast.config.mount_authentication import MountAuthentication
from pycast.config.rules import advice
from pycast.config.schema import Config
from pycast.config.secret_files import secrets_by_file, secrets_in
from pycast.errors import ConfigError

KEY = "0123456789abcdef"


def config(inside: str, more: str = "", **environ: str) -> Config:
    return loads(f'[[mount]]\nmount_name = "/a"\n[mount.authentication]\n{inside}\n{more}', environ, "f.toml")


def problem(inside: str, more: str = "", **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config(inside, more, **environ)
    [said] = caught.value.problems
    return said


def test_mount_has_no_authentication_by_itself() -> None:
    given = Config().for_mount("/a").authentication
    assert (given, given.type, given.asks_listeners, given.follows_listeners) == (
        *(MountAuthentication(), "none", False, False),
    )


@pytest.mark.parametrize(
    ("inside", "asks", "follows"),
    [
        ('type = "htpasswd"\nfilename = "x"', True, True),
        (f'type = "signed"\nkeys = ["{KEY}"]', True, True),
        ('type = "url"\nlistener_add = "http://x/"', True, True),
        ('type = "url"\nlistener_remove = "http://x/"', False, True),
        ('type = "url"\nstream_auth = "http://x/"', False, False),
        ('type = "url"\nmount_add = "http://x/"', False, False),
        ('type = "none"', False, False),
    ],
)
def test_who_is_asked_and_who_is_only_told(inside: str, asks: bool, follows: bool) -> None:
    given = config(inside).for_mount("/a").authentication
    assert (given.asks_listeners, given.follows_listeners) == (asks, follows)
    assert not config(inside).for_mount("/b").authentication.follows_listeners


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ('type = "htpasswd"', "f.toml:3: mount[0].authentication.filename: expected the file with the users"),
        ('type = "signed"', "f.toml:3: mount[0].authentication.keys: expected a list of keys"),
        ('type = "url"', "f.toml:3: mount[0].authentication.listener_add: expected one of listener_add"),
        ('filename = "x"', "f.toml:3: mount[0].authentication.type: expected type = "),
        ('type = "htpaswd"', 'did you mean "htpasswd"?'),
        ('type = "url"\nlistener_add = "ftp://x/"', "f.toml:5: mount[0].authentication.listener_add = "),
        ('type = "url"\nlistener_add = "http://x:99999/"', "expected a URL"),
        ('type = "url"\nlistener_add = "http://x/"\nauth_header = "yes"', "expected a header and its value"),
        ('type = "url"\nlistener_add = "http://x/"\nheaders = ["a b"]', "expected names of headers"),
        ('type = "url"\nlistener_add = "http://x/"\ntimeout = 0', "expected more than 0"),
        ('type = "signed"\nkeys = ["short"]', "mount[0].authentication.keys: expected a list of texts of 16"),
        ('type = "url"\nlistner_add = "http://x/"', "unknown key; did you mean listener_add?"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(inside: str, said: str) -> None:
    assert said in problem(inside)
    assert "short" not in problem(inside)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/a?b=c&d", "https://user:p%40ss@auth.example/x", "http://[::1]:80/", "http://x"]
)
def test_urls_may_have_a_login_a_path_and_a_query(url: str) -> None:
    assert config(f'type = "url"\nlistener_add = "{url}"').for_mount("/a").authentication.listener_add == url


def test_default_section_holds_for_all_and_none_takes_it_back() -> None:
    default = '[[mount]]\ntype = "default"\n[mount.authentication]\ntype = "htpasswd"\nfilename = "x"\n'
    found = config('type = "none"', default)
    assert [found.for_mount(name).authentication.type for name in ("/a", "/b")] == ["none", "htpasswd"]


def test_keys_and_passwords_come_from_files_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}, {KEY}2\n")
    found = config(f'type = "signed"\nkeys_file = "{tmp_path}/keys"')
    assert found.for_mount("/a").authentication.keys == (KEY, f"{KEY}2")
    assert secrets_by_file(found) == {f"{tmp_path}/keys": f"{KEY},{KEY}2"}
    again = config(f'type = "signed"\nkeys_file = "{tmp_path}/keys"')
    assert again.mount[0].authentication == found.mount[0].authentication
    found = config('type = "signed"', PYCAST_MOUNT__0__AUTHENTICATION__KEYS=f"{KEY}, {KEY}3")
    assert found.for_mount("/a").authentication.keys == (KEY, f"{KEY}3")
    held = [value for path, value in secrets_in(found) if path[-1] == "keys"]
    assert held == [KEY, f"{KEY}3"]


def test_unknown_variable_is_an_error() -> None:
    assert "did you mean keys" in problem('type = "none"', PYCAST_MOUNT__0__AUTHENTICATION__KEY="x" * 20)


def test_listeners_who_were_let_in_may_hear_what_asks_for_the_same() -> None:
    one = 'type = "htpasswd"\nfilename = "x"'
    found = config(
        one,
        f'[[mount]]\nmount_name = "/same"\n[mount.authentication]\n{one}\n[[mount]]\nmount_name = "/other"\n'
        '[mount.authentication]\ntype = "htpasswd"\nfilename = "y"\n',
    )
    lets = {
        (one, other): found.lets_on(one, other) for one in ("/a", "/open") for other in ("/same", "/other", "/free")
    }
    assert lets == {
        ("/a", "/same"): True,
        ("/a", "/other"): False,
        ("/a", "/free"): True,
        ("/open", "/same"): False,
        ("/open", "/other"): False,
        ("/open", "/free"): True,
    }


def test_fallback_that_asks_for_something_else_is_pointed_out() -> None:
    found = config('type = "htpasswd"\nfilename = "x"', '[[mount]]\nmount_name = "/b"\nfallback_mount = "/a"\n')
    assert [line for line in advice(found) if "fallback" in line] == [
        "mount[1].fallback_mount: /a asks its listeners for something else than /b: nobody is moved there"
    ]
