"""Converts small icecast.xml files for the tests."""

import random

from pycast.config.icecast_settings import Host
from pycast.config.icecast_xml import Imported, convert
from pycast.config.import_check import checked
from pycast.config.import_notes import NoteKind
from pycast.config.load import loads
from pycast.config.schema import Config

PASSWORDS = """<authentication><source-password>s</source-password><relay-password>r</relay-password>
<admin-password>a</admin-password></authentication>"""


def run(xml: str, host: Host | None = None) -> Imported:
    """Converts settings on line 1, with passwords after them."""
    return checked(convert(f"<icecast>{xml}{PASSWORDS}</icecast>".encode(), host or Host(random.Random(1))))


def result_of(xml: str, host: Host | None = None) -> Config:
    """The configuration that comes out, whatever there is to say about it."""
    return loads(run(xml, host).toml, {}, "imported")


def imported(xml: str) -> Config:
    """The configuration that comes out, of a file of which everything comes over."""
    assert run(xml).notes == ()
    return result_of(xml)


def notes(xml: str, kind: NoteKind) -> list[str]:
    return [str(note) for note in run(xml).notes if note.kind is kind]


def left_out(xml: str) -> list[str]:
    assert {note.kind for note in run(xml).notes} <= {NoteKind.LEFT_OUT}
    return notes(xml, NoteKind.LEFT_OUT)


def closed(xml: str) -> list[str]:
    return notes(xml, NoteKind.CLOSED)
