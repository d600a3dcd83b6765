"""A file is played in real time, by the times in its audio, again and again, and a listener hears each unit once."""

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from pycast.config.live import Live
from pycast.config.load import loads
from pycast.disk.looped_file import LoopedBytes, LoopedContent, LoopedFile, Piece
from pycast.errors import ExternalError
from pycast.formats.file_audio import EXPECTED, detect
from pycast.formats.ogg_page import PageReader
from pycast.formats.silence import StreamShape, silence
from pycast.net.group import Group
from pycast.stream import file_player
from pycast.stream.events import StreamEvents
from pycast.stream.fanout import Reason
from pycast.stream.file_player import FIRST_S, LEAD_S, LINGER_S, FilePlayer
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from tests.conftest import WaitUntil
from tests.formats.ogg_pages import NO_GRANULE, opus_head, opus_tags, page
from tests.stream.memory import WHO, MemoryTransport
from tests.stream.test_relocation import frames, numbers

NAME, FRAME_S = "file:/x.mp3", 1152 / 44100


class Player:
    """A player whose clock the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.group, settings = Group(), Live(loads("", {}, "test"))
        self.mounts = Mounts(settings, Pacer(0.02, lambda: 0.0), self.group, StreamEvents(), lambda: self.now)
        self.made: FilePlayer | None = None

    def start(self, content: LoopedContent) -> Mount:
        self.made = FilePlayer(NAME, content, self.mounts, lambda: self.now)
        return self.made.start()

    def turn(self, seconds: float, step: float = 0.1) -> None:
        """Lets time pass."""
        assert self.made is not None
        until = self.now + seconds
        while self.now < until:
            self.now += step
            self.made._play()
            while self.made._is_reading:
                gevent.sleep(0.001)

    def listen(self, mount: Mount) -> MemoryTransport:
        transport = MemoryTransport()
        mount.join(1, transport, WHO, b"", 0, self.now)
        return transport


@pytest.fixture
def player() -> Iterator[Player]:
    made = Player()
    yield made
    if made.made:
        made.made.close()
    made.mounts.stop()
    made.group.kill()


def audio(mount: Mount) -> bytes:
    """Returns all that the mount has got, if its ring still has it."""
    return mount.ring.read(0, mount.ring.head)


def test_the_first_seconds_are_there_at_once_and_then_it_keeps_the_pace(player: Player) -> None:
    mount = player.start(LoopedBytes("mpeg", frames(0, 1000)))
    assert mount.state is MountState.LIVE and mount.ring.head == pytest.approx(16_000 * FIRST_S, abs=500)
    player.turn(FIRST_S - LEAD_S - 0.2)
    assert mount.ring.head == pytest.approx(16_000 * FIRST_S, abs=500), "who comes now begins with the first byte"
    player.turn(30)
    played = 30 + FIRST_S - 0.2  # a step more or less
    assert mount.ring.head == pytest.approx(played * 417 / FRAME_S, abs=4000)


@pytest.mark.parametrize("content", ["file", "bytes"])
def test_each_frame_of_each_round_is_fed_once_in_order(player: Player, tmp_path: Path, content: str) -> None:
    data = frames(0, 450)
    (tmp_path / "x").write_bytes(b"ID3\x04\0\0\0\0\1\0" + bytes(128) + data + b"TAG" + bytes(125))
    looped = LoopedFile(str(tmp_path / "x"), detect, EXPECTED) if content == "file" else LoopedBytes("mpeg", data)
    mount = player.start(looped)
    player.turn(3 * 450 * FRAME_S)
    found = numbers(audio(mount))
    assert len(found) > 1350 and found == [number % 450 for number in range(len(found))]


def test_a_listener_who_comes_at_once_hears_the_beginning_and_one_who_comes_later_the_present(player: Player) -> None:
    mount = player.start(LoopedBytes("mpeg", frames(0, 3000)))
    first = player.listen(mount)
    assert numbers(bytes(first.got))[0] == 0
    player.turn(60)
    later = player.listen(mount)
    assert numbers(bytes(later.got))[0] == pytest.approx((60 + LEAD_S - 4) / FRAME_S, abs=10)


def test_ogg_goes_on_chain_by_chain_at_its_pace(player: Player) -> None:
    mount = player.start(LoopedBytes("ogg", silence(StreamShape("ogg", "Opus", 48000, 2))))
    player.turn(75, step=0.5)
    reader = PageReader()
    pages = reader.feed(audio(mount))
    firsts = [page.serial for page in pages if page.is_first]
    assert (len(firsts), len(set(firsts)), reader.skipped) == (3, 3, 0)
    assert sum(page.granule > 0 for page in pages) == pytest.approx(5 * (75 + LEAD_S), abs=5)
    joined = player.listen(mount)
    assert len(joined.got) < 4000, "a burst is some seconds, not so many bytes"


def test_a_stall_is_not_made_up_for(player: Player) -> None:
    mount = player.start(LoopedBytes("mpeg", frames(0, 3000)))
    player.turn(5)
    before = mount.ring.head
    player.now += 60
    player.turn(1)
    assert mount.ring.head - before < 16_000 * 4


class Flaky:
    """A content whose disk fails between two rounds."""

    format = "mpeg"

    def __init__(self) -> None:
        self.fails = False

    def next_piece(self) -> Piece:
        return Piece(b"", begins=False, note="cannot be read") if self.fails else Piece(frames(0, 100), begins=True)

    def close(self) -> None: ...


def test_a_disk_that_fails_is_said_once_and_asked_again(player: Player, caplog: pytest.LogCaptureFixture) -> None:
    content = Flaky()
    mount = player.start(content)
    content.fails = True
    player.turn(30)
    before = mount.ring.head
    player.turn(5)
    assert mount.ring.head == before
    assert [record.getMessage() for record in caplog.records] == [f"{NAME}: cannot be read"]
    content.fails = False
    player.turn(5)
    assert mount.ring.head > before


@pytest.mark.parametrize(("format", "data"), [("mpeg", frames(0, 1)), ("mpeg", b""), ("ogg", b"OggS" + bytes(3000))])
def test_what_has_no_audio_is_refused(player: Player, format: str, data: bytes) -> None:
    with pytest.raises(ExternalError, match="no audio"):
        player.start(LoopedBytes(format, data))
    assert len(player.mounts) == 0


class Timeless:
    """An endless Ogg file of which no page says when it is due."""

    format = "ogg"

    def __init__(self) -> None:
        self.given = 0
        self._more = page([b"\xfc" + bytes(19)] * 200, granule=NO_GRANULE)

    def next_piece(self) -> Piece:
        data = self._more * 20 if self.given else page([opus_head()], flags=2) + page([opus_tags()])
        self.given += len(data)
        return Piece(data, begins=self.given == len(data))

    def close(self) -> None: ...


def test_a_file_without_times_is_not_read_to_its_end(player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_player, "MOST_FIRST", 1 << 20)
    content = Timeless()
    with gevent.Timeout(30), pytest.raises(ExternalError, match="its first 1 MiB have no times"):
        player.start(content)
    assert 1 << 20 <= content.given < 2 << 20 and len(player.mounts) == 0


def test_it_ends_when_nobody_has_listened_for_a_while(
    player: Player, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_player, "STEP_S", 0.001)
    mount = player.start(LoopedBytes("mpeg", frames(0, 500)))
    assert player.made is not None
    player.listen(mount)
    running = player.group.spawn("player", player.made.run)
    player.now += LINGER_S + 1
    gevent.sleep(0.02)
    assert not running.dead, "somebody listens"
    mount.fanout.drop_all(Reason.CLOSED)
    wait_until(lambda: running.dead, "the end")
    assert player.mounts.get(NAME) is None and mount.state is MountState.ENDED
