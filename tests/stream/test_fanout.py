"""The fan-out: whatever sockets take and whenever, every listener gets exactly its view of the audio."""

import random
from collections.abc import Callable, Iterator

import pytest

from pycast.http.icy import IcyReader, IcyTitle, title_block
from pycast.net.group import Group
from pycast.stream.fanout import LENIENT_S, STANDSTILL_S, URGENT_BYTES, Fanout, Reason
from pycast.stream.listener import Listener, Transport
from pycast.stream.pacer import Pacer
from pycast.stream.ring import Ring
from pycast.stream.timeline import MOST_MARKS, Timeline, Title
from pycast.stream.views import IcyView, RawView, View
from tests.conftest import WaitUntil
from tests.stream.memory import WHO, MemoryTransport, encrypting


class Stage:
    """A ring, a timeline and a fan-out whose passes the test runs itself."""

    def __init__(self, queue_size: int = 20_000) -> None:
        self.ring = Ring(64 << 10)
        self.timeline = Timeline()
        self.gone: list[tuple[int, Reason]] = []
        self.now = 0.0
        self.fanout = Fanout(
            self.ring,
            Pacer(0.5, lambda: 0.0),
            lambda: queue_size,
            lambda: queue_size // 8,
            lambda listener, reason: self.gone.append((listener.id, reason)),
            lambda: self.now,
        )
        self.raw = RawView(self.ring)
        self._ids = iter(range(1, 10_000))

    def join(
        self, transport: Transport, view: View | None = None, position: int = 0, first_title_at: int = -1
    ) -> Listener:
        listener = Listener(next(self._ids), transport, WHO, view or self.raw, position, b"HEAD", first_title_at, 0.0)
        self.fanout.join(listener)
        return listener

    def run_pass(self) -> None:
        self.fanout._pass()


def test_a_new_listener_gets_prefix_and_burst_at_once() -> None:
    stage = Stage()
    stage.ring.append(b"audio")
    transport = MemoryTransport()
    stage.join(transport, position=1)
    assert transport.got == b"HEADudio"


def test_listeners_that_keep_up_share_one_position() -> None:
    stage = Stage()
    transports = [MemoryTransport() for _ in range(200)]
    for transport in transports:
        stage.join(transport)
    for step in range(5):
        stage.ring.append(b"%d" % step * 100)
        stage.run_pass()
    assert {bytes(transport.got) for transport in transports} == {b"HEAD" + stage.ring.read(0, 500)}
    assert {stage.fanout.position_of(listener) for listener in stage.fanout} == {500}
    assert {stage.fanout.sent_to(listener) for listener in stage.fanout} == {504}
    assert stage.fanout.bytes_sent == 200 * 504


def test_who_joins_others_that_are_nearly_caught_up_needs_no_push_of_its_own() -> None:
    stage = Stage()
    first, second = MemoryTransport(), MemoryTransport()
    stage.join(first)
    stage.ring.append(b"a" * 500)
    stage.run_pass()
    stage.ring.append(b"b" * 100)
    listener = stage.join(second, position=100)
    assert second.got == b"HEAD" + b"a" * 400
    assert (stage.fanout.position_of(listener), stage.fanout.sent_to(listener)) == (500, 404)
    writes = second.writes
    stage.run_pass()
    stage.ring.append(b"c" * 100)
    stage.run_pass()
    assert second.got == b"HEAD" + stage.ring.read(100, 700)
    assert first.got == b"HEAD" + stage.ring.read(0, 700)
    assert second.writes == writes + 2


def test_who_joins_others_that_have_much_to_get_is_pushed_to_the_head() -> None:
    stage = Stage(queue_size=20_000)
    stage.join(MemoryTransport())
    stage.ring.append(b"a" * 500)
    stage.run_pass()
    stage.ring.append(b"b" * 1000)  # more than a quarter of a burst
    transport = MemoryTransport()
    stage.join(transport)
    assert transport.got == b"HEAD" + stage.ring.read(0, 1500)
    stage.run_pass()
    assert transport.got == b"HEAD" + stage.ring.read(0, 1500)


def test_a_slow_listener_is_dropped_and_costs_the_others_nothing() -> None:
    stage = Stage(queue_size=1000)
    slow, fast = MemoryTransport(room=10), MemoryTransport()
    lost, kept = stage.join(slow), stage.join(fast)
    for _ in range(20):
        stage.ring.append(b"x" * 100)
        stage.run_pass()
    assert stage.gone == [(lost.id, Reason.SLOW)]
    assert slow.closed
    assert fast.got == b"HEAD" + b"x" * 2000
    assert [listener.id for listener in stage.fanout] == [kept.id]


def test_a_broken_connection_leaves_once() -> None:
    stage = Stage()
    transport = MemoryTransport()
    listener = stage.join(transport)
    stage.ring.append(b"a" * 10)
    stage.run_pass()
    transport.broken = True
    stage.ring.append(b"b" * 10)
    stage.run_pass()
    stage.fanout.drop(listener, Reason.KILLED)
    assert stage.gone == [(listener.id, Reason.RESET)]
    assert len(stage.fanout) == 0


