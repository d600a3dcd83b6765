"""Listeners that are moved get whole frames, keep their ICY phase, and get the title in force where they are."""

from functools import partial
from itertools import pairwise
from random import Random

import gevent
import pytest

from pycast.config.load import loads
from pycast.config.units import Size
from pycast.formats.wav import UNIT
from pycast.http.headers import Headers
from pycast.http.icy import IcyReader, IcyTitle
from pycast.http.source_headers import source_info
from pycast.net.group import Group
from pycast.stream.events import StreamEvents
from pycast.stream.fanout import Reason
from pycast.stream.mount import Mount
from pycast.stream.pacer import Pacer
from pycast.stream.relocation import attach, detach, relocate, skip
from pycast.stream.source import SourceDescription
from tests.conftest import WaitUntil
from tests.formats.ogg_pages import page
from tests.formats.test_wav import BEGIN as WAV_HEADER
from tests.stream.memory import WHO, MemoryTransport, encrypting

SIZE, METAINT = 417, 1000
SETTINGS = loads("", {}, "test").for_mount("/x").replace(burst_size=Size(bytes=3000), mp3_metadata_interval=METAINT)
HEAD = b"HTTP/1.0 200 OK\r\n\r\n"


def frames(first: int, count: int) -> bytes:
    """Returns `count` MP3 frames numbered from `first` on."""
    return b"".join(
        b"\xff\xfb\x90\xc4" + bytes(36) + b"%08d" % number + b"." * (SIZE - 48)
        for number in range(first, first + count)
    )


def numbers(audio: bytes) -> list[int]:
    """Returns the numbers of the frames, which must be whole."""
    assert len(audio) % SIZE == 0, len(audio)
    found = [audio[at : at + SIZE] for at in range(0, len(audio), SIZE)]
    assert all(frame == frames(int(frame[40:48]), 1) for frame in found)
    return [int(frame[40:48]) for frame in found]


class Stage:
    """Mounts and listeners, without a loop: the test runs the passes."""

    def __init__(self) -> None:
        self.gone: list[Reason] = []
        self.count = 0

    def mount(self, first: int, content_type: str = "audio/mpeg") -> Mount:
        events = StreamEvents()
        events.listener_left.subscribe(lambda event: self.gone.append(event.reason))
        description = SourceDescription(source_info(Headers()), content_type, (), "127.0.0.1", 0.0)
        mount = Mount("/x", SETTINGS, description, Pacer(0.5, lambda: 0.0), events, lambda: 0.0)
        mount.start(description)
        if content_type == "audio/mpeg":
            mount.feed(frames(first, 20))
        return mount

    def join(
        self, mount: Mount, metaint: int, room: int | None = None, *, is_encrypted: bool = False
    ) -> MemoryTransport:
        self.count += 1
        transport = MemoryTransport(room)
        outer = encrypting(transport) if is_encrypted else transport
        mount.join(self.count, outer, WHO, HEAD, metaint, 0.0)
        return transport


def catch_up(mount: Mount, *transports: MemoryTransport) -> None:
    for transport in transports:
        transport.room = None
    for _ in range(3):
        mount.fanout._pass()


