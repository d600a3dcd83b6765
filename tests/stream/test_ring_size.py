"""A ring has room for what its listeners may be behind and for half a minute, and never for what nobody can mean."""

import pytest

from pycast.stream.ring import Ring
from pycast.stream.ring_size import LARGEST_RING, RING_MARGIN, RING_S, make_room, usual_size


@pytest.mark.parametrize(
    ("lag", "bitrate", "size"),
    [
        (500_000, None, 500_000 + RING_MARGIN),
        (500_000, 1_000_000, int(125_000 * RING_S)),
        (500_000, 10**12, LARGEST_RING),
    ],
)
def test_a_ring_covers_the_slowest_listener_and_half_a_minute(lag: int, bitrate: int | None, size: int) -> None:
    assert usual_size(lag, bitrate) == size


def test_a_ring_grows_before_the_last_join_point_would_be_lost() -> None:
    ring = Ring(100_000)
    make_room(ring, 0, 1000)
    assert ring.capacity < 110_000
    make_room(ring, 90_000, 50_000)
    assert ring.capacity >= 2 * (140_000 + RING_MARGIN)
    make_room(ring, 1 << 40, 1)
    assert ring.capacity == LARGEST_RING
