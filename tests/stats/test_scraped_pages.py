"""Tests of pycast.stats.scraped_pages: what scripts take apart is where they look for it."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from hypothesis import given, settings

from pycast.stats.scraped_pages import server_xhtml, seven, status2, status_xhtml
from pycast.stats.snapshot import NodeSnapshot
from pycast.stats.xml import stats_document
from tests.stats.snapshots import MP3, NODE, VORBIS, nodes

OWN = Path("/usr/share/icecast2/web")
DOCTYPE = '<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.0 Transitional//EN" "http://www.w3.org/TR/REC-html40/loose.dtd">\n'


def page(snapshot: NodeSnapshot, mount: str | None = None) -> str:
    return b"".join(status_xhtml(snapshot, mount)).decode()


def shape(xml: bytes) -> list[tuple[str, tuple[tuple[str, str], ...], str]]:
    """Each element with its attributes and text, without the line in which Icecast asks for support."""
    root = ElementTree.fromstring(xml)
    footer = next(one for one in root.iter() if one.get("id") == "footer")
    footer.clear()
    found = []
    for one in root.iter():
        text = "".join(one.itertext()) if one.tag.endswith("}td") else one.text or ""
        found.append((one.tag, tuple(one.items()), " ".join(text.split())))
    return found


def icecasts(name: str, snapshot: NodeSnapshot) -> bytes:
    """The page that Icecast's own style sheet makes."""
    from lxml import etree

    assert OWN.exists(), "icecast2 is not installed: apt-get install icecast2"
    transform = etree.XSLT(etree.parse(str(OWN / name)))
    return bytes(transform(etree.fromstring(stats_document(snapshot))))


def test_the_page_has_the_elements_of_icecasts_own() -> None:
    full = replace(MP3, bitrate="128", server_url="http://example.org/?a=1&b", artist="", title='A & "B" <c>')
    snapshot = replace(NODE, mounts=(VORBIS, full))
    assert shape(page(snapshot).encode()) == shape(icecasts("status.xsl", snapshot))


def test_the_page_about_the_server_has_them_too_but_no_links_to_icecasts_site() -> None:
    snapshot = replace(NODE, location='<Earth> & "Moon"', server_id="Icecast 2.4.4 & more")
    found = shape(icecasts("server_version.xsl", snapshot))
    names = [text for tag, _, text in found if tag.endswith("}td")]
    assert names[8:10] == ["Download", "icecast.org"]
    first = next(at for at, one in enumerate(found) if one[2] == "Download") - 1
    last = max(at for at, one in enumerate(found) if one[2] == "icecast.org/contact") + 1
    assert shape(server_xhtml(snapshot)) == found[:first] + found[last:]
    assert re.search(r"<td>Version</td>\s*<td>Icecast 2.4.4 &amp; more</td>", server_xhtml(snapshot).decode())


def test_scripts_find_what_they_look_for() -> None:
    text = page(replace(NODE, mounts=(replace(MP3, bitrate="128"),)))
    found = re.findall(r'<td\s[^>]*class="streamstats">(.*)</td>', text)
    assert found == ["Sat, 22 Nov 2025 07:00:00 +0000", "128", "2", "4", "various", "1979"]
    assert re.search(r"Mount Point /live\.mp3\b", text) and "<td>Currently playing:</td>" in text


def test_hidden_mounts_are_left_out_and_one_can_be_asked_for() -> None:
    snapshot = replace(NODE, mounts=(MP3, VORBIS, replace(MP3, name="/secret", hidden=True)))
    assert "/secret" not in page(snapshot) and "/fb.ogg" in page(snapshot)
    assert "/live.mp3" not in page(snapshot, "/fb.ogg")
    assert "Mount Point" not in page(snapshot, "/secret")


def test_an_address_that_is_a_script_is_no_link() -> None:
    text = page(replace(NODE, mounts=(replace(MP3, server_url="javascript:alert(1)"),)))
    assert 'href="javascript:' not in text and "javascript:alert(1)" in text


def test_seven_is_that_of_icecast_kh() -> None:
    one = replace(MP3, bitrate="128")
    assert seven(replace(NODE, mounts=(one,))).decode() == DOCTYPE + "2,1,4,unlimited,2,128,1979\n"
    other = replace(one, name="/b", artist="A", title="B", max_listeners=10)
    assert seven(replace(NODE, mounts=(one, other)), "/b").decode() == DOCTYPE + "2,1,4,10,2,128,A - B\n"
    assert seven(replace(NODE, mounts=())).decode() == DOCTYPE + "0,1,0,unlimited,0,,\n"


def test_status2_is_that_of_icecast_kh() -> None:
    one = replace(MP3, server_name="NAME", server_description="DESC")
    assert b"".join(status2(replace(NODE, mounts=(one,)))).decode() == (
        "\nGlobal,Clients:57,Sources:1,,2,,\n"
        "MountPoint,Connections,Stream Name,Current Listeners,Description,Currently Playing,Stream URL\n"
        "/live.mp3,,NAME,2,DESC,1979,http://localhost:8000/live.mp3\n"
    )


@settings(max_examples=60)
@given(nodes)
def test_whatever_a_source_sends_the_pages_keep_their_form(snapshot: NodeSnapshot) -> None:
    shown = [one for one in snapshot.mounts if not one.hidden]
    root = ElementTree.fromstring(page(snapshot))
    assert len([one for one in root.iter() if one.get("class") == "mount"]) == len(shown)
    assert b"".join(status2(snapshot)).count(b"\n") == 3 + len(shown)
    line = seven(snapshot).decode().removeprefix(DOCTYPE)
    assert line.count("\n") == 1 and "<" not in line
