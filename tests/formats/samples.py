"""Real streams, made by ffmpeg and kept for the length of the test run.

Helpers only. Invariant: each sample is what an encoder would send over the network (written to a pipe, not to a file).
"""

import json
import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.e2e.programs import require

_TONE = "sine=frequency=440:duration={seconds}:sample_rate=44100"
# 25 frames a second are 40 ms each, a whole number of Matroska's ticks.
_PICTURE = "testsrc=duration={seconds}:size=160x120:rate=25"
_FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
_TAGS = ("-metadata", "title=Tïtle", "-metadata", "artist=Artist")

ENCODINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mp3": ("audio/mpeg", ("-c:a", "libmp3lame", "-b:a", "128k", "-ac", "2", "-f", "mp3")),
    "mp3-vbr": ("audio/mpeg", ("-c:a", "libmp3lame", "-q:a", "4", "-ac", "2", "-f", "mp3")),
    "mp3-22050": ("audio/mpeg", ("-c:a", "libmp3lame", "-b:a", "64k", "-ar", "22050", "-ac", "1", "-f", "mp3")),
    "mp2": ("audio/mpeg", ("-c:a", "mp2", "-b:a", "192k", "-f", "mp2")),
    "aac": ("audio/aac", ("-c:a", "aac", "-b:a", "96k", "-f", "adts")),
    "vorbis": ("audio/ogg", ("-c:a", "libvorbis", "-q:a", "3", "-ac", "2", *_TAGS, "-f", "ogg")),
    "opus": ("audio/ogg", ("-c:a", "libopus", "-b:a", "64k", *_TAGS, "-f", "ogg")),
    "flac": ("audio/ogg", ("-c:a", "flac", "-ac", "2", *_TAGS, "-f", "ogg")),
    "speex": ("audio/ogg", ("-c:a", "libspeex", "-ar", "16000", "-f", "ogg")),
    "theora": ("video/ogg", ("-c:v", "libtheora", "-g", "25", "-c:a", "libvorbis", "-ac", "2", *_TAGS, "-f", "ogg")),
    "webm": ("audio/webm", ("-c:a", "libopus", "-b:a", "64k", "-cluster_time_limit", "1000", "-f", "webm")),
    "webm-video": ("video/webm", ("-c:v", "libvpx", "-g", "25", "-c:a", "libopus", "-f", "webm")),
    "native-flac": ("audio/flac", ("-c:a", "flac", "-ac", "2", *_TAGS, "-f", "flac")),
    "native-flac-mono": ("audio/flac", ("-c:a", "flac", "-ac", "1", "-f", "flac")),
    "webm-vorbis": ("audio/webm", ("-c:a", "libvorbis", "-f", "webm")),
    "mp4-mono": ("audio/mp4", ("-c:a", "aac", "-ar", "48000", "-movflags", _FRAGMENTS, "-f", "mp4")),
    "mp4": ("audio/mp4", ("-c:a", "aac", "-movflags", _FRAGMENTS, "-frag_duration", "500000", "-f", "mp4")),
    "mp4-video": ("video/mp4", ("-c:v", "libx264", "-g", "25", "-c:a", "aac", "-movflags", _FRAGMENTS, "-f", "mp4")),
    "wav": ("audio/wav", ("-c:a", "pcm_s16le", *_TAGS, "-f", "wav")),
    "matroska": ("video/x-matroska", ("-c:v", "libvpx", "-g", "25", "-c:a", "libvorbis", "-f", "matroska")),
}
OGG = ("vorbis", "opus", "flac", "speex", "theora")
FRAMES = ("mp3", "mp3-vbr", "mp3-22050", "mp2", "aac")
WEBM = ("webm", "webm-video", "matroska")
OTHERS = ("native-flac", "mp4", "mp4-video", "wav")
_WITH_PICTURE = ("mp4-video", "theora", "webm-video", "matroska")


def content_type(name: str) -> str:
    """Returns the content type that the sample's encoder announces."""
    return ENCODINGS[name][0]


@cache
def sample(name: str, seconds: int = 6) -> bytes:
    """Returns `seconds` of a tone (and a test picture) encoded as `name`."""
    return subprocess.run(_command(name, seconds, "-"), check=True, capture_output=True, timeout=60).stdout


@cache
def file(name: str, seconds: int = 2) -> bytes:
    """As `sample`, but written to a file: with its length, an index, and whatever else only files have."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(_command(name, seconds, f"{folder}/x"), check=True, timeout=60)
        return Path(folder, "x").read_bytes()


@cache
def whole_fragment(seconds: int = 6) -> bytes:
    """Returns sound in an MP4 file of one fragment, as ffmpeg makes it if it is not told how long they may be."""
    args = ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "-")
    source = ("-f", "lavfi", "-i", _TONE.format(seconds=seconds))
    command = [require("ffmpeg"), "-nostdin", "-v", "error", *source, *args]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def _command(name: str, seconds: int, out: str) -> list[str]:
    inputs = ["-f", "lavfi", "-i", _TONE.format(seconds=seconds)]
    if name in _WITH_PICTURE:
        inputs += ["-f", "lavfi", "-i", _PICTURE.format(seconds=seconds)]
    return [require("ffmpeg"), "-nostdin", "-v", "error", *inputs, *ENCODINGS[name][1], out]


def packets(data: bytes) -> dict[int, list[float]]:
    """Returns the times of the packets of each stream, in order, as ffprobe finds them. Fails on an error."""
    command = [require("ffprobe"), "-v", "error", "-count_frames", "-show_packets", "-of", "json", "-"]
    result = subprocess.run(command, input=data, capture_output=True, timeout=60, check=True)
    assert result.stderr == b""
    found: dict[int, list[float]] = {}
    for packet in json.loads(result.stdout)["packets"]:
        found.setdefault(packet["stream_index"], []).append(float(packet["dts_time"]))
    return found


def decode_errors(data: bytes) -> str:
    """Returns the errors that ffprobe prints when it decodes all of `data`; empty if there are none."""
    command = [require("ffprobe"), "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-"]
    result = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    complaint = re.sub(r"0x[0-9a-f]+", "0x", result.stderr.decode(errors="replace"))
    return complaint or ("" if b"nb_read_frames=" in result.stdout else "no frame decoded")
