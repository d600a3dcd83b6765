"""Tests of pycast.config.icecast_authentication: what has an equivalent comes over, and nobody more gets in."""

import random
from typing import Any

import pytest

from pycast.config.icecast_authentication import is_convertible
from pycast.config.icecast_settings import Host
from pycast.config.mount_authentication import MountAuthentication
from pycast.config.xml_tree import parse_xml
from tests.config.imports import closed, imported, left_out, result_of, run

HTPASSWD = '<authentication type="htpasswd"><option name="filename" value="/x/users"/></authentication>'
URL = '<authentication type="url"><option name="listener_add" value="http://a/"/>%s</authentication>'


def option(name: str, value: str) -> str:
    return f'<option name="{name}" value="{value}"/>'


def mount(inside: str, name: str = "/a") -> str:
    return f"<mount><mount-name>{name}</mount-name>{inside}</mount>"


@pytest.mark.parametrize(
    ("xml", "values"),
    [
        (HTPASSWD, {"type": "htpasswd", "filename": "/x/users"}),
        (
            HTPASSWD.replace("</", option("allow_duplicate_users", "1") + "</"),
            {"type": "htpasswd", "filename": "/x/users", "allow_duplicate_users": True},
        ),
        (URL % "", {"type": "url", "listener_add": "http://a/"}),
        (
            URL
            % "".join(
                [
                    *(option(name, f"http://a/{name}") for name in ("listener_remove", "mount_add", "mount_remove")),
                    *(option("stream_auth", "http://a/s"), option("username", "u"), option("password", "p")),
                    *(option("auth_header", "X-A: yes"), option("timelimit_header", "X-T:")),
                    *(option("headers", "cookie, x-b"), option("header_prefix", "h-"), option("timeout", "5")),
                    option("presume_innocent", "1"),
                ]
            ),
            {
                "type": "url",
                "listener_add": "http://a/",
                "listener_remove": "http://a/listener_remove",
                "mount_add": "http://a/mount_add",
                "mount_remove": "http://a/mount_remove",
                "stream_auth": "http://a/s",
                "username": "u",
                "password": "p",
                "auth_header": "X-A: yes",
                "timelimit_header": "X-T:",
                "headers": ("cookie", "x-b"),
                "header_prefix": "h-",
                "timeout": 5.0,
                "on_failure": "allow",
            },
        ),
        # AzuraCast's.
        (
            URL % option("auth_header", "icecast-auth-user: 1"),
            {"type": "url", "listener_add": "http://a/", "auth_header": "icecast-auth-user: 1"},
        ),
        # Icecast 2.5's.
        (
            '<authentication><role type="htpasswd"><option name="filename" value="/x"/></role>'
            '<role type="anonymous" deny-all="*"/></authentication>',
            {"type": "htpasswd", "filename": "/x", "allow_duplicate_users": True},
        ),
        (
            '<authentication><role type="url" match-method="get,post,head,options" connections-per-user="1">'
            '<option name="client_add" value="http://a/"/><option name="client_remove" value="http://b/"/></role>'
            "</authentication>",
            {"type": "url", "listener_add": "http://a/", "listener_remove": "http://b/"},
        ),
    ],
)
def test_authentication_comes_over(xml: str, values: dict[str, Any]) -> None:
    found = imported(mount(xml)).for_mount("/a")
    assert found.authentication == MountAuthentication(**values)
    assert (found.max_listeners, found.password) == (-1, "s")


