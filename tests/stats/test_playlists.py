"""The files that start a player. XSPF and VCLT samples were taken from Icecast 2.4.4."""

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.stats.icestats import stream_url
from pycast.stats.playlists import m3u, pls, vclt, xspf
from pycast.stats.snapshot import NodeSnapshot
from tests.stats.snapshots import MP3, VORBIS, any_text, mount, nasty_text, node, nodes

XSPF = "{http://xspf.org/ns/0/}"
EMPTY_XSPF = b"""<?xml version="1.0" encoding="UTF-8"?>
<playlist xmlns="http://xspf.org/ns/0/" version="1">
  <title/>
  <creator/>
  <trackList/>
</playlist>
"""
MP3_XSPF = """<?xml version="1.0" encoding="UTF-8"?>
<playlist xmlns="http://xspf.org/ns/0/" version="1">
  <title/>
  <creator/>
  <trackList>
    <track>
      <location>http://localhost:8000/live.mp3</location>
      <title>A	b
c&#13;d"é €😀 'x' ]]&gt; </title>
      <annotation>Stream Title: My "Stream" \\ x
Stream Description: Unspecified description
Content Type:audio/mpeg
Bitrate: 128
Current Listeners: 2
Peak Listeners: 4
Stream Genre: 80</annotation>
      <info>http://x/?a=1&amp;b=2</info>
    </track>
  </trackList>
</playlist>
"""
VORBIS_XSPF = """
      <location>http://localhost:8000/fb.ogg</location>
      <creator>É</creator>
      <title>1979</title>
      <annotation>Stream Title: Unspecified name
"""
VCLT_NAMES = {"STREAMURL", "ARTIST", "TITLE", "SERVER_NAME", "DESCRIPTION", "SIGNALINFO", "GENRE", ""}


def test_m3u_is_one_line_ended_as_icecast_ends_it() -> None:
    assert m3u("http://localhost:8000/live.mp3") == b"http://localhost:8000/live.mp3\r\n"


def test_pls_has_what_players_expect() -> None:
    assert pls([("http://h:1/a", "Radio A"), ("http://h:1/b", "")]) == (
        b"[playlist]\r\nNumberOfEntries=2\r\nFile1=http://h:1/a\r\nTitle1=Radio A\r\nLength1=-1\r\n"
        b"File2=http://h:1/b\r\nLength2=-1\r\nVersion=2\r\n"
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/live.mp3", "/live.mp3"),
        ("/a b/é?#%", "/a%20b/%C3%A9%3F%23%25"),
        ("/x\r\nFile1=evil", "/x%0D%0AFile1=evil"),
        ("/(live)~1,2;@$", "/(live)~1,2;@$"),
    ],
)
def test_mount_names_become_urls_that_lead_back_to_them(name: str, path: str) -> None:
    assert stream_url("http://h:1", name) == "http://h:1" + path


def test_xspf_is_icecasts_bytes() -> None:
    title = "A\tb\nc\rd\"é €😀 'x' ]]> "
    one = mount(title=title, genre="80", bitrate="128", server_url="http://x/?a=1&b=2")
    assert xspf(node(one), "/live.mp3") == MP3_XSPF.encode()


def test_xspf_names_the_artist_where_the_stream_does() -> None:
    assert VORBIS_XSPF.encode() in xspf(node(VORBIS), "/fb.ogg")


def test_xspf_lists_video_details() -> None:
    video = mount(stats={"video_quality": "5", "frame_size": "640 x 480", "frame_rate": "25.00", "quality": "3"})
    expected = b"Quality: 3\nVideo Quality: 5\nFramesize: 640 x 480\nFramerate: 25.00\nCurrent Listeners"
    assert expected in xspf(node(video), "/live.mp3")


def test_xspf_without_texts_keeps_its_shape() -> None:
    bare = mount(title="", server_name="", server_description="", genre="")
    body = xspf(node(bare), "/live.mp3").decode()
    assert "      <title/>\n      <annotation>Stream Title: Unspecified name\n" in body
    assert "Content Type:audio/mpeg\n" in body


@pytest.mark.parametrize("name", ["/none", "/secret"])
def test_unknown_and_hidden_mounts_give_empty_lists(name: str) -> None:
    snapshot = node(MP3, mount(name="/secret", hidden=True))
    assert xspf(snapshot, name) == EMPTY_XSPF
    assert vclt(snapshot, name) == b""


def test_vclt_is_icecasts_bytes() -> None:
    assert vclt(node(VORBIS), "/fb.ogg").decode() == (
        "STREAMURL=http://localhost:8000/fb.ogg\nARTIST=É\nTITLE=1979\nSERVER_NAME=Unspecified name\n"
        "DESCRIPTION=Unspecified description\nSIGNALINFO=codec:ogg_vorbis\nGENRE=various\n==\n"
    )


@pytest.mark.parametrize(
    ("content_type", "subtype", "signal"),
    [("audio/mpeg", "", ""), ("application/ogg", "Opus", "codec:ogg_general"), ("audio/ogg", "Vorbis", "")],
)
def test_vclt_names_the_codec_as_icecast_does(content_type: str, subtype: str, signal: str) -> None:
    body = vclt(node(mount(content_type=content_type, subtype=subtype)), "/live.mp3")
    assert f"\nSIGNALINFO={signal}\n".encode() in body


@given(st.lists(st.tuples(any_text | nasty_text, any_text | nasty_text), max_size=3))
@settings(deadline=None, max_examples=100)
def test_pls_entries_cannot_forge_lines(entries: list[tuple[str, str]]) -> None:
    body = pls(entries)
    titles = sum(bool(title) for _, title in entries)
    assert body.count(b"\r\n") == body.count(b"\n") == body.count(b"\r") == 3 + 2 * len(entries) + titles


@given(nodes)
@settings(deadline=None, max_examples=50)
def test_xspf_is_well_formed_whatever_is_in_it(snapshot: NodeSnapshot) -> None:
    for one in snapshot.mounts:
        root = fromstring(xspf(snapshot, one.name))
        assert len(root.findall(f"{XSPF}trackList/{XSPF}track")) == (not one.hidden)


@given(nodes)
@settings(deadline=None, max_examples=50)
def test_vclt_values_cannot_forge_lines(snapshot: NodeSnapshot) -> None:
    for one in snapshot.mounts:
        lines = vclt(snapshot, one.name).decode().split("\n")[:-1]
        names = [line.partition("=")[0] for line in lines]
        assert len(set(names)) == len(names)
        assert set(names) <= VCLT_NAMES


@given(any_text | nasty_text)
@settings(deadline=None, max_examples=100)
def test_m3u_is_one_line_whatever_the_url(url: str) -> None:
    body = m3u(url)
    assert body.endswith(b"\r\n") and body.count(b"\n") == body.count(b"\r") == 1
