"""The tune that `pycast demo` plays: one seamless loop of MP3, made by scripts/make_demo_tune.py.

Also computes which of its bytes are due at what time. No clock, no I/O except reading the file. The invariant: the
bytes are whole frames (MPEG-1 layer III, 128 kbit/s, 44.1 kHz, stereo) and nothing else, and may be sent again and
again without a seam.
"""

from importlib.resources import files

CONTENT_TYPE = "audio/mpeg"
BITRATE = 128_000  # bits a second
TITLE = "The pycast authors - Loop in E flat"

# How far a feeder is ahead of the clock, so that the first listener gets a burst; and how often it feeds.
LEAD_S, STEP_S = 5.0, 0.1


def demo_mp3() -> bytes:
    """Returns the loop's bytes, about 430 kB and 26.7 s. Reads the file at each call."""
    return files(__name__).joinpath("tune.mp3").read_bytes()


def offset_at(seconds: float) -> int:
    """Returns how many bytes are played in that time."""
    return int(seconds * BITRATE / 8)


class Playback:
    """An endless playback of the tune at the pace of a clock.

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
        """The round through the tune to which the next byte belongs: 1, 2 …"""
        return self.offset // len(self._tune) + 1

    def due(self, now: float) -> bytes:
        """Returns the bytes that are due and not sent, up to the end of this round: call again for the rest."""
        at = self.offset % len(self._tune)
        return self._tune[at : at + max(0, offset_at(now - self._began) - self.offset)]

    def advance(self, size: int) -> None:
        """Records that the next `size` bytes have been sent."""
        self.offset += size
