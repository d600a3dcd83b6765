"""The first bytes decide what a stream is, whatever it is announced as and whatever comes before them."""

import time
from random import Random

import pytest

from pycast.errors import FormatError
from pycast.formats.content_types import FORMATS, content_type_for_listeners, new_format
from pycast.formats.detect import LOOK, LOOK_FURTHER, MOST_HELD, Detector, Found
from tests.formats.feeding import every
from tests.formats.frame_bytes import adts, id3, mpeg

MP3 = mpeg() * 4
ADTS = adts() * 4
LAYER_2 = mpeg(0xFFFDA400, 576) * 4
OGG = b"OggS\x00\x02" + bytes(60)
EBML = b"\x1aE\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82"
CLUSTER = b"\x1fC\xb6u\x01"
WEBM = EBML + b"\x84webm\x42\x87\x81\x04\x42\x85\x81\x02" + bytes(60) + CLUSTER
MATROSKA = EBML + b"\x88matroska\x42\x87\x81\x04\x42\x85\x81\x02" + bytes(60) + CLUSTER
LOAS = (b"\x56\xe0\x20" + b"\x01" * 32) * 4
TS = (b"\x47" + b"\x01" * 187) * 6
MP4 = b"\x00\x00\x00\x18ftypiso5" + bytes(30)
WAV = b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(30)
RANDOM = Random(1).randbytes(100_000)

REAL = {
    "mpeg": MP3,
    "adts": ADTS,
    "ogg": OGG,
    "webm": WEBM,
    "matroska": MATROSKA,
    "flac": b"fLaC\x00\x00\x00\x22" + bytes(34),
    "mp4": MP4,
    "wav": WAV,
    "adif": b"ADIF" + bytes(60),
    "latm": LOAS,
    "ts": TS,
}
ANNOUNCED = (
    *(
        "audio/mpeg",
        "audio/aac",
        "audio/aacp",
        "application/ogg",
        "audio/opus",
        "audio/flac",
        "audio/webm",
        "video/webm",
    ),
    *("text/html", "application/octet-stream", "audio/x-unheard-of", ""),
)


def detect(announced: str, data: bytes, size: int = 0) -> Found | None:
    """Returns what is found, with the rest of `data` behind its first bytes."""
    detector = Detector(announced)
    pieces = every(data, size or len(data))
    for number, piece in enumerate(pieces):
        found = detector.feed(piece)
        if found is not None:
            return found._replace(data=found.data + b"".join(pieces[number + 1 :]))
    return None


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("announced", ANNOUNCED)
def test_the_bytes_decide_whatever_is_announced(announced: str, name: str) -> None:
    for size in (0, 1, 100):
        found = detect(announced, REAL[name], size)
        assert found is not None
        assert (found.format, found.data, found.left_out) == (name, REAL[name], 0)
        is_right = announced in FORMATS[name].types
        assert (found.content_type == announced) is is_right
        assert found.content_type in FORMATS[name].types
        assert content_type_for_listeners(found.content_type) == found.content_type


@pytest.mark.parametrize(
    ("announced", "data", "told"),
    [
        ("audio/mp3", MP3, "audio/mp3"),
        ("Audio/MPEG; charset=x", MP3, "Audio/MPEG; charset=x"),
        ("audio/mpeg", LAYER_2, "audio/mpeg"),
        ("audio/aac", MP3, "audio/mpeg"),
        ("application/ogg", MP3, "audio/mpeg"),
        ("audio/mpeg", ADTS, "audio/aac"),
        ("audio/aacp", ADTS, "audio/aacp"),
        ("audio/vorbis", OGG, "application/ogg"),
        ("audio/ogg; codecs=opus", OGG, "audio/ogg; codecs=opus"),
        ("video/mpeg", OGG, "video/ogg"),
        ("audio/mpeg", WEBM, "audio/webm"),
        ("video/webm", WEBM, "video/webm"),
        ("audio/mpeg", WEBM[: -len(CLUSTER)] + b"\x86\x85V_VP8" + CLUSTER, "video/webm"),
        ("video/webm", MATROSKA, "video/x-matroska"),
        ("video/x-matroska", WEBM, "video/webm"),
        ("audio/mpeg", RANDOM, "audio/mpeg"),
        ("text/html", b"<script>", "text/html"),
    ],
)
def test_the_type_is_kept_where_it_is_right_or_nobody_knows(announced: str, data: bytes, told: str) -> None:
    found = detect(announced, data)
    assert found is not None
    assert found.content_type == told


