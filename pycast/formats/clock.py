"""Media time and bit rate, measured from what a stream says about itself.

A position written in a stream (an Ogg granule, a WebM timecode) cannot be trusted to start at zero, to be continuous or
to be sane: a relay joins in the middle, a chained stream starts again, a broken encoder jumps. So only differences are
used, and only plausible ones. The one invariant: a clock never goes back. Wall time plays no part here.
"""

MAX_STEP_S = 60.0
"""A longer step between two units is a jump in numbering, not a minute of audio: an Ogg page of FLAC holds at most
about 24 s."""

MEASURE_S = 5.0
"""Bit rate is measured over this much media: long enough to even out VBR, short enough to be right soon after a
change."""

FIRST_MEASURE_S = 1.0
"""The first stretch is shorter: until it is over the rate is not known, or only what a header claims."""

TOLERANCE = 0.05
"""A measured rate that differs less than this from the one last reported is no news."""


class MediaClock:
    """Turns positions in seconds, on any scale, into media time that starts at `time_s` and never goes back."""

    __slots__ = ("_last_s", "time_s")

    def __init__(self, time_s: float = 0.0, position_s: float = 0.0) -> None:
        self.time_s = time_s
        self._last_s = position_s

    def advance(self, position_s: float) -> None:
        """Move to `position_s` on the stream's own scale; a step back or a jump only re-bases the scale."""
        step = position_s - self._last_s
        if 0.0 < step <= MAX_STEP_S:
            self.time_s += step
        self._last_s = position_s


class BitrateMeter:
    """Bit rate over stretches of `MEASURE_S` of media, reported only when it has changed."""

    __slots__ = ("_bitrate", "_due_s", "_start_offset", "_start_s")

    def __init__(self, offset: int, time_s: float, bitrate: int | None) -> None:
        """Start at `offset` and `time_s`; `bitrate` (bit/s) is what has been reported so far."""
        self._bitrate = bitrate
        self._start_offset = offset
        self._start_s = time_s
        self._due_s = time_s + FIRST_MEASURE_S

    @property
    def due_s(self) -> float:
        """Media time before which `measure` has nothing to say: callers in a hurry look here first."""
        return self._due_s

    def restart(self, offset: int, time_s: float) -> None:
        """Forget the stretch under way, because bytes that are not media came in between."""
        self._start_offset = offset
        self._start_s = time_s
        self._due_s = time_s + MEASURE_S

    def measure(self, offset: int, time_s: float) -> int | None:
        """The rate in bit/s, rounded to a whole kbit/s, if a stretch is complete and its rate is news; else None."""
        if time_s < self._due_s:
            return None
        exact = (offset - self._start_offset) * 8 / (time_s - self._start_s)
        self.restart(offset, time_s)
        bitrate = round(exact / 1000) * 1000
        if not bitrate or (self._bitrate and abs(bitrate - self._bitrate) <= TOLERANCE * self._bitrate):
            return None
        self._bitrate = bitrate
        return bitrate
