"""Tests of pycast.stats.shoutcast_xml: what scripts take out of SHOUTcast's XML is where they look for it."""

import re
from dataclasses import replace
from xml.etree import ElementTree

from hypothesis import given, settings

from pycast.stats.shoutcast_xml import shoutcast_xml
from pycast.stats.snapshot import ListenerSnapshot, NodeSnapshot, PlayedTitle
from tests.stats.snapshots import MP3, NODE, any_text, nodes

LISTENERS = (
    ListenerSnapshot(7, "192.0.2.1", "WinampMPEG/5.66", 100, 9, 0),
    ListenerSnapshot(8, "192.0.2.1", "", 50, 9, 0, "ann"),
    ListenerSnapshot(9, "2001:db8::1", "VLC & <more>", 0, 9, 0),
)
PLAYED = (PlayedTitle(1302180341.7, "Artist", "Second"), PlayedTitle(1302175246.0, "", "First"))


def fields(xml: bytes) -> dict[str, str]:
    root = ElementTree.fromstring(xml)
    assert root.tag == "SHOUTCASTSERVER"
    return {one.tag: one.text or "" for one in root}


def test_stream_is_described_with_shoutcasts_names() -> None:
    mount = replace(MP3, listeners=3, artist="Ä & B", title="C", bitrate="128", server_url="http://x/?a&b", genre="")
    found = fields(shoutcast_xml(replace(NODE, clients_limit=100), mount, LISTENERS, PLAYED))
    wanted = {
        "CURRENTLISTENERS": "3",
        "PEAKLISTENERS": "4",
        "MAXLISTENERS": "100",
        "UNIQUELISTENERS": "2",
        "REPORTEDLISTENERS": "2",
        "AVERAGETIME": "50",
        "SERVERGENRE": "various",
        "SERVERURL": "http://x/?a&b",
        "SONGTITLE": "Ä & B - C",
        "STREAMHITS": "9",
        "STREAMSTATUS": "1",
        "STREAMPATH": "/live.mp3",
        "BITRATE": "128",
        "CONTENT": "audio/mpeg",
        "VERSION": "Icecast 2.4.4",
    }
    assert wanted.items() <= found.items()


def test_limit_of_the_mount_goes_before_that_of_the_server() -> None:
    assert fields(shoutcast_xml(NODE, replace(MP3, max_listeners=5)))["MAXLISTENERS"] == "5"


def test_mount_without_a_source_has_the_status_0() -> None:
    for mount in (None, replace(MP3, is_live=False, listeners=0)):
        found = fields(shoutcast_xml(NODE, mount))
        assert (found["STREAMSTATUS"], found["CURRENTLISTENERS"], found["AVERAGETIME"]) == ("0", "0", "0")
        assert "STREAMUPTIME" not in found


def test_listeners_and_titles_are_lists() -> None:
    root = ElementTree.fromstring(shoutcast_xml(NODE, MP3, LISTENERS, PLAYED))
    listeners = [{one.tag: one.text for one in each} for each in root.findall("LISTENERS/LISTENER")]
    assert listeners[0] == {
        "HOSTNAME": "192.0.2.1",
        "USERAGENT": "WinampMPEG/5.66",
        "CONNECTTIME": "100",
        "UID": "7",
    }
    assert [one["USERAGENT"] for one in listeners[1:]] == ["**EMPTY**", "VLC & <more>"]
    songs = [(one.findtext("PLAYEDAT"), one.findtext("TITLE")) for one in root.findall("SONGHISTORY/SONG")]
    assert songs == [("1302180341", "Artist - Second"), ("1302175246", "First")]


def test_page_names_a_part() -> None:
    whole = set(fields(shoutcast_xml(NODE, MP3, LISTENERS, PLAYED)))
    parts = [set(fields(shoutcast_xml(NODE, MP3, LISTENERS, PLAYED, page))) for page in "134"]
    assert parts[1:] == [{"LISTENERS"}, {"SONGHISTORY"}] and "SONGTITLE" in parts[0]
    assert set().union(*parts) == whole == set(fields(shoutcast_xml(NODE, MP3, LISTENERS, PLAYED, "x")))


def test_scripts_that_look_at_the_text_find_it_on_one_line() -> None:
    text = shoutcast_xml(NODE, MP3, LISTENERS, PLAYED).decode()
    assert "\n" not in text
    assert re.findall("<CURRENTLISTENERS>(.*)</CURRENTLISTENERS>", text) == ["2"]
    head, _, rest = text.partition("<SHOUTCASTSERVER>")
    assert head == '<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>'
    assert rest.startswith("<CURRENTLISTENERS>")


@given(snapshot=nodes, agent=any_text, title=any_text)
@settings(deadline=None, max_examples=60)
def test_whatever_a_source_or_a_listener_sends_the_document_is_well_formed(
    snapshot: NodeSnapshot, agent: str, title: str
) -> None:
    listeners = (ListenerSnapshot(1, "192.0.2.1", agent, 1, 1, 0),)
    for mount in (None, *snapshot.mounts):
        ElementTree.fromstring(shoutcast_xml(snapshot, mount, listeners, (PlayedTitle(1.0, agent, title),)))
