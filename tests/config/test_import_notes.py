"""Tests of pycast.config.import_notes: a note names the line and all that is there, and no password."""

import pytest

from pycast.config.import_notes import ImportNote, NoteKind, described, is_nothing_lost, left_out, place
from pycast.config.xml_tree import XmlNode, parse_xml


def node(xml: str, *path: int) -> XmlNode:
    found = parse_xml(f"<icecast>\n{xml}</icecast>".encode())
    for number in path:
        found = found.children[number]
    return found


@pytest.mark.parametrize(
    ("xml", "path", "said"),
    [
        ("<limits><clients>5</clients></limits>", (0, 0), "limits/clients"),
        ("<limits a='5'/>", (0, 0), "limits/@a"),
        ("<mount><mount-name>/a</mount-name><intro>/i</intro></mount>", (0, 1), "mount /a intro"),
        ("<mount name='/a'><fallback rate='1'/></mount>", (0, 1, 0), "mount /a fallback/@rate"),
        ("<listen-socket><port>8000</port><x/></listen-socket>", (0, 1), "listen-socket 8000 x"),
        ("<mount/>", (0,), "mount"),
    ],
)
def test_place_says_where_something_is(xml: str, path: tuple[int, ...], said: str) -> None:
    assert place(node(xml, *path)) == said


def test_all_that_is_inside_is_named() -> None:
    xml = "<relay a='1'>t<server>x</server><upstream type='normal'><uri>http://u:p@h/</uri></upstream><b/></relay>"
    said = "relay = t (a = 1, server = x, upstream, type = normal, uri = http://…@h/, b)"
    assert described(node(xml, 0)) == said


@pytest.mark.parametrize(
    "xml",
    [
        "<master-password>geheim</master-password>",
        "<relay><password>geheim</password><username>geheim</username></relay>",
        "<relay><url>http://geheim:geheim@host/</url></relay>",
        '<x><option name="password" value="geheim"/></x>',
        '<authentication type="url"><option name="listener_add" value="http://h/geheim"/>geheim</authentication>',
        '<authentication><role type="static" username="geheim" password="geheim"/></authentication>',
    ],
)
def test_nothing_secret_is_shown(xml: str) -> None:
    assert "geheim" not in described(node(xml, 0))


def test_note_is_one_line_without_control_characters() -> None:
    note = left_out(node("<admin>a\n\u202e\u0085b</admin>", 0), "bad\nvalue")
    assert note == ImportNote(NoteKind.LEFT_OUT, 2, "admin = a   b: bad value")
    assert str(note) == "line 2: admin = a   b: bad value"


@pytest.mark.parametrize(
    ("xml", "path", "is_lost"),
    [
        ("<icelogin>0</icelogin>", (0,), False),
        ("<icelogin>1</icelogin>", (0,), True),
        ("<limits><threadpool>9</threadpool></limits>", (0, 0), False),
        ("<threadpool>9</threadpool>", (0,), True),
        ("<paths><adminroot>/usr/share/icecast2/admin</adminroot></paths>", (0, 0), False),
        ("<paths><adminroot>/usr/local/share/icecast/admin/</adminroot></paths>", (0, 0), False),
        ("<paths><adminroot>/srv/own/admin</adminroot></paths>", (0, 0), True),
    ],
)
def test_only_what_pycast_does_anyway_is_nothing_lost(xml: str, path: tuple[int, ...], is_lost: bool) -> None:
    assert is_nothing_lost(node(xml, *path)) is not is_lost
