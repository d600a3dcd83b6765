"""Who has an intro hears all of it once, then the stream from a whole frame on, and never loses count of its titles."""

import time
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest

from pycast.config.live import Live
from pycast.config.load import loads
from pycast.formats.file_audio import FileAudio
from pycast.formats.ogg_page import PageReader
from pycast.formats.silence import StreamShape, silence
from pycast.net.group import Group
from pycast.stream.events import IntroHeard, ListenerLeft, StreamEvents
from pycast.stream.fanout import Reason
from pycast.stream.intro import PATIENCE_S, Intro, join_with_intro
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.stream.relocation import attach, detach
from tests.control.stage import StageSource
from tests.formats.test_wav import BEGIN as WAV_HEADER
from tests.stream.memory import WHO, MemoryTransport
from tests.stream.test_relocation import METAINT, SIZE, frames, numbers, received

HEAD = b"HTTP/1.0 200 OK\r\n\r\n"
FIRST = 1000  # the number of the intro's first frame


def intro_of(data: bytes, format: str = "mpeg") -> Intro:
    return Intro("intro", format, FileAudio(format, 0, lambda: 77).feed(data))


class Hall:
    """Mounts whose passes the test runs."""

    def __init__(self) -> None:
        self.group, events = Group(), StreamEvents()
        self.left: list[ListenerLeft] = []
        self.heard: list[IntroHeard] = []
        self.now = time.monotonic()
        events.listener_left.subscribe(self.left.append)
        events.intro_heard.subscribe(self.heard.append)
        limits = f'[limits]\nburst_size = 4000\n[[mount]]\ntype = "default"\nmp3_metadata_interval = {METAINT}\n'
        settings = Live(loads(limits, {}, "test"))
        self.mounts = Mounts(settings, Pacer(0.5, lambda: 0.0), self.group, events, lambda: self.now)
        self.count = 0

    def mount(self, name: str = "/x", first: int = 0, content_type: str = "audio/mpeg") -> Mount:
        mount = self.mounts.attach_source(name, StageSource(content_type))
        if content_type == "audio/mpeg":
            mount.feed(frames(first, 20))
        return mount

    def join(
        self, mount: Mount, intro: Intro, metaint: int = 0, room: int | None = None
    ) -> tuple[Listener, MemoryTransport]:
        self.count += 1
        transport = MemoryTransport(room)
        return join_with_intro(mount, intro, self.count, transport, WHO, HEAD, metaint, self.now), transport


@pytest.fixture
def hall() -> Iterator[Hall]:
    made = Hall()
    yield made
    made.mounts.stop()
    made.group.kill()


@pytest.mark.parametrize("metaint", [0, METAINT])
@pytest.mark.parametrize("seed", range(20))
def test_intro_then_stream_frame_by_frame_whatever_the_connection_takes(hall: Hall, seed: int, metaint: int) -> None:
    rng, mount = Random(seed), hall.mount()
    mount.set_title("", "live")
    length = rng.randint(3, 60)
    listener, transport = hall.join(mount, intro_of(frames(FIRST, length)), metaint, rng.randint(0, 2000))
    number = 20
    while listener.intro is not None or number < 40:
        assert transport.room is not None
        transport.room += rng.randint(0, 3000)
        mount.feed(frames(number, 1))
        number += 1
        mount.fanout._pass()
    transport.room = None
    mount.feed(frames(number, 5))
    for _ in range(3):
        mount.fanout._pass()
    audio, titles = received(transport, metaint)
    found = numbers(audio)
    assert found[:length] == list(range(FIRST, FIRST + length))
    rest = found[length:]
    assert rest == list(range(rest[0], number + 5)) and len(rest) >= 5
    assert hall.left == [] and [event.listener for event in hall.heard] == [listener]
    if metaint:
        assert [title for title in titles if title] == ["live"] * (titles.count("live"))
        assert titles[-1] == "live"


@pytest.mark.parametrize(("length", "most"), [(1, 4000), (5, 4000 - 4 * SIZE), (40, SIZE)])
def test_the_intro_counts_as_burst(hall: Hall, length: int, most: int) -> None:
    mount = hall.mount()
    _, transport = hall.join(mount, intro_of(frames(FIRST, length)))
    mount.fanout._pass()
    audio, _ = received(transport, 0)
    assert len(numbers(audio)) - length <= most // SIZE


@pytest.mark.parametrize("others", [0, 1])
def test_who_takes_the_intro_at_once_gets_the_stream_with_it(hall: Hall, others: int) -> None:
    mount, intro = hall.mount(), intro_of(frames(FIRST, 5))
    for _ in range(others):
        hall.join(mount, intro)
        mount.fanout._pass()
    _, transport = hall.join(mount, intro)
    found = numbers(received(transport, 0)[0])
    assert found[:5] == list(range(FIRST, FIRST + 5)) and found[5:] == list(range(found[5], 20))


