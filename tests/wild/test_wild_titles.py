"""A title is one clean line for everybody, whatever it came by and whatever was in it."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.cluster.claim import Standby
from pycast.config.load import loads
from pycast.control.node_snapshot import snapshot_mount
from pycast.formats.content_types import new_format
from pycast.formats.marks import Tags
from pycast.formats.standby import StandbyStream
from pycast.http.icy import IcyReader, IcyTitle
from pycast.http.titles import LONGEST_BYTES
from pycast.logs.playlist import PlaylistEntry, format_playlist
from pycast.stats.playlists import vclt, xspf
from pycast.stats.status_json import status_json
from pycast.stats.xml import stats_document
from pycast.stream.mount import CLEAR_S, Mount
from tests.conftest import WaitUntil
from tests.control.stage import StageSource, stage
from tests.formats import flac_frames
from tests.formats.ogg_pages import page, vorbis_audio, vorbis_comment, vorbis_id
from tests.stats.snapshots import mount as mount_shown
from tests.stats.snapshots import node
from tests.stream.memory import WHO, MemoryTransport
from tests.stream.test_mount import SETTINGS, description, new_mount
from tests.web.sites import ADMIN, SOURCE, FakeControl, ask, make_site

NAME, METAINT = "/live.mp3", 100
PASSWORDS = """
[authentication]
source_password = "kd83-Lq0f-Tz"
admin_password = "pw"
[[listen]]
port = 8000
shoutcast_mount = "/live.mp3"
[[mount]]
mount_name = "/live.mp3"
mp3_metadata_interval = 100
"""

NODE = '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n[logging]\naccess_log = ""\n[limits]\nsource_grace = 0\n'
SOURCE_HEAD = (
    b"SOURCE /x HTTP/1.0\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\nContent-Type: text/plain\r\n"
    b"icy-metaint: 3\r\n\r\n"
)

Way = Callable[[Mount, str], None]


def admin(query: str, mount: Mount) -> None:
    """Sends a request for the title, as encoders do."""
    with stage(PASSWORDS) as here:
        control = here.control()
        here.mounts._mounts[NAME] = mount
        site = make_site(control, toml=PASSWORDS)
        reply = ask(site, query, authorization=ADMIN).body
        assert isinstance(reply, bytes) and b"Metadata update successful" in reply
        del here.mounts._mounts[NAME]


def by_admin(mount: Mount, title: str) -> None:
    sent = quote(title.encode("utf-8", "surrogatepass"))
    admin(f"/admin/metadata?mode=updinfo&mount={NAME}&song={sent}&charset=UTF-8", mount)


def by_shoutcast(mount: Mount, title: str) -> None:
    sent = quote(title.encode("utf-8", "surrogatepass"))
    admin(f"/admin.cgi?mode=updinfo&mount={NAME}&pass=kd83-Lq0f-Tz&song={sent}", mount)


def by_mirror(mount: Mount, title: str) -> None:
    mount.take(b"", [Tags(mount.ring.head, "", title)])


def by_standby(mount: Mount, title: str) -> None:
    stream = StandbyStream(new_format("text/plain"))
    stream.set_title("", title)
    mount.end()
    mount.start(description(), stream)


WAYS: list[Way] = [by_admin, by_shoutcast, by_mirror, by_standby]

DIRTY = [
    ("a\r\nFile1=evil", "a File1=evil"),
    ("\x1b[2J\x1b]0;owned\x07x", "[2J ]0;owned x"),
    ("a\x85b\x9b2Jc", "a b 2Jc"),
    ("a\u2028b\u2029c", "a b c"),
    ("a\u202egnp.3pm\u202c", "a gnp.3pm"),
    ("\u2066a\u2069 b", "a b"),
    ("a\u200b\ufeffb", "a b"),
    ("\0a\0", "a"),
    ("half \ud83d", "half \ufffd"),
    ("Artist - ", "Artist"),
    (" - Title", "Title"),
    ("می‌خواهم 👩‍🚀", "می‌خواهم 👩‍🚀"),
    ("x" * 5000, "x" * LONGEST_BYTES),
    ("日" * 1500, "日" * (LONGEST_BYTES // 3)),
    ("e\u0301" * 2000, "e\u0301" * (LONGEST_BYTES // 3)),
    ("It's 'so'", "It's 'so'"),
]


def live() -> tuple[Mount, MemoryTransport]:
    """Returns a mount with a title and a listener who hears it."""
    mount, _ = new_mount(SETTINGS.replace(mp3_metadata_interval=METAINT))
    mount.start(description())
    mount.set_title("", "the old one")
    transport = MemoryTransport()
    mount.join(1, transport, WHO, b"", METAINT, 0.0)
    mount.feed(b"a" * METAINT)
    return mount, transport


def heard(mount: Mount, transport: MemoryTransport) -> str:
    """Returns the title that a player shows after some more audio."""
    mount.feed(b"b" * 2 * METAINT)
    mount.fanout._pass()
    found = [event.text for event in IcyReader(METAINT).feed(bytes(transport.got)) if isinstance(event, IcyTitle)]
    return found[-1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("dirty", "clean"), DIRTY)
def test_a_title_is_clean_whatever_it_came_by(way: Way, dirty: str, clean: str) -> None:
    mount, transport = live()
    way(mount, dirty)
    assert mount.timeline.title is not None and mount.timeline.title.text == clean
    assert heard(mount, transport) == clean
    line = format_playlist(PlaylistEntry(0, NAME, 1, dirty)).decode()
    assert len(line.splitlines()) == 1 and "\x1b" not in line


@pytest.mark.parametrize(("dirty", "clean"), DIRTY)
def test_a_title_in_the_comments_of_an_ogg_stream_is_clean(dirty: str, clean: str) -> None:
    mount, _ = new_mount()
    mount.start(description("application/ogg"))
    sent = dirty[:900].encode("utf-8", "replace").decode()
    headers = [page([vorbis_id()], flags=2), page([vorbis_comment(f"TITLE={sent}"), b"\x05vorbis"])]
    mount.feed(b"".join([*headers, *vorbis_audio(1, [100, 200])]))
    assert mount.timeline.title is not None
    assert mount.timeline.title.title == clean[:900].replace("\ufffd", "?")


@pytest.mark.parametrize(("dirty", "clean"), DIRTY)
def test_a_title_in_the_comments_of_a_flac_stream_is_clean(dirty: str, clean: str) -> None:
    mount, _ = new_mount()
    mount.start(description("audio/flac"))
    sent = dirty[:900].encode("utf-8", "replace").decode()
    mount.feed(flac_frames.begin(f"TITLE={sent}") + flac_frames.frame(0) + flac_frames.frame(1))
    assert mount.timeline.title is not None
    assert mount.timeline.title.title == clean[:900].replace("\ufffd", "?")


@pytest.mark.parametrize(("dirty", "clean"), DIRTY)
def test_a_title_that_a_source_sends_in_its_audio_is_clean(dirty: str, clean: str, wait_until: WaitUntil) -> None:
    text = dirty[:900].encode("utf-8", "surrogatepass")
    block = b"StreamTitle='" + text + b"';"
    size = -(-len(block) // 16)
    node = Node(loads(NODE, {}, "test"), None, None, 1000)
    try:
        with socket.create_connection(("127.0.0.1", node.start().port), 5) as sock:
            sock.sendall(SOURCE_HEAD + b"aud" + bytes([size]) + block.ljust(16 * size, b"\0") + b"io0" + b"\0")
            mounts = node.parts.context.mounts
            wait_until(lambda: (found := mounts.get("/x")) is not None and found.ring.head == 6, "the audio")
            found = mounts.get("/x")
            assert found is not None and found.timeline.title is not None
            assert found.timeline.title.text == clean[:900]
    finally:
        node.stop()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("song=caf%E9", "café"),
        ("song=don%92t+%96+%80", "don’t – €"),
        ("song=f%C3%BCr%E6%97", "für"),
        ("song=a%ED%A0%BD%ED%B8%80b", "a\U0001f600b"),
        ("song=a%FF%FEb", "aÿþb"),
        ("song=%2B2AA-&charset=utf-7", "\ufffd"),
        ("song=100%25+100%", "100% 100%"),
    ],
)
def test_any_bytes_are_a_title_that_is_valid_text(raw: str, text: str) -> None:
    mount, transport = live()
    admin(f"/admin/metadata?mode=updinfo&mount={NAME}&{raw}", mount)
    assert heard(mount, transport) == text


@pytest.mark.parametrize(
    ("query", "artist", "title"),
    [
        ("song=A+-+T&artist=A&title=T", "A", "T"),  # liquidsoap, Mixxx
        ("song=wrong&artist=A&title=T", "A", "T"),
        ("song=A+-+T&title=T", "", "A - T"),
        ("artist=&title=T", "", "T"),
        ("artist=A&title=", "A", ""),
    ],
)
def test_artist_and_title_stay_apart_in_the_statistics(query: str, artist: str, title: str) -> None:
    mount, transport = live()
    admin(f"/admin/metadata?mode=updinfo&mount={NAME}&{query}", mount)
    one = snapshot_mount(mount)
    assert (one.artist, one.title) == (artist, title)
    statistics = node(one)
    if artist:
        assert f'"artist":"{artist}"'.encode() in status_json(statistics)
        assert f"<artist>{artist}</artist>".encode() in stats_document(statistics, None)
        assert f"<creator>{artist}</creator>".encode() in xspf(statistics, one.name)
        assert f"ARTIST={artist}\n".encode() in vclt(statistics, one.name)
    if title:
        assert f'"title":"{title}"'.encode() in status_json(statistics)
        assert f"<title>{title}</title>".encode() in stats_document(statistics, None)
    assert heard(mount, transport) == " - ".join(filter(None, (artist, title)))


def test_a_quote_and_semicolon_end_the_title_where_players_end_it() -> None:
    mount, transport = live()
    admin(f"/admin/metadata?mode=updinfo&mount={NAME}&song=Rock+%27n%27;+Roll", mount)
    assert snapshot_mount(mount).title == heard(mount, transport) == "Rock 'n"
    assert b"StreamTitle='Rock 'n'; Roll';" in bytes(transport.got)  # as it is, like Icecast


@pytest.mark.parametrize("empty", ["song=", "song=+", "artist=&title=", "song=+-+", "song=%00%0A"])
def test_a_title_that_is_cleared_at_once_stays(empty: str) -> None:
    now = 100.0
    mount, transport = live()
    mount._clock = lambda: now
    admin(f"/admin/metadata?mode=updinfo&mount={NAME}&song=Song", mount)
    now += CLEAR_S - 0.1
    admin(f"/admin/metadata?mode=updinfo&mount={NAME}&{empty}", mount)
    assert heard(mount, transport) == "Song"
    now += 0.1
    admin(f"/admin/metadata?mode=updinfo&mount={NAME}&{empty}", mount)
    assert heard(mount, transport) == ""


@pytest.mark.parametrize(
    ("sender", "on_air", "waiting"),
    [
        ("10.0.0.1", "new", ""),  # that of the source on the air
        ("10.0.0.2", "", "new"),
        ("10.0.0.3", "new", ""),  # a script
        ("", "new", ""),  # an admin
    ],
)
def test_the_title_of_an_encoder_that_stands_by_waits_with_it(sender: str, on_air: str, waiting: str) -> None:
    with stage() as here:
        mount = here.begin("/x")
        mount._described = description()._replace(ip="10.0.0.1")
        other, stream = StageSource("text/plain", "10.0.0.2"), StandbyStream(new_format("text/plain"))
        here.claims.get_or_create("/x").add(Standby(other, stream))
        other.output.stand_by(stream)
        control = here.control()
        assert control.set_title("/x", "", "new", "", sender)
        assert (mount.timeline.title.text if mount.timeline.title else "") == on_air
        assert (stream.tags.title if stream.tags else "") == waiting


def test_of_two_encoders_at_one_address_that_on_the_air_has_the_title() -> None:
    with stage() as here:
        mount = here.begin("/x")
        other, stream = StageSource("text/plain"), StandbyStream(new_format("text/plain"))
        here.claims.get_or_create("/x").add(Standby(other, stream))
        other.output.stand_by(stream)
        control = here.control()
        assert control.set_title("/x", "", "new", "", "127.0.0.1")
        assert mount.timeline.title is not None and mount.timeline.title.text == "new"


def test_an_encoders_request_names_its_address_and_an_admins_does_not() -> None:
    asked: list[str] = []

    class Told(FakeControl):
        def set_title(self, mount: str, artist: str, title: str, url: str, sender: str = "") -> bool:
            asked.append(sender)
            return True

    site = make_site(Told(node(mount_shown())), toml='[authentication]\nadmin_password = "pw"\n')
    for login in (SOURCE, ADMIN):
        ask(site, f"/admin/metadata?mode=updinfo&mount={NAME}&song=x", authorization=login)
    assert asked == ["127.0.0.1", ""]
