"""The tune that `pycast demo` plays: one seamless loop of MP3, made by scripts/make_demo_tune.py.

The invariant: the bytes are whole frames (MPEG-1 layer III, 128 kbit/s, 44.1 kHz, stereo) and nothing else, and may be
sent again and again without a seam.
"""

from importlib.resources import files

CONTENT_TYPE = "audio/mpeg"
BITRATE = 128_000  # bits a second
FRAME_S = 1_152 / 44_100  # seconds that one frame lasts
TITLE = "The pycast authors - Loop in E flat"


def demo_mp3() -> bytes:
    """The loop's bytes, about 430 kB and 26.7 s. Reads the file each time: keep what you got."""
    return files(__name__).joinpath("tune.mp3").read_bytes()