def test_listeners_dropped_while_caught_up_have_whole_frames_and_joined_first() -> None:
    stage = Stage()
    slow, *transports = [MemoryTransport(room=6), *(MemoryTransport() for _ in range(4))]
    behind, *others = [stage.join(transport) for transport in (slow, *transports)]
    stage.ring.append(b"frame")
    stage.run_pass()
    stage.ring.append(b"half of what is next is not sent yet")
    assert stage.fanout.drop_caught_up(3, Reason.DRAINED) == 3
    assert stage.gone == [(one.id, Reason.DRAINED) for one in others[:3]]
    assert {bytes(transport.got) for transport in transports} == {b"HEADframe"}
    stage.run_pass()
    assert stage.fanout.drop_caught_up(3, Reason.DRAINED) == 1
    assert [listener.id for listener in stage.fanout] == [behind.id]


def test_the_counts_of_a_listener_that_leaves_are_exact() -> None:
    stage = Stage()
    transports = [MemoryTransport(), MemoryTransport(room=57), MemoryTransport()]
    listeners = [stage.join(transport) for transport in transports]
    for _ in range(4):
        stage.ring.append(b"x" * 33)
        stage.run_pass()
    for listener, transport in zip(listeners, transports, strict=True):
        assert stage.fanout.sent_to(listener) == len(transport.got)
        stage.fanout.drop(listener, Reason.KILLED)
        assert listener.sent == len(transport.got)


@pytest.mark.parametrize(("queue_size", "size"), [(4000, 2001), (1 << 30, URGENT_BYTES + 1)])
def test_audio_that_would_soon_be_too_much_does_not_wait_for_the_interval(queue_size: int, size: int) -> None:
    stage = Stage(queue_size)
    stage.ring.grow(2 * size)
    stage.ring.append(b"x" * (size - 1))
    stage.fanout.wake()
    assert not stage.fanout._urgent.is_set()
    stage.ring.append(b"x")
    stage.fanout.wake()
    assert stage.fanout._urgent.is_set()


def test_a_listener_that_was_overwritten_is_dropped_as_slow() -> None:
    stage = Stage(queue_size=1 << 30)
    caught_up = stage.join(MemoryTransport())
    stage.ring.append(b"x")
    stage.run_pass()
    behind = stage.join(MemoryTransport(room=0))
    stage.ring.append(b"x" * (stage.ring.capacity + 1))
    stage.run_pass()
    assert sorted(stage.gone) == [(caught_up.id, Reason.SLOW), (behind.id, Reason.SLOW)]


class RunningStage(Stage):
    """A fan-out that runs, and lets off whom it may."""

    def __init__(self, wait_until: WaitUntil) -> None:
        super().__init__(queue_size=1000)
        self.let_off: list[tuple[int, bool]] = []
        self.fanout.on_late = self._on_late
        self._wait_until = wait_until

    def _on_late(self, listener: Listener, is_whole: bool) -> bool:
        self.let_off.append((listener.id, is_whole))
        listener.position = self.ring.head
        return True

    def push(self, size: int) -> None:
        """Has this much audio pushed."""
        self.ring.append(b"x" * size)
        self.fanout.wake()
        self._wait_until(lambda: self.fanout.pushed == self.ring.head and self.fanout._resting.is_set(), "a pass")


@pytest.fixture
def running(wait_until: WaitUntil) -> Iterator[RunningStage]:
    stage, group = RunningStage(wait_until), Group()
    group.spawn("fan-out", stage.fanout.run)
    yield stage
    group.kill()


def test_who_cannot_keep_up_with_what_comes_after_a_standstill_misses_it_and_stays(running: RunningStage) -> None:
    transport = MemoryTransport()
    listener = running.join(transport)
    running.push(10)
    running.now += 2 * STANDSTILL_S
    transport.room = 100
    running.push(3000)
    assert running.let_off[0] == (listener.id, False) and running.gone == []
    for _ in range(int(LENIENT_S / STANDSTILL_S) + 2):
        running.now += STANDSTILL_S - 0.5
        transport.room = None
        running.push(10)
    transport.room = 0
    running.push(3000)
    assert running.gone == [(listener.id, Reason.SLOW)]


def test_who_had_everything_and_was_overwritten_goes_on_between_two_units(running: RunningStage) -> None:
    transport = MemoryTransport()
    listener = running.join(transport)
    running.push(10)
    running.push(running.ring.capacity + 1)
    assert running.let_off == [(listener.id, True)] and running.gone == []
    running.push(10)
    assert transport.got == b"HEAD" + b"x" * 20