@pytest.mark.parametrize(
    "xml",
    [
        '<authentication type="htpasswd"/>',
        '<authentication type="htpasswd"><option name="filename" value=""/></authentication>',
        '<authentication type="url"><option name="listener_add" value="ftp://a/"/></authentication>',
        '<authentication type="command"><option name="listener_add" value="/bin/x"/></authentication>',
        '<authentication type="htpasswd"><option name="filename"/></authentication>',
        '<authentication><role type="static"/></authentication>',
        '<authentication><role type="htpasswd"/></authentication>',
        '<authentication><role type="anonymous" deny-all="*"/></authentication>',
        '<authentication><role type="url" allow-method="*"><option name="client_add" value="http://a/"/></role>'
        "</authentication>",
        '<authentication><role type="url" match-method="source,put"><option name="client_add" value="http://a/"/>'
        "</role></authentication>",
        '<authentication><role type="htpasswd"><option name="filename" value="/x"/></role><role type="anonymous"/>'
        "</authentication>",
        '<authentication><role type="anonymous" deny-all="*"/><role type="htpasswd"><option name="filename" '
        'value="/x"/></role></authentication>',
    ],
)
def test_what_has_no_equivalent_stays_closed(xml: str) -> None:
    assert not is_convertible(parse_xml(xml.encode()))
    assert result_of(mount(xml)).for_mount("/a").max_listeners == 0


def test_options_that_mean_nothing_here_are_named() -> None:
    said = left_out(mount(URL % (option("handlers", "5") + option("something", "x"))))
    assert [line.partition("): ")[2] for line in said] == [
        "pycast makes several calls at the same time",
        "this option is not known",
    ]


def test_variable_is_filled_in_or_closes_the_mount() -> None:
    xml = mount(HTPASSWD.replace("/x/users", "${USERS}"))
    host = Host(random.Random(1), {"USERS": "/y"})
    assert result_of(xml, host).for_mount("/a").authentication.filename == "/y"
    found = result_of(xml).for_mount("/a")
    assert (found.max_listeners, found.authentication.type, len(found.password)) == (0, "none", 16)
    assert len(closed(xml)) == 1


@pytest.mark.parametrize("pattern", ["<mount-name>/p/*</mount-name>", ""])
def test_pattern_or_default_protects_the_mounts_that_icecast_would_protect_with_it(pattern: str) -> None:
    kind = "normal" if pattern else "default"
    xml = f'<mount type="{kind}">{pattern}{HTPASSWD}</mount>{mount("<genre>g</genre>", "/p/a")}{mount("", "/q")}'
    config = result_of(xml)
    assert config.for_mount("/p/a").authentication.type == "htpasswd"
    assert config.for_mount("/p/other").authentication.type == "htpasswd"
    assert config.for_mount("/q").authentication.type == ("none" if pattern else "htpasswd")


def test_mount_that_asks_nobody_itself_is_protected_by_the_pattern() -> None:
    told = '<authentication type="url"><option name="mount_add" value="http://a/"/></authentication>'
    xml = f"<mount><mount-name>/p*</mount-name>{HTPASSWD}</mount>{mount(told, '/pa')}"
    assert result_of(xml).for_mount("/pa").authentication.type == "htpasswd"


def test_passwords_are_in_no_note() -> None:
    said = str(run(mount(URL % (option("password", "geheim") + option("something", "geheim")))).notes)
    assert "geheim" not in said.replace("something = geheim", "")


@pytest.mark.parametrize("name", ["listener_add", "listener_remove", "stream_auth", "mount_add", "mount_remove"])
@pytest.mark.parametrize("address", ["auth.example/a.php?b=c", "127.0.0.1:8080/a", "localhost/"])
def test_address_without_a_scheme_is_one_of_http_as_for_libcurl(name: str, address: str) -> None:
    found = result_of(mount(f'<authentication type="url">{option(name, address)}</authentication>'))
    assert found.for_mount("/a").authentication.url_of(name) == f"http://{address}"


@pytest.mark.parametrize("address", ["x", "/bin/x", "ftp://a/b", "http//a/b c", "a b/c"])
def test_what_is_no_address_closes_the_mount(address: str) -> None:
    xml = mount(f'<authentication type="url">{option("listener_add", address)}</authentication>')
    assert result_of(xml).for_mount("/a").max_listeners == 0 and closed(xml)