def received(transport: MemoryTransport, metaint: int) -> tuple[bytes, list[str]]:
    """Returns the audio and the titles that a listener has got."""
    got = bytes(transport.got)
    assert got.startswith(HEAD)
    audio, titles = b"", list[str]()
    if not metaint:
        return got[len(HEAD) :], titles
    for event in IcyReader(metaint).feed(got[len(HEAD) :]):
        if isinstance(event, IcyTitle):
            titles.append(event.text)
        else:
            audio += event
    return audio, titles


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_from_any_position_listeners_continue_with_whole_frames_in_phase_and_the_new_title(
    seed: int, is_encrypted: bool
) -> None:
    rng, stage = Random(seed), Stage()
    here, there = stage.mount(0), stage.mount(1000)
    here.set_title("", "here")
    there.set_title("", "there")
    crowd = [
        (stage.join(here, metaint, rng.choice((None, rng.randint(0, 9000))), is_encrypted=is_encrypted), metaint)
        for metaint in (0, METAINT, METAINT)
        for _ in range(4)
    ]
    here.feed(frames(20, rng.randint(1, 12)))
    here.fanout._pass()
    for transport, _ in crowd:
        if transport.room is not None and rng.random() < 0.5:
            transport.room += rng.randint(0, 3000)
    here.feed(frames(here.ring.head // SIZE, rng.randint(0, 3)))
    if rng.random() < 0.5:
        here.fanout._pass()
    attach(there, detach(here))
    assert (len(here.fanout), len(there.fanout)) == (0, len(crowd))
    there.fanout._pass()
    there.feed(frames(1020, 10))
    catch_up(there, *(transport for transport, _ in crowd))
    assert stage.gone == []
    for transport, metaint in crowd:
        audio, titles = received(transport, metaint)
        found = numbers(audio)
        jumps = [(one, other) for one, other in pairwise(found) if other != one + 1]
        assert len(jumps) <= 1 and all(one < 1000 <= other for one, other in jumps), jumps
        assert found[-1] == 1029
        assert not metaint or titles[-1] == "there"


@pytest.mark.parametrize("metaint", [0, METAINT])
def test_caught_up_listeners_get_the_next_frame_of_the_same_mount_after_it_jumped(metaint: int) -> None:
    stage = Stage()
    mount = stage.mount(0)
    mount.set_title("", "before")
    transport = stage.join(mount, metaint)
    mount.feed(frames(20, 3))
    catch_up(mount)
    moving = detach(mount)
    mount.restart_at(500_000)
    attach(mount, moving)
    mount.set_title("", "after")
    mount.feed(frames(300, 5))
    catch_up(mount)
    audio, titles = received(transport, metaint)
    assert numbers(audio)[-8:] == [20, 21, 22, 300, 301, 302, 303, 304]
    assert titles[-2:] == (["before", "after"] if metaint else [])
    assert mount.fanout.position_of(next(iter(mount.fanout))) == 500_000 + 5 * SIZE


def test_what_was_encrypted_before_a_move_is_counted_once() -> None:
    stage = Stage()
    here, there = stage.mount(0), stage.mount(1000)
    transport = stage.join(here, 0, room=len(HEAD) + 100, is_encrypted=True)
    listener = next(iter(here.fanout))
    assert here.fanout.sent_to(listener) > len(HEAD) + 100 == len(transport.got)
    attach(there, detach(here))
    there.feed(frames(1020, 1))
    catch_up(there, transport)
    total = here.fanout.bytes_sent + there.fanout.bytes_sent
    assert total == there.fanout.sent_to(listener) == len(transport.got)


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_what_was_encrypted_before_a_move_goes_out_although_the_new_mount_ends_at_once(is_encrypted: bool) -> None:
    stage = Stage()
    here, there = stage.mount(0), stage.mount(1000)
    transport = stage.join(here, 0, room=len(HEAD) + 100, is_encrypted=is_encrypted)
    attach(there, detach(here))
    there.end()
    there.close()
    assert not there.fanout._is_finished(), "it has not got what was there before it was moved"
    there.fanout._pass()
    assert not there.fanout._is_finished()
    catch_up(there, transport)
    assert there.fanout._is_finished()
    first, *others = numbers(received(transport, 0)[0])
    assert first < 20 and others == list(range(first + 1, first + 1 + len(others)))


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_who_skips_what_it_missed_gets_whole_frames_in_phase_and_the_title(seed: int, is_encrypted: bool) -> None:
    rng, stage = Random(seed), Stage()
    mount = stage.mount(0)
    mount.set_title("", "before")
    crowd = [(stage.join(mount, metaint, is_encrypted=is_encrypted), metaint) for metaint in (0, METAINT, METAINT)]
    for transport, _ in crowd:
        transport.room = rng.randint(0, 9000)
    mount.feed(frames(20, 30))
    mount.fanout._pass()
    mount.set_title("", "after")
    mount.feed(frames(50, 60))
    for listener in mount.fanout:
        missing = mount.ring.head - mount.fanout.position_of(listener)
        assert listener in mount.fanout._behind and missing > 0
        assert skip(mount, listener)
        assert mount.ring.head - listener.position <= max(3000 + 2 * METAINT, SIZE)
    mount.feed(frames(110, 10))
    catch_up(mount, *(transport for transport, _ in crowd))
    assert stage.gone == []
    for transport, metaint in crowd:
        audio, titles = received(transport, metaint)
        found = numbers(audio)
        jumps = [(one, other) for one, other in pairwise(found) if other != one + 1]
        assert len(jumps) == 1 and jumps[0][0] < jumps[0][1] and found[-1] == 119
        assert not metaint or titles[-1] == "after"


@pytest.mark.parametrize("metaint", [0, METAINT])
def test_who_had_everything_before_it_was_overwritten_goes_on_with_whole_frames(metaint: int) -> None:
    stage = Stage()
    mount = stage.mount(0)
    transport = stage.join(mount, metaint)
    catch_up(mount, transport)
    more = mount.ring.capacity // SIZE + 50
    mount.fanout.on_late = partial(skip, mount)
    for number in range(20, 20 + more):
        mount.feed(frames(number, 1))
    catch_up(mount)
    found = numbers(received(transport, metaint)[0])
    assert [one for one, other in pairwise(found) if other != one + 1] == [19] and found[-1] == 19 + more
    assert stage.gone == []


def test_who_lacks_the_rest_of_its_frame_cannot_skip() -> None:
    stage = Stage()
    mount = stage.mount(0)
    stage.join(mount, 0, room=len(HEAD) + 10)
    listener = next(iter(mount.fanout))
    mount.ring.append(bytes(mount.ring.capacity))
    assert not skip(mount, listener)


def test_only_the_selected_listeners_are_taken() -> None:
    stage = Stage()
    mount, other = stage.mount(0), stage.mount(100)
    stayed, went = stage.join(mount, 0), stage.join(mount, 0)
    attach(other, detach(mount, lambda listener: listener.transport is went))
    mount.feed(frames(20, 1))
    other.feed(frames(120, 1))
    catch_up(mount)
    catch_up(other)
    assert numbers(received(stayed, 0)[0])[-2:] == [19, 20]
    assert numbers(received(went, 0)[0])[-2:] == [19, 120]


def test_a_listener_that_cannot_get_the_rest_of_its_frame_is_dropped() -> None:
    stage = Stage()
    mount = stage.mount(0)
    slow = stage.join(mount, 0, room=len(HEAD) + 10)
    mount.ring.append(bytes(mount.ring.capacity))
    assert detach(mount) == []
    assert (stage.gone, slow.closed) == ([Reason.SLOW], True)


def test_counts_of_bytes_go_with_the_listener() -> None:
    stage = Stage()
    mount, other = stage.mount(0), stage.mount(100)
    transport = stage.join(mount, METAINT)
    mount.feed(frames(20, 4))
    catch_up(mount)
    attach(other, detach(mount))
    other.feed(frames(120, 4))
    catch_up(other)
    (listener,) = other.fanout
    assert other.fanout.sent_to(listener) == len(transport.got)


def test_a_listener_of_an_ogg_stream_gets_the_other_streams_header_first() -> None:
    stage = Stage()
    here, there = stage.mount(0, "application/ogg"), stage.mount(0, "application/ogg")
    for mount, serial in ((here, 1), (there, 2)):
        mount.take(page([b"a" * 50], serial=serial), [])
        mount.timeline.add_header(mount.ring.head, b"HEADER%d" % serial)
        mount.timeline.add_join(mount.ring.head, 0.0)
        mount.take(page([b"b" * 50], serial=serial), [])
    transport = stage.join(here, 0)
    attach(there, detach(here))
    catch_up(there)
    begun, _, rest = bytes(transport.got).partition(b"HEADER2")
    assert begun == HEAD + b"HEADER1" + page([b"b" * 50], serial=1)
    assert rest == page([b"b" * 50], serial=2)


def test_relocate_moves_the_selected_listeners_and_prepares_while_they_are_in_no_mount() -> None:
    stage = Stage()
    here, there = stage.mount(0), stage.mount(100)
    stayed, went = stage.join(here, METAINT), stage.join(here, METAINT)
    there.set_title("", "there")
    seen: list[tuple[int, int]] = []
    moved = relocate(
        here,
        there,
        which=lambda listener: listener.transport is went,
        prepare=lambda moving: seen.append((len(here.fanout), len(there.fanout))),
    )
    assert [listener.transport for listener in moved] == [went]
    assert (seen, len(here.fanout), len(there.fanout)) == ([(1, 0)], 1, 1)
    here.feed(frames(20, 3))
    there.feed(frames(120, 3))
    catch_up(here)
    catch_up(there)
    assert numbers(received(stayed, METAINT)[0])[-3:] == [20, 21, 22]
    assert numbers(received(went, METAINT)[0])[-4:] == [19, 120, 121, 122]
    assert received(went, METAINT)[1][-1] == "there"


def test_relocate_on_one_mount_lets_it_jump_with_its_listeners() -> None:
    stage = Stage()
    mount = stage.mount(0)
    transport = stage.join(mount, 0)
    relocate(mount, mount, prepare=lambda moving: mount.restart_at(500_000))
    mount.feed(frames(300, 2))
    catch_up(mount)
    assert numbers(received(transport, 0)[0])[-3:] == [19, 300, 301]


def test_relocate_without_listeners_prepares_all_the_same() -> None:
    stage = Stage()
    mount = stage.mount(0)
    assert relocate(mount, mount, prepare=lambda moving: mount.restart_at(7000)) == []
    assert mount.ring.head == 7000


def test_relocate_waits_for_the_pass_that_is_under_way(wait_until: WaitUntil) -> None:
    stage, group = Stage(), Group()
    here, there = stage.mount(0), stage.mount(100)
    stage.join(here, 0)
    here.fanout._resting.clear()
    group.spawn("move", lambda: relocate(here, there))
    gevent.sleep(0.01)
    assert (len(here.fanout), len(there.fanout)) == (1, 0)
    here.fanout._resting.set()
    wait_until(lambda: len(there.fanout) == 1, "the move")
    group.kill()


def busy(mount: Mount) -> None:
    """Makes it look as if a pass were under way."""
    mount.fanout._resting.clear()


@pytest.mark.parametrize("what", ["the target has ended", "it is no longer wanted"])
def test_a_move_that_had_to_wait_looks_again_at_where_it_goes(what: str, wait_until: WaitUntil) -> None:
    stage, group = Stage(), Group()
    here, there = stage.mount(0), stage.mount(100)
    transport = stage.join(here, 0)
    prepared: list[int] = []
    wanted = [True]
    busy(here)
    moving = group.spawn(
        "move", relocate, here, there, lambda one: True, lambda moving: prepared.append(1), lambda: wanted[0]
    )
    gevent.sleep(0)
    assert not moving.ready()
    if what == "the target has ended":
        there.end()
        there.close()
    else:
        wanted[0] = False
    here.fanout._resting.set()
    wait_until(moving.ready, "the move")
    assert (len(here.fanout), len(there.fanout), prepared, transport.closed) == (1, 0, [], False)


def test_a_player_of_wav_that_is_moved_gets_samples_and_no_header() -> None:
    stage = Stage()
    here, there = stage.mount(0, "audio/wav"), stage.mount(0, "audio/wav")
    here.feed(WAV_HEADER + b"a" * 3 * UNIT)
    there.feed(WAV_HEADER + b"b" * 3 * UNIT)
    transport = stage.join(here, 0)
    catch_up(here, transport)
    attach(there, detach(here))
    catch_up(there, transport)
    samples = bytes(transport.got).removeprefix(HEAD + WAV_HEADER)
    assert samples.strip(b"a").strip(b"b") == b"" and b"ab" in samples
    assert len(samples) % UNIT == 0


@pytest.mark.parametrize("metaint", [0, METAINT])
def test_who_is_up_to_date_gets_all_that_has_come_since_the_last_pass(metaint: int) -> None:
    stage = Stage()
    here, there = stage.mount(0), stage.mount(1000)
    transport, slow = stage.join(here, metaint), stage.join(here, metaint, room=len(HEAD) + 100)
    here.feed(frames(20, 5))
    here.fanout._pass()
    here.feed(frames(25, 30))
    relocate(here, there)
    there.feed(frames(1020, 3))
    catch_up(there, transport, slow)
    found = numbers(received(transport, metaint)[0])
    assert found[-33:] == [*range(25, 55), 1020, 1021, 1022], "a second of audio on a crowded node"
    assert numbers(received(slow, metaint)[0])[-3:] == [1020, 1021, 1022]
    assert 54 not in numbers(received(slow, metaint)[0]), "who is behind gets the rest of a frame"
