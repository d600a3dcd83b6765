"""What a source can make a format do is bounded for each piece that is fed, and grows with the bytes, no faster.

Work is counted as calls of functions, which is the same on every machine. What copies bytes is one call however much it
copies, so that is measured as CPU time, of twice the input.
"""

import re
import sys
import time
from types import FrameType

import pytest

from pycast.config.load import loads
from pycast.errors import FormatError
from pycast.formats import mp4
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.server.sources import PIECE_SIZE
from pycast.stream.events import StreamEvents
from pycast.stream.mount import Mount
from pycast.stream.pacer import Pacer
from pycast.stream.source import SourceDescription
from tests.formats.mp4_parts import fragment, part
from tests.formats.worst import AT_ONCE, MP4, WORST

SETTINGS = loads("", {}, "test").for_mount("/x")

# Calls for one piece. A call takes a tenth of a microsecond or two.
MOST_CALLS = 16 * PIECE_SIZE


def make_mount(content_type: str) -> Mount:
    description = SourceDescription(source_info(Headers()), content_type, (), "127.0.0.1", 0.0)
    mount = Mount("/x", SETTINGS, description, Pacer(0.5, lambda: 0.0), StreamEvents(), lambda: 0.0)
    mount.start(description)
    return mount


def calls_of_pieces(content_type: str, data: bytes, size: int = PIECE_SIZE) -> list[int]:
    """Feeds `data` in pieces; returns the number of calls for each, up to the one that is refused."""
    mount, counts = make_mount(content_type), list[int]()
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    for at in range(0, len(data), size):
        piece, count = data[at : at + size], 0
        sys.setprofile(note)
        try:
            mount.feed(piece)
        except FormatError:
            return [*counts, count]
        finally:
            sys.setprofile(None)
            counts.append(count)
    return counts


@pytest.mark.parametrize("name", WORST)
def test_a_piece_is_worked_on_in_few_steps_and_twice_the_input_in_twice_as_many(name: str) -> None:
    content_type, make = WORST[name]
    size = 1 << 18 if name in AT_ONCE else 1 << 14
    once, twice = (calls_of_pieces(content_type, make(length)) for length in (size, 2 * size))
    assert max(twice) <= MOST_CALLS
    assert sum(twice) <= 2.5 * sum(once) + MOST_CALLS


def cpu_s(content_type: str, data: bytes, size: int) -> float:
    """Returns the CPU time for `data` in pieces of `size`: the least of three tries."""
    tries = []
    for _ in range(3):
        mount, begun = make_mount(content_type), time.thread_time()
        try:
            for at in range(0, len(data), size):
                mount.feed(data[at : at + size])
        except FormatError:
            pass
        tries.append(time.thread_time() - begun)
    return min(tries)


@pytest.mark.parametrize(
    ("name", "length", "size"),
    [
        ("ogg: one header on short pages", 400_000, PIECE_SIZE),
        ("ogg: comments of two bytes", 400_000, PIECE_SIZE),
        ("ogg: pages within pages, and whole ones", 400_000, PIECE_SIZE),
        ("ogg: a picture", 1_500_000, PIECE_SIZE),
        ("ogg: chains with pictures", 1_500_000, PIECE_SIZE),
        ("ogg: headers that are never complete", 100_000, PIECE_SIZE),
        ("webm: documents within blocks within documents", 60_000, PIECE_SIZE),
        ("webm: documents and junk in turn", 30_000, PIECE_SIZE),
        ("flac: headers that none follows", 60_000, PIECE_SIZE),
        ("flac: headers that each begin anew", 60_000, PIECE_SIZE),
        ("mp4: boxes before a fragment", 100_000, PIECE_SIZE),
        ("mp4: junk", 400_000, PIECE_SIZE),
        ("wav: empty chunks", 100_000, PIECE_SIZE),
        ("webm: one large block", 1_500_000, 100),
        ("webm: documents with an empty cluster", 30_000, PIECE_SIZE),
        ("mpeg: shortest frames", 400_000, PIECE_SIZE),
        ("opaque", 10_000, 1),
    ],
)
def test_twice_the_input_takes_twice_the_time(name: str, length: int, size: int) -> None:
    content_type, make = WORST[name]

    def is_linear() -> bool:
        once, twice = (cpu_s(content_type, make(many), size) for many in (length, 2 * length))
        return twice < 3 * once + 0.02

    assert any(is_linear() for _ in range(3))  # another process may get in the way of one measurement


def test_heads_of_pages_within_each_other_are_not_summed_up_for_ever() -> None:
    """Each would cost a checksum of 64 KiB, and has 27 bytes."""
    content_type, make = WORST["ogg: pages within pages"]
    mount, data, fed = make_mount(content_type), make(1 << 18), 0
    with pytest.raises(FormatError, match="broken pages"):
        for at in range(0, len(data), PIECE_SIZE):
            fed = at
            mount.feed(data[at : at + PIECE_SIZE])
    assert fed < 1 << 17


class Counting:
    """A pattern that counts the bytes in which it is looked for."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.looked_at = 0
        self._pattern = pattern

    def search(self, data: bytes, start: int = 0, end: int = sys.maxsize) -> re.Match[bytes] | None:
        self.looked_at += max(min(end, len(data)) - start, 0)
        return self._pattern.search(data, start, end)


def test_a_large_box_is_looked_through_once_for_what_cuts_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not again when it is complete: in 16 MB of zeros that takes most of a second, in one piece."""
    counting = Counting(mp4._CUT_OFF)
    monkeypatch.setattr(mp4, "_CUT_OFF", counting)
    mount, data = make_mount("audio/mp4"), MP4 + fragment(part(1), size=1 << 20)
    for at in range(0, len(data), PIECE_SIZE):
        mount.feed(data[at : at + PIECE_SIZE])
    assert mount.ring.head == len(data)
    assert counting.looked_at < 1.1 * len(data)
