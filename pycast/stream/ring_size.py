"""How large a mount's ring is: enough for the slowest listener, for readers that come back, and for one whole unit.

The one invariant: a ring does not grow beyond `LARGEST_RING`, whatever a stream claims.
"""

from pycast.stream.ring import Ring

# The ring covers at least this much audio, so that a mirror or a player can come back to where it was.
RING_S = 30.0

# Bytes in the ring behind the slowest listener allowed, so that a pass never reads what is being overwritten.
RING_MARGIN = 64 << 10

# A ring that grows, to hold a large video cluster whole or for a high bitrate, stops here.
LARGEST_RING = 64 << 20


def usual_size(allowed_lag: int, bitrate: int | None) -> int:
    """Returns the bytes of a ring whose listeners may be `allowed_lag` behind; `bitrate` is None if not known."""
    # The rate is the stream's own claim, and a Vorbis header may claim gigabytes a second.
    return min(max(allowed_lag + RING_MARGIN, int((bitrate or 0) / 8 * RING_S)), LARGEST_RING)


def make_room(ring: Ring, since_join: int, more: int) -> None:
    """Grows the ring if `more` bytes would push out the only place where a listener can start (a long video cluster),
    which is `since_join` bytes back, or do not fit at once (a key frame).
    """
    needed = since_join + more + RING_MARGIN
    if needed > ring.capacity:
        ring.grow(min(2 * needed, LARGEST_RING))
