"""Files and silence take the place of a mount without a source, for those whose player can go on with them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pycast.control.local_streams import below
from pycast.formats.marks import Info
from pycast.stream.fanout import Reason
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from tests.conftest import WaitUntil
from tests.control.stage import FakeMirrors, Stage, stage
from tests.formats.frame_bytes import adts
from tests.formats.ogg_pages import vorbis_audio, vorbis_headers
from tests.stream.test_relocation import frames

FILE = "/fallback-[128].mp3"
MOUNTS = """
[[mount]]
mount_name = "/live"
fallback_mount = "/backup"
fallback_override = true
[[mount]]
mount_name = "/backup"
fallback_mount = "/fallback-[128].mp3"
fallback_override = "own"
[[mount]]
mount_name = "/quiet.ogg"
fallback_mount = "silence"
[[mount]]
mount_name = "/guests/*"
fallback_mount = "silence"
[[mount]]
mount_name = "/early"
fallback_mount = "/song.ogg"
fallback_override = "own"
[[mount]]
type = "default"
fallback_mount = "silence"
"""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Stage]:
    (tmp_path / FILE[1:]).write_bytes(frames(0, 400))
    (tmp_path / "song.aac").write_bytes(adts(100) * 400)
    (tmp_path / "song.ogg").write_bytes(b"".join([*vorbis_headers(), *vorbis_audio(1, range(44100, 441000, 44100))]))
    with stage(f'[paths]\nwebroot = "{tmp_path}"\n{MOUNTS}', FakeMirrors()) as made:
        made.events.mount_state_changed.subscribe(made.fallbacks.on_mount_state_changed)
        yield made


def begin(node: Stage, name: str, content_type: str = "audio/mpeg") -> Mount:
    mount = node.begin(name, content_type)
    if content_type == "audio/mpeg":
        mount.feed(frames(0, 40))
    return mount


def is_at(mount: Mount | None, listener: Listener) -> bool:
    return mount is not None and mount.fanout.get(listener.id) is listener


def test_the_file_at_the_end_of_the_chain_is_played_for_listeners_who_lose_their_source(
    node: Stage, wait_until: WaitUntil
) -> None:
    listener = node.listen(begin(node, "/live"))
    node.end("/live")
    wait_until(lambda: is_at(node.mounts.get(f"file:{FILE}"), listener), "the file")
    assert listener.requested_mount == "/live"
    wait_until(lambda: listener.prefix == b"" and listener.position > 0, "its beginning")
    live = begin(node, "/live")
    wait_until(lambda: is_at(live, listener), "the way back")
    assert node.gone == []


def test_a_mount_earlier_in_the_chain_takes_listeners_of_the_file_and_the_mount_itself_those_of_both(
    node: Stage, wait_until: WaitUntil
) -> None:
    listener = node.listen(begin(node, "/live"))
    node.end("/live")
    wait_until(lambda: is_at(node.mounts.get(f"file:{FILE}"), listener), "the file")
    backup = begin(node, "/backup")
    wait_until(lambda: is_at(backup, listener), "the nearer fallback")
    assert listener.requested_mount == "/live"
    live = begin(node, "/live")
    wait_until(lambda: is_at(live, listener), "the way back")


def test_who_asks_for_a_mount_without_a_source_gets_the_file_and_one_position_is_for_all(node: Stage) -> None:
    found = node.finder.find("/live")
    assert found is not None and found.name == f"file:{FILE}" and found.state is MountState.LIVE
    assert node.finder.find("/backup") is found
    assert found.listener_content_type == "audio/mpeg" and found.settings.hidden


def test_who_hears_a_file_of_another_format_is_disconnected_when_the_source_comes(
    node: Stage, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    found = node.finder.find("/early")
    assert found is not None and found.description.format_name == "ogg"
    listener, other = node.listen(found), node.listen(found)
    listener.requested_mount, other.requested_mount = "/early", "/else"
    begin(node, "/early")
    wait_until(lambda: len(node.gone) == 1, "the end")
    assert (node.gone[0].listener, node.gone[0].reason) == (listener, Reason.OTHER_FORMAT)
    assert found.fanout.get(other.id) is other
    assert "mount /early: 1 listeners of file:/song.ogg are disconnected" in caplog.text


def test_nobody_reaches_what_is_played_by_its_name(node: Stage) -> None:
    found = node.finder.find("/live")
    assert found is not None
    assert node.finder.find(FILE) is None and not node.finder.may_be_heard(FILE)
    assert node.mounts.sources == 0 and not node.claims.standbys and node.claims.origin(found.name) is None


def test_a_source_may_have_the_name_of_the_file_and_is_preferred(node: Stage) -> None:
    mount = begin(node, FILE)
    assert node.finder.find("/live") is mount


def test_an_address_that_no_section_is_for_gets_nothing_that_is_always_there(node: Stage) -> None:
    assert node.finder.find("/style.css") is None
    mount = begin(node, "/unnamed")
    node.end("/unnamed")
    assert node.finder.find("/unnamed") not in (None, mount), "a mount has the fallback of the default section"
    found = node.finder.find("/guests/one")
    assert found is not None and found.name.startswith("silence:mpeg")


@pytest.mark.parametrize(
    ("mount", "content_type", "codec", "made"),
    [
        ("/quiet.ogg", "application/ogg", "Vorbis", "silence:ogg-Vorbis-48000-1-0"),
        ("/quiet.ogg", "application/ogg", "Opus", "silence:ogg-Opus-48000-1-0"),
        ("/guests/a", "audio/aac", "", "silence:adts--48000-1-0"),
        ("/guests/a", "audio/mpeg", "", "silence:mpeg--48000-1-128000"),
    ],
)
def test_silence_is_like_the_stream_that_has_ended(
    node: Stage, mount: str, content_type: str, codec: str, made: str
) -> None:
    live = begin(node, mount, content_type)
    stats = {"subtype": codec, "audio_samplerate": "48000", "audio_channels": "1"}
    live.take(b"", [Info(live.ring.head, None, stats)])
    node.end(mount)
    found = node.finder.fallback_of(mount)
    assert found is not None and found.name == made


@pytest.mark.parametrize(("asked", "format"), [("/quiet.ogg", "ogg"), ("/guests/x.aac", "adts"), ("/guests/x", "mpeg")])
def test_before_the_first_source_silence_is_what_the_name_says(node: Stage, asked: str, format: str) -> None:
    found = node.finder.find(asked)
    assert found is not None and found.description.format_name == format


@pytest.mark.parametrize("file", ["/song.aac", "/song.ogg"])
def test_a_file_of_another_format_is_not_for_those_who_have_heard_the_stream(
    node: Stage, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    begin(node, "/a")
    assert node.local.open(file, "/a", node.mounts.get("/a")) is None
    assert node.local.open(file, "/a", node.mounts.get("/a")) is None
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1 and said[0].startswith(f"mount /a: its fallback file:{file} is ")
    fresh = node.local.open(file, "/b", None)
    assert fresh is not None and fresh.state is MountState.LIVE


@pytest.mark.parametrize(("codec", "is_used"), [("Vorbis", True), ("Opus", False), ("Skeleton/Vorbis", True)])
def test_an_ogg_file_with_another_codec_is_not_for_those_who_have_heard_the_stream(
    node: Stage, codec: str, is_used: bool, caplog: pytest.LogCaptureFixture
) -> None:
    live = begin(node, "/a", "application/ogg")
    live.take(b"", [Info(live.ring.head, None, {"subtype": codec})])
    for _ in range(2):
        assert (node.local.open("/song.ogg", "/a", live) is not None) is is_used
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == ([] if is_used else ["mount /a: its fallback file:/song.ogg is Vorbis and no Opus: not used"])


def test_many_who_come_at_once_share_one_player(node: Stage, wait_until: WaitUntil) -> None:
    found: list[Mount | None] = []
    for _ in range(20):
        node.group.spawn("ask", lambda: found.append(node.finder.find("/live")))
    wait_until(lambda: len(found) == 20, "all of them")
    assert len(set(found)) == 1 and found[0] is not None
    assert len(node.local._players) == 1


def test_a_fallback_that_players_could_not_go_on_with_is_passed_over(node: Stage, wait_until: WaitUntil) -> None:
    listener = node.listen(begin(node, "/live"))
    backup = begin(node, "/backup", "application/ogg")
    node.end("/live")
    wait_until(lambda: is_at(node.mounts.get(f"file:{FILE}"), listener), "the file behind it")
    assert node.finder.find("/live") is backup, "who comes now may hear it"


def test_a_file_that_is_missing_is_said_once_and_looked_for_again_after_a_while(
    node: Stage, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert node.local.open("/later.mp3", "/a", None) is None
    said = [record.getMessage() for record in caplog.records]
    assert said == ["mount /a: its fallback file:/later.mp3 cannot be played: No such file or directory"]
    (tmp_path / "later.mp3").write_bytes(frames(0, 100))
    assert node.local.open("/later.mp3", "/a", None) is None, "not so soon"
    node.local._absent.clear()
    assert node.local.open("/later.mp3", "/a", None) is not None


def test_without_a_webroot_no_name_is_a_file() -> None:
    with stage() as node:
        assert node.local.open(FILE, "/a", None) is None


def test_a_stream_without_silence_has_none(node: Stage, caplog: pytest.LogCaptureFixture) -> None:
    begin(node, "/a", "audio/mp4")
    assert node.local.open("silence", "/a", node.mounts.get("/a")) is None
    assert "there is no silence for mp4" in caplog.text


def test_names_are_below_the_folder() -> None:
    assert below("/w/", "/a.mp3") == below("/w", "a.mp3") == "/w/a.mp3"
    assert below("/", "/a.mp3") == "/a.mp3"


def test_an_ogg_listener_of_a_file_gets_headers_first(node: Stage) -> None:
    mount = node.local.open("/song.ogg", "/b", None)
    assert mount is not None
    listener = node.listen(mount)
    got = bytes(listener.transport.got)  # type: ignore[attr-defined]
    assert got.startswith(b"OggS\0\x02") and b"\x05vorbis" in got
