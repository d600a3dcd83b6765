"""Icecast's XML, byte for byte, and well-formed whatever is in it. The golden bytes were taken from Icecast 2.4.4."""

import re
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.stats.snapshot import ListenerSnapshot, MountSnapshot, NodeSnapshot
from pycast.stats.xml import iceresponse, listclients, listmounts, stats_document, streamlist_text
from tests.stats.snapshots import MP3, VORBIS, any_text, listeners, mount, mounts, nasty_text, node, nodes

GOLDEN_GLOBAL = (
    "<admin>icemaster@localhost</admin><client_connections>42</client_connections><clients>3</clients>"
    "<connections>57</connections><file_connections>1</file_connections><host>localhost</host>"
    "<listener_connections>9</listener_connections><listeners>2</listeners><location>Earth</location>"
    "<server_id>Icecast 2.4.4</server_id><server_start>Sat, 22 Nov 2025 06:59:20 +0000</server_start>"
    "<server_start_iso8601>2025-11-22T06:59:20+0000</server_start_iso8601>"
    "<source_client_connections>1</source_client_connections>"
    "<source_relay_connections>0</source_relay_connections>"
    "<source_total_connections>1</source_total_connections><sources>1</sources><stats>0</stats>"
    "<stats_connections>0</stats_connections>"
)
GOLDEN_MP3 = (
    '<source mount="/live.mp3"><genre>various</genre><listener_peak>4</listener_peak><listeners>2</listeners>'
    "<listenurl>http://localhost:8000/live.mp3</listenurl><max_listeners>unlimited</max_listeners>"
    "<public>1</public><server_description>Unspecified description</server_description>"
    '<server_name>My "Stream" \\ x</server_name><server_type>audio/mpeg</server_type>'
    "<slow_listeners>0</slow_listeners><source_ip>127.0.0.1</source_ip>"
    "<stream_start>Sat, 22 Nov 2025 07:00:00 +0000</stream_start>"
    "<stream_start_iso8601>2025-11-22T07:00:00+0000</stream_start_iso8601><title>1979</title>"
    "<total_bytes_read>123</total_bytes_read><total_bytes_sent>456</total_bytes_sent>"
    "<user_agent>Lavf/60</user_agent></source>"
)
GOLDEN_VORBIS = (
    '<source mount="/fb.ogg"><artist>&#xC9;</artist><audio_bitrate>80000</audio_bitrate>'
    "<audio_channels>1</audio_channels><audio_samplerate>44100</audio_samplerate><genre>various</genre>"
    "<ice-bitrate>80</ice-bitrate><listener_peak>4</listener_peak>"
)


def document(root: str, content: str) -> bytes:
    return f'<?xml version="1.0"?>\n<{root}>{content}</{root}>\n'.encode()


def children(element: Element) -> list[tuple[str, str | None]]:
    return [(child.tag, child.text) for child in element]


def test_stats_are_icecasts_bytes() -> None:
    assert stats_document(node(MP3)) == document("icestats", GOLDEN_GLOBAL + GOLDEN_MP3)


def test_stats_of_an_ogg_mount_begin_with_what_the_format_read() -> None:
    assert GOLDEN_VORBIS.encode() in stats_document(node(MP3, VORBIS))


def test_stats_with_a_mount_give_that_mount_alone() -> None:
    assert stats_document(node(MP3, VORBIS), "/live.mp3") == document("icestats", GOLDEN_GLOBAL + GOLDEN_MP3)
    assert stats_document(node(MP3), "/none") == document("icestats", GOLDEN_GLOBAL)


def test_stats_show_hidden_mounts() -> None:
    assert b'<source mount="/secret">' in stats_document(node(mount(name="/secret", hidden=True)))


def test_stats_whose_names_xml_cannot_write_are_left_out() -> None:
    claims = {"bad key": "1", "<x>": "2", "1st": "3", "a:b": "4", "ice-channels": "2"}
    root = fromstring(stats_document(node(mount(stats=claims))))
    source = root.find("source")
    assert source is not None
    assert not {"bad key", "x", "1st", "b"} & {child.tag for child in source}
    assert source.findtext("ice-channels") == "2"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('Caf\u00e9 <&> "q"', 'Caf&#xE9; &lt;&amp;&gt; "q"'),
        ("A\tb\nc\rd '\u20ac' \U0001f600 ]]> ", "A\tb\nc&#xD;d '&#x20AC;' &#x1F600; ]]&gt; "),
        ("\x00\x1f\ud800\uffff", "&#xFFFD;" * 4),
        ("\x7f\x85", "\x7f&#x85;"),
        ("", ""),
    ],
)
def test_text_is_written_as_libxml2_writes_it(text: str, written: str) -> None:
    expected = f"<message>{written}</message><return>1</return>"
    assert iceresponse(text, 1) == document("iceresponse", expected)