BEFORE = {
    "nothing": b"",
    "a line end": b"\r\n",
    "zeros": bytes(3000),
    "a tag": id3(500),
    "a tag that looks like frames": id3(150_000),
    "two tags and zeros": id3(500) + bytes(10) + id3(20) + bytes(4),
    "a line end and a tag": b"\r\n" + id3(40),
    "the rest of a frame": bytes(range(1, 200)),
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("name", ["mpeg", "adts", "ogg", "webm", "latm", "ts"])
@pytest.mark.parametrize("announced", ["audio/mpeg", "application/ogg", "audio/x-unheard-of"])
def test_what_comes_before_does_not_matter(announced: str, name: str, before: str) -> None:
    data = BEFORE[before] + REAL[name]
    for size in (0, 777):
        found = detect(announced, data, size)
        assert found is not None and found.format == name
        # Without a header the stream is all of it; no decoder could use what comes before a header.
        assert found.data == (REAL[name] if name in ("ogg", "webm") else data)
        assert found.left_out == len(data) - len(found.data)


@pytest.mark.parametrize("before", [b"", b"\r\n", id3(200)])
@pytest.mark.parametrize("name", ["flac", "mp4", "wav", "adif", "matroska"])
def test_a_header_may_follow_a_tag_or_a_line_end(name: str, before: bytes) -> None:
    found = detect("audio/mpeg", before + REAL[name], 50)
    assert found is not None
    assert (found.format, found.data, found.left_out) == (name, REAL[name], len(before))


@pytest.mark.parametrize("before", [b"", b"bext\x5b\x02\0\0" + bytes(604), b"JUNK\0\0\0\0PAD \x02\0\0\0ab"])
@pytest.mark.parametrize("tag", [0x50, 0x55])
def test_mpeg_audio_in_a_wav_file_is_known_by_its_frames(tag: int, before: bytes) -> None:
    fmt = b"fmt \x1e\0\0\0" + tag.to_bytes(2, "little") + bytes(28)
    data = b"RIFF\xff\xff\xff\xffWAVE" + before + fmt + b"data\0\0\0\0" + MP3
    for cut in (0, 1):
        found = detect("audio/wav", data, cut)
        assert found is not None and (found.format, found.content_type) == ("mpeg", "audio/mpeg")


def test_a_wav_file_whose_first_chunks_do_not_end_is_one_all_the_same() -> None:
    for before in (b"bext\xff\xff\xff\x7f", b"JUNK\0\0\0\0" * 30):
        data = b"RIFF\xff\xff\xff\xffWAVE" + before + bytes(70_000)
        found = detect("audio/wav", data, 1000)
        assert found is not None and (found.format, found.data) == ("wav", data[: len(found.data)])


@pytest.mark.parametrize("size", [16, 20, 24, 28, 32, 36, 40])
def test_mp4_is_known_whatever_the_size_of_its_first_box(size: int) -> None:
    # ffmpeg writes 32 bytes without video: the size then ends with a blank.
    data = size.to_bytes(4) + b"ftypiso5" + bytes(40)
    for cut in (0, 1):
        found = detect("audio/mp4", data, cut)
        assert found is not None and (found.format, found.data) == ("mp4", data)


@pytest.mark.parametrize("name", ["mpeg", "adts"])
def test_an_encoder_that_comes_back_in_a_frame_is_known_by_the_next_ones(name: str) -> None:
    data = REAL[name] * 3
    found = detect("audio/mpeg", data[60:], 30)
    assert found is not None and (found.format, found.data) == (name, data[60:])


def test_an_encoder_that_comes_back_in_a_page_of_64_kib_is_known_by_the_next_one() -> None:
    found = detect("audio/ogg", RANDOM[:65_000] + OGG)
    assert found is not None and (found.format, found.left_out) == ("ogg", 65_000)


def test_webm_may_begin_at_a_cluster_if_it_is_announced() -> None:
    found = detect("audio/webm", CLUSTER + bytes(100))
    assert found is not None and found.format == "webm"


def test_two_frames_are_believed_if_they_are_announced_else_three() -> None:
    assert detect("audio/mpeg", mpeg() * 2) is not None
    assert detect("audio/aac", mpeg() * 2) is None
    assert detect("audio/aac", mpeg() * 2 + RANDOM) == Found("adts", "audio/aac", mpeg() * 2 + RANDOM, 0)


def test_what_is_nothing_is_opaque_and_complete() -> None:
    for announced, name, bound in (("audio/x-unheard-of", "opaque", LOOK), ("audio/mpeg", "mpeg", LOOK_FURTHER)):
        assert detect(announced, RANDOM[: bound - 1], 500) is None
        assert detect(announced, RANDOM, 500) == Found(name, announced, RANDOM, 0)
        assert detect(announced, bytes(100_000), 500) == Found(name, announced, bytes(100_000), 0)


@pytest.mark.parametrize("announced", ["application/ogg", "audio/webm", "audio/flac", "audio/mp4", "audio/wav"])
def test_what_should_have_a_header_and_is_nothing_is_refused(announced: str) -> None:
    assert detect(announced, RANDOM[: LOOK_FURTHER - 1], 500) is None
    with pytest.raises(FormatError, match=announced):
        detect(announced, RANDOM, 500)


def test_what_is_not_even_announced_as_audio_is_opaque_at_once() -> None:
    assert detect("text/plain", b"x") == Found("opaque", "text/plain", b"x", 0)
    assert detect("text/plain", b"f") is None  # of `fLaC`


def test_a_stream_that_ends_or_is_slow_is_taken_for_what_is_announced() -> None:
    for announced, name in (
        ("audio/mpeg", "mpeg"),
        ("audio/aacp", "adts"),
        ("audio/ogg", "ogg"),
        ("audio/x-unheard-of", "opaque"),
    ):
        detector = Detector(announced)
        assert detector.feed(b"abc") is None
        assert detector.give_up() == Found(name, announced, b"abc", 0)
    assert Detector("audio/mpeg").give_up() is None
    in_tag = Detector("audio/mpeg")
    in_tag.feed(id3(500)[:100])
    assert in_tag.give_up() is None


def test_a_tag_of_16_mb_is_not_held() -> None:
    tag = id3(16_000_000, b"\xff\xfb\x90\x00")
    detector = Detector("audio/mpeg")
    for piece in every(tag, 65_536):
        assert detector.feed(piece) is None
        assert detector._tags_size <= MOST_HELD and len(detector._buf) <= LOOK_FURTHER
    assert detector.feed(MP3) == Found("mpeg", "audio/mpeg", MP3, len(tag))


def test_tags_without_end_are_no_tags() -> None:
    found = detect("audio/x-unheard-of", id3(4_000_000) * 6, 65_536)
    assert found is not None and found.format == "opaque"


@pytest.mark.parametrize(
    "junk",
    [
        *(
            b"\xff\xfb\x90\x00",
            b"\xff\xfb\x10",
            b"\xff\xf1\x50",
            b"\xff\xf1",
            b"\x47\x01",
            b"\x56\xe0\x00\x01",
            b"\xff",
        ),
        *(b"OggS", b"\x00", b"ID3", b"ID3\x04\x00\x00\x00\x00\x00\x00", b"\x1aE\xdf", b"I"),
    ],
)
def test_the_time_is_linear_and_bounded(junk: bytes) -> None:
    data = junk * (LOOK_FURTHER // len(junk))

    def cpu_s(size: int) -> float:
        begun = time.thread_time()
        detect("audio/mpeg", data, size)
        return time.thread_time() - begun

    assert min(cpu_s(4096) for _ in range(3)) < 0.6
    assert min(cpu_s(64) for _ in range(2)) < 1.2


def test_each_format_has_its_class() -> None:
    for name, row in FORMATS.items():
        assert new_format("", 0, name).family == row.family
