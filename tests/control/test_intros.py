"""Each player hears an intro once within an hour, and only before a stream with which its decoder can go on."""

import gc
import logging
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from pycast.control import intros
from pycast.control.intros import LOOK_S, Intros
from pycast.disk import looped_file
from pycast.disk.calls import MOST_THREADS
from pycast.errors import ExternalError
from pycast.formats.marks import Header, Info
from pycast.stream.events import IntroHeard
from pycast.stream.intro import Intro
from pycast.stream.listener import Identity, Listener
from pycast.stream.mount import Mount
from tests.conftest import WaitUntil
from tests.control.stage import Stage, stage
from tests.formats.frame_bytes import adts
from tests.formats.test_wav import UNKNOWN, fmt
from tests.formats.test_wav import header as wav_header
from tests.stream.memory import MemoryTransport
from tests.stream.test_relocation import frames

WHO = ("/live", "192.0.2.1", "player")


class Desk:
    """Intros whose clock the test turns."""

    def __init__(self, node: Stage, folder: Path) -> None:
        self.node, self.folder, self.now = node, folder, 50.0
        self.intros = Intros(node.settings, lambda: self.now)

    def of(self, path: str = "/live") -> Intro:
        found = self.intros.of(path)
        assert found is not None
        return found

    def live(self, content_type: str = "audio/mpeg", rate: str = "44100") -> Mount:
        mount = self.node.begin("/live", content_type)
        mount.take(b"", [Info(0, None, {"audio_samplerate": rate, "audio_channels": "1"})])
        return mount

    def hear(self, path: str, ip: str, agent: str, mount: Mount) -> None:
        """Tells that somebody has heard the intro of `path`."""
        who = Identity(ip, agent, "", "", "GET", path, "HTTP/1.1")
        listener = Listener(1, MemoryTransport(), who, mount.view(0, 0), 0, b"", -1, 0.0)
        listener.requested_mount = path if path != mount.name else ""
        self.intros.on_intro_heard(IntroHeard(mount.name, listener))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "web").mkdir()
    (tmp_path / "intro.mp3").write_bytes(frames(0, 50))
    os.utime(tmp_path / "intro.mp3", (1e9, 1e9))
    mount = '[[mount]]\nmount_name = "/live"\nintro = "../intro.mp3"\n[[mount]]\nmount_name = "/plain"\n'
    with stage(f'[paths]\nwebroot = "{tmp_path}/web"\n{mount}') as node:
        yield Desk(node, tmp_path)


def test_the_intro_of_a_mount_is_read_once_and_has_what_its_stream_has(desk: Desk) -> None:
    intro = desk.of()
    assert (intro.format, intro.size, intro.stats["audio_samplerate"]) == ("mpeg", 50 * 417, "44100")
    assert desk.of() is intro
    assert desk.intros.of("/plain") is None and desk.intros.of("/none") is None


def test_who_has_heard_it_does_not_hear_it_again_within_an_hour(desk: Desk) -> None:
    intro, mount = desk.of(), desk.live()
    assert desk.intros.may_precede(intro, mount, *WHO)
    desk.hear(*WHO, mount)
    assert not desk.intros.may_precede(intro, mount, *WHO)
    for path, ip, agent in (("/other", *WHO[1:]), ("/live", "192.0.2.2", "player"), ("/live", "192.0.2.1", "x")):
        assert desk.intros.may_precede(intro, mount, path, ip, agent)
    desk.now += 3599
    assert not desk.intros.may_precede(intro, mount, *WHO)
    desk.now += 2
    assert desk.intros.may_precede(intro, mount, *WHO)


def test_the_mount_says_for_how_long_it_is_not_heard_again(desk: Desk) -> None:
    intro, mount = desk.of(), desk.live()
    now = desk.node.settings.now

    def skip(seconds: float) -> None:
        sections = [one.replace(intro_skip_replay=seconds) if one.intro else one for one in now.mount]
        desk.node.settings.replace(now.replace(mount=tuple(sections)))

    skip(20)
    desk.hear(*WHO, mount)
    desk.now += 19
    assert not desk.intros.may_precede(intro, mount, *WHO)
    desk.now += 2
    assert desk.intros.may_precede(intro, mount, *WHO)
    desk.hear(*WHO, mount)
    skip(0)
    assert desk.intros.may_precede(intro, mount, *WHO)
    desk.hear("/live", "192.0.2.3", "player", mount)
    skip(20)
    assert desk.intros.may_precede(intro, mount, "/live", "192.0.2.3", "player"), "nobody is remembered for nothing"


def test_who_asked_for_another_mount_is_remembered_for_that(desk: Desk) -> None:
    intro, mount = desk.of(), desk.live()
    desk.hear("/asked", *WHO[1:], mount)
    assert desk.intros.may_precede(intro, mount, *WHO)
    assert not desk.intros.may_precede(intro, mount, "/asked", *WHO[1:])


def test_only_so_many_are_remembered_the_latest(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intros, "MOST_HEARD", 3)
    intro, mount = desk.of(), desk.live()
    for number in (1, 2, 3, 1, 4):
        desk.hear("/live", f"192.0.2.{number}", "player", mount)
    forgotten = [n for n in range(1, 5) if desk.intros.may_precede(intro, mount, "/live", f"192.0.2.{n}", "player")]
    assert forgotten == [2]