def test_mount_names_are_written_as_libxml2_writes_attributes() -> None:
    odd = mount(name="/m \"<&'\n\t\u00e9|.mp3")
    assert b'<source mount="/m &quot;&lt;&amp;\'&#10;&#9;&#xE9;|.mp3">' in listmounts(node(odd))


def test_iceresponse_carries_the_result() -> None:
    expected = "<message>Client 7 not found</message><return>0</return>"
    assert iceresponse("Client 7 not found", 0) == document("iceresponse", expected)


def test_listmounts_is_icecasts_bytes() -> None:
    assert listmounts(node(MP3)) == document(
        "icestats",
        '<source mount="/live.mp3"><fallback></fallback><listeners>2</listeners><Connected>12</Connected>'
        "<content-type>audio/mpeg</content-type></source>",
    )


def test_listmounts_of_an_idle_node_is_one_empty_element() -> None:
    assert listmounts(node()) == b'<?xml version="1.0"?>\n<icestats/>\n'


def test_listmounts_gives_no_source_details_while_a_mount_waits_for_its_source() -> None:
    assert listmounts(node(mount(is_live=False))) == document(
        "icestats", '<source mount="/live.mp3"><fallback></fallback><listeners>2</listeners></source>'
    )


def test_listmounts_for_a_move_leaves_the_current_mount_out() -> None:
    root = fromstring(listmounts(node(MP3, VORBIS), current="/live.mp3"))
    assert root[0].tag == "current_source" and root[0].text == "/live.mp3"
    assert [source.get("mount") for source in root.findall("source")] == ["/fb.ogg"]


def test_listclients_gives_the_count_in_both_spellings() -> None:
    players = [
        ListenerSnapshot(4, "10.0.0.1", "", 3, 99, 500),
        ListenerSnapshot(5, "10.0.0.2", 'VLC/3 "\u00e9', 12, 99, 0),
    ]
    assert listclients(MP3, players) == document(
        "icestats",
        '<source mount="/live.mp3"><Listeners>2</Listeners><listeners>2</listeners>'
        "<listener><IP>10.0.0.1</IP><UserAgent>Unknown</UserAgent><Connected>3</Connected><ID>4</ID>"
        "<lag>500</lag></listener>"
        '<listener><IP>10.0.0.2</IP><UserAgent>VLC/3 "&#xE9;</UserAgent><Connected>12</Connected><ID>5</ID>'
        "<lag>0</lag></listener></source>",
    )


def test_streamlist_has_a_visible_mount_a_line() -> None:
    hidden, broken = mount(name="/secret", hidden=True), mount(name="/a\r\n/b")
    assert streamlist_text(node(MP3, VORBIS, hidden, broken)) == b"/fb.ogg\r\n/live.mp3\r\n"


@given(nodes)
@settings(deadline=None, max_examples=100)
def test_stats_are_well_formed_whatever_is_in_them(snapshot: NodeSnapshot) -> None:
    root = fromstring(stats_document(snapshot))
    assert len(root.findall("source")) == len(snapshot.mounts)
    assert fromstring(listmounts(snapshot, current="\x00<")).tag == "icestats"


@given(mounts, st.lists(listeners, max_size=3))
@settings(deadline=None, max_examples=50)
def test_listclients_is_well_formed_whatever_players_call_themselves(
    one: MountSnapshot, players: list[ListenerSnapshot]
) -> None:
    root = fromstring(listclients(one, players))
    assert len(root.findall("source/listener")) == len(players)


@given(any_text | nasty_text)
@settings(deadline=None, max_examples=200)
def test_text_comes_back_as_it_was_but_for_what_xml_forbids(text: str) -> None:
    body = iceresponse(text, 1)
    allowed = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    assert fromstring(body).findtext("message") == allowed
    assert body.isascii()