def test_listeners_who_come_at_different_times_share_their_bytes_after_the_intro(hall: Hall) -> None:
    mount, intro = hall.mount(), intro_of(frames(FIRST, 31))
    for number in range(100):
        hall.join(mount, intro, METAINT)
        mount.feed(frames(20 + number, 1))
        mount.fanout._pass()
    phases = {listener.view.key for listener in mount.fanout}
    assert len(phases) <= 44, "one for each line of the grid that has passed, not one for each listener"


def test_who_takes_nothing_is_dropped_as_too_slow(hall: Hall) -> None:
    mount, intro = hall.mount(), intro_of(frames(FIRST, 100))
    hall.join(mount, intro, room=1000)
    hall.now += intro.patience_s - 1
    mount.fanout._pass()
    assert hall.left == []
    hall.now += 2
    mount.fanout._pass()
    assert [event.reason for event in hall.left] == [Reason.SLOW] and hall.heard == []
    assert PATIENCE_S < intro.patience_s < PATIENCE_S + 100 * 0.03


def test_who_is_in_the_middle_of_it_when_the_process_stands_still_hears_the_rest(hall: Hall) -> None:
    mount, intro = hall.mount(), intro_of(frames(FIRST, 100))
    _, transport = hall.join(mount, intro, room=1000)
    hall.now += intro.patience_s + 1
    mount.fanout._lenient_until = hall.now + 1
    mount.fanout._pass()
    transport.room = None
    mount.fanout._pass()
    assert hall.left == [] and len(hall.heard) == 1


def test_who_is_moved_in_the_middle_of_it_hears_the_rest_and_then_the_other_mount(hall: Hall) -> None:
    here, there = hall.mount("/x"), hall.mount("/y", 500)
    _, transport = hall.join(here, intro_of(frames(FIRST, 50)), METAINT, room=7000)
    attach(there, detach(here))
    transport.room = None
    there.fanout._pass()
    there.feed(frames(520, 10))
    there.fanout._pass()
    there.fanout._pass()
    audio, _ = received(transport, METAINT)
    found = numbers(audio)
    assert found[:50] == list(range(FIRST, FIRST + 50)) and 500 <= found[50] <= 520 and found[-1] == 529
    assert [one for one, other in pairwise(found) if other != one + 1] == [FIRST + 49]


def test_who_leaves_in_the_middle_of_it_has_not_heard_it(hall: Hall) -> None:
    mount = hall.mount()
    listener, transport = hall.join(mount, intro_of(frames(FIRST, 50)), room=5000)
    transport.broken = True
    mount.fanout._pass()
    assert [event.reason for event in hall.left] == [Reason.RESET] and hall.heard == []
    assert mount.fanout.get(listener.id) is None


def test_statistics_show_no_lag_during_an_intro(hall: Hall) -> None:
    mount = hall.mount()
    listener, transport = hall.join(mount, intro_of(frames(FIRST, 50)), room=5000)
    assert mount.fanout.position_of(listener) == mount.ring.head
    transport.broken = True  # nobody waits for it at the end
    assert (len(mount.fanout), mount.listener_connections, mount.listener_peak) == (1, 1, 1)


def test_a_wav_stream_goes_on_without_a_header_after_its_intro(hall: Hall) -> None:
    mount = hall.mount("/w", content_type="audio/wav")
    live, before = b"L" * 4096, b"I" * 4096
    mount.feed(WAV_HEADER + live)
    _, transport = hall.join(mount, intro_of(WAV_HEADER + before * 3, "wav"))
    mount.feed(live * 2)
    for _ in range(3):
        mount.fanout._pass()
    got = bytes(transport.got)[len(HEAD) :]
    assert got.startswith(WAV_HEADER + before * 3 + live), "a header in the middle would be noise"
    assert set(got[len(WAV_HEADER + before * 3) :]) == set(b"L")


def test_an_ogg_intro_is_a_chain_of_its_own_before_that_of_the_stream(hall: Hall) -> None:
    mount = hall.mount("/o", content_type="application/ogg")
    live = silence(StreamShape("ogg", "Opus", 48000, 2))
    mount.feed(live[: len(live) // 2])
    _, transport = hall.join(mount, intro_of(silence(StreamShape("ogg", "Opus", 48000, 2)), "ogg"))
    mount.feed(live[len(live) // 2 :])
    for _ in range(3):
        mount.fanout._pass()
    reader = PageReader()
    pages = reader.feed(bytes(transport.got)[len(HEAD) :])
    assert reader.skipped == 0
    assert [(page.serial, page.is_first) for page in pages if page.is_first or page.is_last] == [
        (77, True), (77, False), (0, True), (0, False),
    ]  # fmt: skip
    at = next(index for index, page in enumerate(pages) if page.serial == 0)
    assert {page.serial for page in pages[at:]} == {0}, "no page of the intro comes later"
