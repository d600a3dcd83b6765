"""Where a new listener starts.

At a join point `burst` back, so that its player fills its buffer at once. An ICY listener starts at the first join
point after a line of the mount's metaint grid: so there are at most as many different phases as a frame has bytes, and
the listeners of one phase share their bytes (`stream/views.py`). For that it may get up to `metaint` bytes more than
the burst.
"""

from typing import NamedTuple

from pycast.config.units import Size
from pycast.stream.ring import Ring
from pycast.stream.timeline import Timeline

# Assumed bit/s of a stream that tells neither time nor bitrate: the commonest of all bitrates.
FALLBACK_BITRATE = 128_000


class Placement(NamedTuple):
    """A start: the audio from `position` on, after the codec header `header`; `phase` is that of an ICY view."""

    position: int
    header: bytes
    phase: int


def place(
    ring: Ring,
    timeline: Timeline,
    burst: Size,
    metaint: int,
    bitrate: int | None,
    floor: int = 0,
    first: int | None = None,
) -> Placement:
    """Returns where a new listener starts, not before `floor`; at `first` if that is given (`begun_at`).

    `metaint` is 0 for a listener without ICY titles; `bitrate` is in bit/s, None if unknown.
    """
    if first is not None:
        return Placement(first, timeline.header_at(first), first % metaint if metaint else 0)
    floor = max(floor, ring.oldest)
    target = max(_target(ring, timeline, burst, bitrate), floor)
    if metaint and ring.head - target >= metaint:
        target = max(target - target % metaint, floor)
    position = _join_after(ring, timeline, target, floor)
    return Placement(position, timeline.header_at(position), position % metaint if metaint else 0)


def place_after(
    ring: Ring, timeline: Timeline, back: int, metaint: int, since_block: int, floor: int, first: int | None
) -> Placement:
    """Returns where a listener goes on that has had other audio: `back` bytes back, or up to two `metaint` more, so
    that there are few phases. It has got `since_block` bytes of audio since its last title block. The rest as `place`.
    """
    floor = max(floor, ring.oldest)
    position = first
    if position is None:
        target = ring.head - back
        target -= (target - since_block) % metaint if metaint else 0
        if metaint and timeline.first_join(target) is None:  # the first frame after that line is still to come
            target -= metaint
        position = _join_after(ring, timeline, max(target, floor), floor)
    return Placement(position, timeline.header_at(position), (position - since_block) % metaint if metaint else 0)


def begun_at(ring: Ring, timeline: Timeline, floor: int, begun: int, first_until: int) -> int | None:
    """Returns the first byte of the source, which began at `begun`, while listeners start there: as long as it has sent
    no more than its first bytes, which end at `first_until`, and as long as there is no join point, but a tag.
    """
    floor, last = max(ring.oldest, floor), timeline.last_join()
    has_join = last is not None and last >= floor
    is_there = floor <= begun <= ring.head
    return begun if is_there and (ring.head == first_until or not has_join) else None


def since_join(ring: Ring, timeline: Timeline, begun: int) -> int:
    """Returns the bytes since the last place where a listener can start: a join point, or the first byte of the source,
    which began at `begun`, if there is none.
    """
    last = timeline.last_join()
    start = begun if last is None or last < ring.oldest else last
    return ring.head - start if ring.oldest <= start <= ring.head else 0


def _join_after(ring: Ring, timeline: Timeline, target: int, floor: int) -> int:
    """Returns the first place from `target` on where a decoder can begin, else the last one; the head if there is none
    after `floor`.
    """
    position = timeline.first_join(target)
    if position is None:
        position = timeline.last_join()
    return ring.head if position is None or not floor <= position <= ring.head else position


def _target(ring: Ring, timeline: Timeline, burst: Size, bitrate: int | None) -> int:
    if burst.seconds is not None:
        join = timeline.join_before_end(burst.seconds)
        if join is not None:
            return join
    return ring.head - burst.in_bytes((bitrate or FALLBACK_BITRATE) / 8)
