"""Tests of pycast.config.icecast_protection: what keeps listeners out in Icecast is known as such."""

import pytest

from pycast.config.icecast_protection import MountLocks, checks_listeners, checks_sources, listener_lock, server_locks
from pycast.config.xml_tree import parse_xml

PROTECTED = [
    '<authentication type="htpasswd"><option name="file" value="x"/></authentication>',
    '<authentication type="url"><option name="listener_add" value="x"/></authentication>',
    '<authentication type="url"><option name="client_add" value="x"/></authentication>',
    '<authentication type="command"><option name="listener_add" value="/bin/x"/></authentication>',
    '<authentication type="something new"/>',
    '<authentication><role type="static"/></authentication>',
    '<authentication type="url"><role type="url"/></authentication>',
    "<authentication>what</authentication>",
]
OPEN = [
    "",
    "<authentication/>",
    # These come over as they are, see test_icecast_authentication.py.
    '<authentication type="htpasswd"><option name="filename" value="x"/></authentication>',
    '<authentication type="url"><option name="listener_add" value="http://x/"/></authentication>',
    '<authentication type="url"><option name="mount_add" value="http://x/"/></authentication>',
    '<authentication type="url"><option name="listener_remove" value="http://x/"/></authentication>',
    '<authentication type="url"><option name="listener_add" value=""/></authentication>',
    "<no-mount>1</no-mount>",
    "<allow-direct-access>0</allow-direct-access>",
]


@pytest.mark.parametrize("inside", PROTECTED)
def test_mount_with_any_protection_is_locked(inside: str) -> None:
    lock = listener_lock(parse_xml(f"<mount>\n<mount-name>/a</mount-name>{inside}</mount>".encode()))
    assert lock is not None
    assert lock.line == 2


@pytest.mark.parametrize("inside", OPEN)
def test_mount_that_asks_nobody_is_open(inside: str) -> None:
    assert listener_lock(parse_xml(f"<mount><mount-name>/a</mount-name>{inside}</mount>".encode())) is None


@pytest.mark.parametrize(
    ("xml", "listeners", "sources"),
    [
        ('<a type="url"><option name="stream_auth" value="http://x/"/></a>', False, True),
        ('<a type="url"><option name="listener_add" value="http://x/"/></a>', True, False),
        ('<a><role type="url"/></a>', True, True),
    ],
)
def test_who_is_asked_about(xml: str, listeners: bool, sources: bool) -> None:
    node = parse_xml(xml.encode())
    assert (checks_listeners(node), checks_sources(node)) == (listeners, sources)


def locked(xml: str) -> list[bool]:
    mounts = parse_xml(f"<icecast>{xml}</icecast>".encode()).all("mount")
    locks = MountLocks(mounts)
    return [locks.of(mount) is not None for mount in mounts]


def mount(name: str, *, is_locked: bool = False, type: str = "normal") -> str:
    named = f"<mount-name>{name}</mount-name>" if name else ""
    return f'<mount type="{type}">{named}{"<authentication>x</authentication>" * is_locked}</mount>'


@pytest.mark.parametrize(
    ("xml", "are_locked"),
    [
        (mount("/a", is_locked=True) + mount("/b"), [True, False]),
        (mount("/a") + mount("/a", is_locked=True), [True, True]),
        (mount("/p/*", is_locked=True) + mount("/p/a") + mount("/q/a"), [True, True, False]),
        # icecast-kh's patterns do not stop at a "/".
        (mount("/p/*", is_locked=True) + mount("/p/a/b"), [True, True]),
        (mount("", is_locked=True, type="default") + mount("/a"), [True, True]),
        (mount("/p*", is_locked=True, type="default") + mount("/a") + mount("/pa"), [True, False, True]),
        (mount("/a", is_locked=True) + mount("", type="default"), [True, False]),
    ],
)
def test_lock_holds_for_all_mounts_that_icecast_would_protect_with_it(xml: str, are_locked: list[bool]) -> None:
    assert locked(xml) == are_locked


def test_element_type_is_not_the_attribute_type() -> None:
    assert locked(f"<mount><mount-name>/a</mount-name><type>default</type></mount>{mount('/b')}") == [False, False]


def test_what_protects_the_server_is_found_wherever_it_is() -> None:
    xml = b"<icecast><include>x</include><paths><deny-ip/><allow-ip/><x/></paths><paths><banfile/></paths></icecast>"
    root = parse_xml(xml)
    assert [node.name for node in server_locks(root, lambda node: False)] == [
        "include",
        "deny-ip",
        "allow-ip",
        "banfile",
    ]
    assert [node.name for node in server_locks(root, lambda node: node.name != "allow-ip")] == ["include", "allow-ip"]
