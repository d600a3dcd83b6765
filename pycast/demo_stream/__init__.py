"""The tune that `pycast demo` plays: one seamless loop of MP3, made by scripts/make_demo_tune.py.

Also says which of its bytes are due at what time. No clock, no I/O but reading the file. The invariant: the bytes are
whole frames (MPEG-1 layer III, 128 kbit/s, 44.1 kHz, stereo) and nothing else, and may be sent again and again without
a seam.
"""

from importlib.resources import files

CONTENT_TYPE = "audio/mpeg"
BITRATE = 128_000  # bits a second
FRAME_S = 1_152 / 44_100  # seconds that one frame lasts
TITLE = "The pycast authors - Loop in E flat"

# How far a feeder is ahead of the clock, so that the first listener gets a burst; and how often it feeds.
LEAD_S, STEP_S = 5.0, 0.1


def demo_mp3() -> bytes:
    """The loop's bytes, about 430 kB and 26.7 s. Reads the file each time: keep what you got."""
    return files(__name__).joinpath("tune.mp3").read_bytes()


def offset_at(seconds: float) -> int:
    """Returns how many bytes play in that time."""
    return int(seconds * BITRATE / 8)


class Playback:
    """The tune without end, at the pace of a clock: which bytes are due now.

    Its byte 0 was due at `began`; `offset` is the next one to send.
    """

    def __init__(self, tune: bytes, began: float, offset: int = 0) -> None:
        self._tune = tune
        self._began = began
        self.offset = offset

    @property
    def is_at_start(self) -> bool:
        """Whether the next byte is the first of a round."""
        return self.offset % len(self._tune) == 0

    @property
    def round(self) -> int:
        """In which round through the tune the next byte is: 1, 2 …"""
        return self.offset // len(self._tune) + 1

    def due(self, now: float) -> bytes:
        """Returns what is due and not sent: at most the rest of this round, so it may be called again at once."""
        at = self.offset % len(self._tune)
        return self._tune[at : at + max(0, offset_at(now - self._began) - self.offset)]

    def advance(self, size: int) -> None:
        """Notes that the next `size` bytes are sent."""
        self.offset += size
