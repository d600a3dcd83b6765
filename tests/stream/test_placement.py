"""Where listeners start: at join points, a burst back, ICY ones in few phases."""

import pytest

from pycast.config.units import Size
from pycast.stream.placement import place, place_after
from pycast.stream.ring import Ring
from pycast.stream.timeline import Timeline

FRAME = 417


def stream(frames: int, capacity: int = 1 << 20) -> tuple[Ring, Timeline]:
    ring, timeline = Ring(capacity), Timeline()
    for number in range(frames):
        timeline.add_join(ring.head, number * 0.026)
        ring.append(b"f" * FRAME)
    timeline.trim(ring.oldest)
    return ring, timeline


def test_a_burst_in_bytes_starts_at_the_first_join_within_it() -> None:
    ring, timeline = stream(500)
    start = place(ring, timeline, Size(bytes=65_536), 0, None)
    assert start.position % FRAME == 0
    assert 65_536 - FRAME < ring.head - start.position <= 65_536


def test_a_burst_in_seconds_uses_media_time() -> None:
    ring, timeline = stream(500)
    start = place(ring, timeline, Size(seconds=2.6), 0, None)
    assert (ring.head - start.position) // FRAME in (100, 101)


def test_a_burst_in_seconds_without_time_uses_the_bitrate() -> None:
    ring, timeline = Ring(1 << 20), Timeline()
    for _ in range(100):
        timeline.add_join(ring.head, None)
        ring.append(b"x" * 1000)
    start = place(ring, timeline, Size(seconds=2), 0, 64_000)
    assert ring.head - start.position == 16_000


def test_no_burst_starts_at_the_last_join() -> None:
    ring, timeline = stream(10)
    start = place(ring, timeline, Size(bytes=0), 0, None)
    assert ring.head - start.position == FRAME


def test_a_stream_without_a_join_starts_at_its_head() -> None:
    ring, timeline = Ring(4096), Timeline()
    ring.append(b"xyz")
    assert place(ring, timeline, Size(bytes=65_536), 0, None).position == 3


def test_the_codec_header_of_the_start_comes_first() -> None:
    ring, timeline = stream(500)
    timeline.add_header(0, b"old")
    timeline.add_header(400 * FRAME, b"new")
    assert place(ring, timeline, Size(bytes=100 * FRAME), 0, None).header == b"new"
    assert place(ring, timeline, Size(bytes=200 * FRAME), 0, None).header == b"old"


def test_icy_listeners_share_few_phases() -> None:
    ring, timeline = Ring(1 << 20), Timeline()
    phases = set()
    for _ in range(4000):
        timeline.add_join(ring.head, None)
        ring.append(b"f" * FRAME)
        start = place(ring, timeline, Size(bytes=65_536), 16_000, None)
        assert start.phase == start.position % 16_000
        assert ring.head - start.position <= 65_536 + 16_000
        if ring.head > 100_000:
            assert ring.head - start.position > 65_536 - FRAME
            phases.add(start.phase)
    assert len(phases) <= FRAME


def test_a_burst_smaller_than_metaint_stays_small() -> None:
    ring, timeline = stream(500)
    start = place(ring, timeline, Size(bytes=1000), 16_000, None)
    assert ring.head - start.position <= 1000


def test_no_listener_starts_before_the_floor() -> None:
    ring, timeline = stream(500)
    floor = 450 * FRAME
    assert place(ring, timeline, Size(bytes=65_536), 0, None, floor).position == floor
    assert place(ring, timeline, Size(bytes=65_536), 16_000, None, floor).position == floor
    assert place(ring, timeline, Size(seconds=5), 0, None, floor).position == floor
    assert place(ring, timeline, Size(bytes=0), 0, None, ring.head).position == ring.head


@pytest.mark.parametrize(("back", "since"), [(0, 0), (0, 927), (5000, 400), (60_000, 15_999)])
def test_who_goes_on_after_other_audio_has_one_of_few_phases_and_little_more_than_asked_for(
    back: int, since: int
) -> None:
    ring, timeline = Ring(1 << 20), Timeline()
    phases, lines = set(), set()
    for number in range(2000):
        timeline.add_join(ring.head, None)
        ring.append(b"f" * FRAME)
        start = place_after(ring, timeline, back, 16_000, since, 0, None)
        assert start.phase == (start.position - since) % 16_000 and start.position % FRAME == 0
        if number > 300:
            assert back - FRAME <= ring.head - start.position <= back + 2 * 16_000
            phases.add(start.phase)
            lines.add((start.position - since) // 16_000)
    assert len(phases) == len(lines) and max(phases) < FRAME


def test_who_goes_on_without_titles_begins_at_the_last_frame_or_where_the_source_began() -> None:
    ring, timeline = stream(500)
    assert place_after(ring, timeline, 0, 0, 0, 0, None).position == ring.head - FRAME
    assert place_after(ring, timeline, 0, 0, 0, 0, 7 * FRAME).position == 7 * FRAME
    assert place_after(ring, timeline, 10**6, 16_000, 0, 450 * FRAME, None).position == 450 * FRAME
