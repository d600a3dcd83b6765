"""The most that a source may send: how long to wait before it is read again.

What a source may send gathers while it sends less, for `BURST_S` at most: encoders send what they have kept when they
connect again, and no bitrate is quite constant. What is not read stays in the kernel's buffers, and then in the
encoder, so nothing is lost. The one invariant: over any time it gets no more than the limit, and `BURST_S` of it.
"""

BURST_S = 5.0


class SourceRate:
    """What one source has sent, against a limit in bits per second, which may change."""

    def __init__(self, now: float) -> None:
        self._paid_until = now - BURST_S

    def wait(self, size: int, limit: int, now: float) -> float:
        """Counts `size` bytes that were read at `now`; returns the seconds to wait, 0 if there is no limit."""
        if not limit:
            self._paid_until = now - BURST_S
            return 0.0
        self._paid_until = max(self._paid_until, now - BURST_S) + 8 * size / limit
        return max(0.0, self._paid_until - now)
