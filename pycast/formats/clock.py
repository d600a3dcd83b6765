"""Media time and bit rate, measured from the positions written in a stream.

Such a position (an Ogg granule, a WebM timecode) cannot be trusted to start at zero, to be continuous or to be sane: a
relay joins in the middle, a chained stream starts again, a broken encoder jumps. So only differences are used, and only
plausible ones. The one invariant: a clock never goes back. Wall time is not used here.
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
"""A measured rate that differs from the last reported one by no more than this part of it is not reported."""


class MediaClock:
    """A clock of media time that starts at `time_s`, never goes back, and is set by positions with any zero point."""

    __slots__ = ("_last_s", "time_s")

    def __init__(self, time_s: float = 0.0, position_s: float = 0.0) -> None:
        self.time_s = time_s
        self._last_s = position_s

    def advance(self, position_s: float) -> None:
        """Moves to `position_s` on the stream's own scale. After a step back or a jump it only counts from there on."""
        step = position_s - self._last_s
        if 0.0 < step <= MAX_STEP_S:
            self.time_s += step
        self._last_s = position_s


class BitrateMeter:
    """A meter of the bit rate over stretches of `MEASURE_S` of media, which reports only changes."""

    __slots__ = ("_bitrate", "_due_s", "_start_offset", "_start_s")

    def __init__(self, offset: int, time_s: float, bitrate: int | None) -> None:
        """Starts at `offset` and `time_s`. `bitrate` (bit/s) is the rate reported before, if any."""
        self._bitrate = bitrate
        self._start_offset = offset
        self._start_s = time_s
        self._due_s = time_s + FIRST_MEASURE_S

    @property
    def due_s(self) -> float:
        """Media time before which `measure` returns None: a hot loop compares with this instead of calling it."""
        return self._due_s

    def restart(self, offset: int, time_s: float) -> None:
        """Starts a new stretch, after bytes that are not media."""
        self._start_offset = offset
        self._start_s = time_s
        self._due_s = time_s + MEASURE_S

    def measure(self, offset: int, time_s: float) -> int | None:
        """Returns the rate in bit/s, rounded to a whole kbit/s, if a stretch is complete and the rate has changed; else
        None.
        """
        if time_s < self._due_s:
            return None
        exact = (offset - self._start_offset) * 8 / (time_s - self._start_s)
        self.restart(offset, time_s)
        bitrate = round(exact / 1000) * 1000
        if not bitrate or (self._bitrate and abs(bitrate - self._bitrate) <= TOLERANCE * self._bitrate):
            return None
        self._bitrate = bitrate
        return bitrate