def _expected(stage: Stage, view: View, start: int, first_title_at: int) -> bytes:
    return b"HEAD" + b"".join(view.pieces(start, stage.ring.head, first_title_at))


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_any_schedule_gives_every_listener_its_exact_stream(seed: int, is_encrypted: bool) -> None:
    rng = random.Random(seed)
    stage = Stage(queue_size=60_000)
    views: list[Callable[[int], tuple[View, int]]] = [
        lambda at: (stage.raw, -1),
        lambda at: (IcyView(stage.ring, stage.timeline, 700, at % 700), at + 700),
        lambda at: (IcyView(stage.ring, stage.timeline, 64, at % 64), at + 64),
    ]
    seen: list[tuple[MemoryTransport, View, int, int]] = []
    for _ in range(40):
        action = rng.random()
        if action < 0.5:
            stage.ring.append(rng.randbytes(rng.randrange(1, 1500)))
        elif action < 0.6:
            block = title_block(f"title {rng.random()}")
            assert block
            stage.timeline.add_title(stage.ring.head, Title("", "", "", block))
        elif action < 0.75:
            start = rng.randrange(max(0, stage.ring.head - 3000), stage.ring.head + 1)
            view, first_title_at = rng.choice(views)(start)
            transport = MemoryTransport(rng.choice([None, 0, 100, 5000]))
            seen.append((transport, view, start, first_title_at))
            stage.join(encrypting(transport) if is_encrypted else transport, view, start, first_title_at)
        else:
            for transport, _, _, _ in seen:
                if transport.room is not None:
                    transport.room += rng.choice([0, 1, 15, 500, 3000])
            stage.run_pass()
    for transport, view, start, first_title_at in seen:
        whole = _expected(stage, view, start, first_title_at)
        assert whole.startswith(bytes(transport.got))
        transport.room = None
    for _ in range(3):
        stage.run_pass()
    for transport, view, start, first_title_at in seen:
        assert bytes(transport.got) == _expected(stage, view, start, first_title_at)
    assert stage.gone == []


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_title_block_of_which_a_part_is_out_stays_as_it_is_whatever_becomes_of_the_titles(is_encrypted: bool) -> None:
    stage, metaint = Stage(), 700
    block = title_block("the first")
    assert block
    stage.timeline.add_title(500, Title("", "the first", "", block))
    stage.ring.append(bytes(metaint))
    transport = MemoryTransport(len(b"HEAD") + metaint + 5)
    view = IcyView(stage.ring, stage.timeline, metaint, 0)
    stage.join(encrypting(transport) if is_encrypted else transport, view, 0, metaint)
    for _ in range(2 * MOST_MARKS):  # so many that the first is forgotten
        stage.ring.append(b"x")
        stage.timeline.add_title(stage.ring.head, Title("", "", "", b"\0"))
        stage.run_pass()
    transport.room = None
    stage.run_pass()
    events = list(IcyReader(metaint).feed(bytes(transport.got).removeprefix(b"HEAD")))
    audio = b"".join(one for one in events if not isinstance(one, IcyTitle))
    assert audio == bytes(metaint) + b"x" * 2 * MOST_MARKS
    assert [one.text for one in events if isinstance(one, IcyTitle)] == ["the first"]


def test_what_was_encrypted_goes_out_also_if_no_more_audio_comes() -> None:
    stage = Stage()
    stage.ring.append(b"a" * 1000)
    transport = MemoryTransport(10)
    stage.join(encrypting(transport))
    transport.room = None
    stage.run_pass()
    assert transport.got == b"HEAD" + b"a" * 1000
    stage.run_pass()
    assert not stage.fanout._behind


def test_at_the_end_nobody_is_waited_for_who_has_all_and_only_lacks_a_title() -> None:
    stage = Stage()
    stage.ring.append(b"a" * 100)
    player, slow = MemoryTransport(), MemoryTransport()
    stage.join(player, IcyView(stage.ring, stage.timeline, 500, 0), first_title_at=500)
    slow.room = 50
    stage.join(slow)
    stage.run_pass()
    stage.fanout.end(Reason.SOURCE_GONE)
    assert not stage.fanout._is_finished(), "who reads slowly is waited for"
    slow.room = None
    stage.run_pass()
    assert stage.fanout._is_finished() and player.got == b"HEAD" + b"a" * 100 == slow.got
    assert stage.fanout.drop_caught_up(5, Reason.DRAINED) == 2 and player.closed and slow.closed


def test_a_listener_that_comes_after_the_end_is_dropped_at_once_and_counted() -> None:
    """No pass would ever come for it: it would be silent for ever, and hold its slot."""
    stage = Stage()
    stage.fanout.end(Reason.SOURCE_GONE)
    stage.fanout.run()
    late, moved = MemoryTransport(), MemoryTransport()
    stage.join(late)
    stage.fanout.put_in(Listener(50, moved, WHO, stage.raw, 0, b"", -1, 0.0))
    assert (late.closed, moved.closed, len(stage.fanout)) == (True, True, 0)
    assert stage.gone == [(1, Reason.SOURCE_GONE), (50, Reason.SOURCE_GONE)]
    gone = []
    stage.fanout.free(lambda listener, reason: gone.append(listener.id))
    stage.join(MemoryTransport())
    assert gone == [2]