@pytest.mark.parametrize(
    ("content_type", "rate", "why"),
    [
        ("audio/aac", "44100", "it is mpeg, and the stream adts"),
        ("audio/mpeg", "48000", "its sample rate is 44100, and that of the stream 48000"),
    ],
)
def test_an_intro_that_does_not_fit_is_refused_and_said_once(
    desk: Desk, caplog: pytest.LogCaptureFixture, content_type: str, rate: str, why: str
) -> None:
    intro, mount = desk.of(), desk.live(content_type, rate)
    assert not any(desk.intros.may_precede(intro, mount, *WHO) for _ in range(3))
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == [f"mount /live: its intro {desk.folder}/web/../intro.mp3 is not played: {why}"]


def test_no_sample_of_an_intro_is_lost(desk: Desk) -> None:
    made = desk.intros.of_answer(wav_header(10_000) + bytes(10_000) + b"LIST\x04\0\0\0abcd")
    assert made is not None and made.size == 10_000


def test_samples_of_another_size_cannot_follow_an_intro(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    made = desk.intros.of_answer(wav_header() + bytes(8192))
    assert made is not None and made.format == "wav"
    mount = desk.node.begin("/wav", "audio/wav")
    for header, fits in ((wav_header(), True), (wav_header(UNKNOWN, fmt(bits=24)), False)):
        mount.take(b"a", [Header(mount.ring.head, header)])
        assert desk.intros.fits(made, mount) is fits
    assert "its samples have another size or form" in caplog.text


def test_a_file_that_has_changed_is_read_again(desk: Desk, wait_until: WaitUntil) -> None:
    intro = desk.of()
    (desk.folder / "new").write_bytes(frames(0, 70))
    os.utime(desk.folder / "new", (1e9 + 5, 1e9 + 5))
    (desk.folder / "new").replace(desk.folder / "intro.mp3")
    assert desk.of() is intro
    desk.now += LOOK_S
    assert desk.of() is intro, "nobody waits for the look"
    wait_until(lambda: desk.of().size == 70 * 417, "the new one")


def test_a_file_that_no_mount_names_any_more_is_let_go(desk: Desk) -> None:
    (desk.folder / "new.mp3").write_bytes(frames(0, 70))
    old = weakref.ref(desk.of())
    mounts = tuple(one.replace(intro="../new.mp3") if one.intro else one for one in desk.node.settings.now.mount)
    desk.node.settings.replace(desk.node.settings.now.replace(mount=mounts))
    assert desk.of().size == 70 * 417
    gc.collect()
    assert old() is None


def test_a_file_that_cannot_be_played_is_read_once_and_not_every_two_seconds(
    desk: Desk, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = desk.folder / "intro.mp3"
    file.write_bytes(b"nothing of that")
    os.utime(file, (1e9, 1e9))
    looks: list[bool] = []
    monkeypatch.setattr(desk.intros, "_on_look", lambda file, has_changed: looks.append(has_changed))
    for _ in range(3):
        assert desk.intros.of("/live") is None
        desk.now += LOOK_S
    wait_until(lambda: looks == [False, False], "two looks, which find the same file")


def test_a_file_that_cannot_be_read_is_tried_again_and_said_once(
    desk: Desk, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def refuse(file: str, most: int) -> object:
        tries.append(file)
        raise ExternalError("Permission denied")

    def there_is(count: int) -> bool:
        desk.now += LOOK_S
        return desk.intros.of("/live") is not None or len(tries) >= count > 0

    with monkeypatch.context() as patch:
        patch.setattr(looped_file, "read_file", refuse)
        wait_until(lambda: there_is(3), "three tries")
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    wait_until(lambda: there_is(0), "the file, which has not changed")


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"nothing of that", "expected MP3"), (None, "No such file"), (adts(100), "expected MP3"), (b"", "expected MP3")],
)
def test_a_file_that_cannot_be_played_is_said_and_nobody_waits(
    desk: Desk, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil, content: bytes | None, why: str
) -> None:
    file = desk.folder / "intro.mp3"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert desk.intros.of("/live") is None and desk.intros.of("/live") is None
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "cannot be played" in said and why in said
    file.write_bytes(frames(0, 9))
    os.utime(file, (1e9 + 9, 1e9 + 9))
    desk.now += LOOK_S
    wait_until(lambda: desk.intros.of("/live") is not None, "the right one")


def test_a_file_that_is_too_large_is_not_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intros, "MOST_INTRO", 1000)
    assert desk.intros.of("/live") is None


def test_without_a_webroot_there_is_none(caplog: pytest.LogCaptureFixture) -> None:
    with stage('[[mount]]\nmount_name = "/live"\nintro = "/a.mp3"\n') as node:
        assert Intros(node.settings, lambda: 0.0).of("/live") is None
    assert "paths.webroot" in caplog.text


def test_what_servers_send_is_made_once_as_long_as_somebody_hears_it(desk: Desk) -> None:
    mount = desk.live()
    first = desk.intros.of_answer(frames(0, 20))
    assert first is not None and first is desk.intros.of_answer(frames(0, 20))
    assert desk.intros.fits(first, mount) and first.size == 20 * 417
    for number in range(3 * MOST_THREADS):
        assert desk.intros.of_answer(frames(20 + number, 3)) is not first
    gc.collect()
    # A thread may still hold what it has made last.
    assert len(desk.intros._answered) <= 1 + MOST_THREADS


def test_what_servers_send_and_cannot_be_played_is_said_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for data in (b"no audio", b"none either", b""):
        assert desk.intros.of_answer(data) is None
    assert len(caplog.messages) == 1
    mount = desk.live("audio/aac")
    for number in range(3):
        made = desk.intros.of_answer(frames(number, 20))
        assert made is not None and not desk.intros.fits(made, mount)
    assert len(caplog.messages) == 2
