"""Containers that are not clean: the source stays, and whoever joins at the end hears what can be decoded.

Each kind of input is one small stream, made from a real one, for every format to which it applies.
"""

from collections.abc import Callable
from functools import cache

import pytest

from pycast.config.load import loads
from pycast.formats.ogg_page import PageReader
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.stream.events import StreamEvents
from pycast.stream.mount import Mount
from pycast.stream.pacer import Pacer
from pycast.stream.source import SourceDescription
from tests.formats.elements import element
from tests.formats.feeding import every
from tests.formats.pictures import with_picture
from tests.formats.samples import content_type, decode_errors, sample

Make = Callable[[bytes, bytes], bytes]
"""Makes an input of two streams."""

SETTINGS = loads("", {}, "test").for_mount("/x")
OGG = ("opus", "vorbis", "flac")
WEBM = ("webm",)
OTHERS = ("native-flac", "mp4", "wav")
CLUSTER = b"\x1f\x43\xb6\x75"
ID3 = b"ID3\x04\x00\x00\x00\x01\x00\x00" + bytes(128 * 128)
PICTURE, ATTACHMENT = 2_500_000, 1_500_000


UNITS = {b"OggS": b"OggS", b"\x1aE\xdf\xa3": CLUSTER, b"fLaC": b"\xff\xf8", b"RIFF": b""}


def middle(data: bytes) -> int:
    """Returns where a page, a cluster, a frame or a fragment begins in the middle of a stream."""
    unit = UNITS.get(data[:4])
    return data.index(b"moof", len(data) // 2) - 4 if unit is None else data.index(unit, len(data) // 2)


def split(data: bytes, junk: bytes) -> bytes:
    """Returns a stream with `junk` in the middle."""
    at = middle(data)
    return data[:at] + junk + data[at:]


def with_flipped_bit(data: bytes) -> bytes:
    at = middle(data) + 200
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def pages(data: bytes) -> list[bytes]:
    return [page.data for page in PageReader().feed(data)]


def without_page(data: bytes, number: int) -> bytes:
    return b"".join(one for at, one in enumerate(pages(data)) if at != number)


def with_attachment(data: bytes) -> bytes:
    at = data.index(CLUSTER)
    return data[:at] + element(0x1941A469, bytes(ATTACHMENT)) + data[at:]


BOTH: dict[str, Make] = {
    "a line end first": lambda one, _: b"\r\n" + one,
    "an ID3 tag first": lambda one, _: ID3 + one,
    "the rest of another connection first": lambda one, two: two[len(two) // 2 + 7 :] + one,
    "a line end between": lambda one, _: split(one, b"\r\n"),
    "noise between": lambda one, _: split(one, b"noise" * 1000),
    "the answer of another server between": lambda one, _: split(one, b"HTTP/1.0 200 OK\r\n\r\n"),
    "bytes that are lost": lambda one, _: one[: middle(one)] + one[middle(one) + 700 :],
    "headers that break off, and another stream": lambda one, two: one[:150] + two,
    "a stream that breaks off, and another": lambda one, two: one[: middle(one) + 500] + two,
    "in the middle first, then another stream": lambda one, two: one[middle(one) :] + two,
}
JUNK = ("noise between", "the answer of another server between")
BEFORE = ("a line end first", "an ID3 tag first", "the rest of another connection first")
OGG_ONLY: dict[str, Make] = {
    "a wrong checksum": lambda one, _: with_flipped_bit(one),
    "a page that is lost": lambda one, _: without_page(one, 4),
    "a header that is lost, and another stream": lambda one, two: without_page(one, 1) + two,
    "a page that comes twice": lambda one, _: b"".join([*pages(one)[:5], *pages(one)[4:]]),
    "a picture of 2.5 MB": lambda one, _: with_picture(one, PICTURE),
    "a picture of 2.5 MB with the next song": lambda one, two: one + with_picture(two, PICTURE),
}
WEBM_ONLY: dict[str, Make] = {
    "an attachment of 1.5 MB": lambda one, _: with_attachment(one),
    "an attachment of 1.5 MB with the next stream": lambda one, two: one + with_attachment(two),
    "tags of 1.5 MB between clusters": lambda one, _: split(one, element(0x1254C367, bytes(ATTACHMENT))),
}
CASES = [
    *((name, kind, make) for kind, make in BOTH.items() for name in (*OGG, *WEBM, "mp4")),
    # Junk between whole frames of FLAC passes: decoders skip it, and ffprobe says so.
    *(("native-flac", kind, make) for kind, make in BOTH.items() if kind not in JUNK),
    *(("wav", kind, BOTH[kind]) for kind in BEFORE),
    *((name, "nothing unusual", lambda one, _: one) for name in OTHERS),
    *((name, kind, make) for kind, make in OGG_ONLY.items() for name in OGG),
    *((name, kind, make) for kind, make in WEBM_ONLY.items() for name in WEBM),
]


@cache
def plain_chain(name: str) -> str:
    return decode_errors(sample(name) + sample(name, 5))


def fed(name: str, data: bytes) -> Mount:
    """Returns a mount whose source has sent `data`."""
    description = SourceDescription(source_info(Headers()), content_type(name), (), "127.0.0.1", 0.0)
    mount = Mount("/x", SETTINGS, description, Pacer(0.5, lambda: 0.0), StreamEvents(), lambda: 0.0)
    mount.start(description)
    for piece in every(data, 1400):
        mount.feed(piece)
    return mount


@pytest.mark.parametrize(
    ("name", "make"), [(name, make) for name, _, make in CASES], ids=[f"{n}-{k}" for n, k, _ in CASES]
)
def test_the_source_stays_and_who_joins_then_can_decode(name: str, make: Make) -> None:
    one, two = sample(name), sample(name, 5)
    data = make(one, two)
    mount = fed(name, data)
    placement = mount.place(0)
    heard = placement.header + mount.ring.read(placement.position, mount.ring.head)
    assert len(heard) > 8_000
    # ffprobe stumbles over a second stream of WebM or Opus by itself: it must do no worse than with clean ones.
    assert decode_errors(heard) in ("", plain_chain(name))
    assert mount.bytes_read == len(data)
