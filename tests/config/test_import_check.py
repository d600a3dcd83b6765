"""Tests of pycast.config.import_check: what the loader would refuse is told with the import."""

import random

from pycast.config.icecast_settings import Host
from pycast.config.icecast_xml import convert
from pycast.config.import_check import checked
from pycast.config.import_notes import NoteKind


def kinds(xml: str) -> list[NoteKind]:
    return [note.kind for note in checked(convert(f"<icecast>{xml}</icecast>", Host(random.Random(1)))).notes]


def test_what_is_to_be_corrected_comes_after_what_is_closed() -> None:
    socket = "<listen-socket><port>65535</port><shoutcast-mount>/x</shoutcast-mount></listen-socket>"
    xml = f"<include>/more.xml</include>{socket}<relays-on-demand>1</relays-on-demand>"
    found = kinds(xml)
    assert found == sorted(found, key=list(NoteKind).index)
    assert found.count(NoteKind.TO_CORRECT) == 1


def test_result_that_loads_has_no_such_note() -> None:
    assert NoteKind.TO_CORRECT not in kinds("<hostname>h</hostname>")
