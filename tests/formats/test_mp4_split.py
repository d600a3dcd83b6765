"""A long fragment of sound becomes several, with the same samples at the same times."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.formats.file_mp4 import Mp4File
from pycast.formats.mp4 import Mp4
from pycast.formats.mp4_split import Defaults, split
from tests.formats.feeding import every, run
from tests.formats.mp4_parts import AUDIO, VIDEO, box, full, movie, numbers, track
from tests.formats.samples import decode_errors, packets, whole_fragment

LASTS, SCALE = 400, 1000
SIZES = [10 + number % 7 for number in range(12)]
DATA = bytes(number for number, size in enumerate(SIZES) for _ in range(size))


def long_fragment(
    present: int = 0x301, head: tuple[int, bytes] = (0x020000, b""), *, ticks: int | None = 7, more: bytes = b""
) -> tuple[bytes, bytes]:
    """Returns a fragment whose samples have the fields of `present`, in two runs."""

    def made(offset: int) -> bytes:
        runs = []
        for begin, end in ((0, 5), (5, len(SIZES))):
            rows = []
            for size in SIZES[begin:end]:
                fields = ((0x100, LASTS), (0x200, size), (0x400, 0x02000000), (0x800, size * 3))
                rows.append(numbers(*(value for bit, value in fields if present & bit)))
            place = numbers(offset + sum(SIZES[:begin])) if present & 1 else b""
            runs.append(full(b"trun", numbers(end - begin), place, *rows, flags=present))
        time = b"" if ticks is None else full(b"tfdt", struct.pack(">Q", ticks), version=1)
        traf = box(b"traf", full(b"tfhd", numbers(AUDIO), head[1], flags=head[0]), time, *runs, more)
        return box(b"moof", full(b"mfhd", numbers(1)), traf)

    return made(len(made(0)) + 8), box(b"mdat", DATA)


def samples(parts: list[tuple[bytes, bytes]]) -> list[tuple[int | None, int, bytes, bytes]]:
    """Returns the time, the length, the bytes and the other fields of each sample, read anew."""
    found = []
    for moof, mdat in parts:
        at = moof.index(b"trun") + 4
        flags, count, offset = struct.unpack_from(">IIi", moof, at)
        place = moof.find(b"tfdt")
        time = int.from_bytes(moof[place + 8 : place + 16]) if place >= 0 else None
        pos, at = offset - len(moof), at + 12
        assert pos == 8 and flags & 0x301 == 0x301
        width = 8 + 4 * bool(flags & 0x400) + 4 * bool(flags & 0x800)
        for _ in range(count):
            lasts, size = struct.unpack_from(">II", moof, at)
            found.append((time, lasts, mdat[pos : pos + size], moof[at + 8 : at + width]))
            time = None if time is None else time + lasts
            pos, at = pos + size, at + width
        assert pos == len(mdat) and at == len(moof)
    return found


@pytest.mark.parametrize(
    ("present", "head", "defaults"),
    [
        (0x301, (0x020000, b""), Defaults()),
        (0x300, (0x020000, b""), Defaults()),
        (0xF01, (0x020000, b""), Defaults()),
        (0x201, (0x020008, numbers(LASTS)), Defaults(1, 1)),
        (0x201, (0x02002A, numbers(1, LASTS, 0x02000000)), Defaults()),
        (0x201, (0x020000, b""), Defaults(LASTS, 0)),
    ],
)
@pytest.mark.parametrize("ticks", [7, None])
def test_the_parts_have_all_samples(
    present: int, head: tuple[int, bytes], defaults: Defaults, ticks: int | None
) -> None:
    parts = split(*long_fragment(present, head, ticks=ticks), SCALE, defaults)
    assert len(parts) == 4
    found = samples(parts)
    assert b"".join(data for _, _, data, _ in found) == DATA
    assert [len(data) for _, _, data, _ in found] == SIZES
    assert {lasts for _, lasts, _, _ in found} == {LASTS}
    assert [time for time, *_ in found[::3]] == [None if ticks is None else ticks + 1200 * part for part in range(4)]
    if present & 0x800:
        assert [more for *_, more in found] == [numbers(0x02000000, size * 3) for size in SIZES]
    assert all(run(Mp4(), [movie(track(AUDIO)) + moof + mdat]).out.endswith(moof + mdat) for moof, mdat in parts)


def test_what_is_short_or_has_more_than_is_known_stays_whole() -> None:
    moof, mdat = long_fragment()
    for given_moof, given_mdat, scale in (
        (moof, mdat, SCALE * 10),
        (*long_fragment(more=full(b"saiz", numbers(0))), SCALE),
        (moof, mdat[:-1], SCALE),
        (moof, mdat + b"x", SCALE),
        (moof[:8] + box(b"uuid") + moof[8:], mdat, SCALE),
        (moof[:-1], mdat, SCALE),
        (*long_fragment(0x201), SCALE),
        (moof.replace(b"tfhd", b"free"), mdat, SCALE),
        (moof.replace(b"trun", b"free"), mdat, SCALE),
        (*long_fragment(ticks=(1 << 64) - 10), SCALE),
    ):
        assert split(given_moof, given_mdat, scale, Defaults()) == [(given_moof, given_mdat)]


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 255))
@settings(deadline=None, max_examples=200)
def test_any_bytes_stay_whole_or_become_parts(data: bytes, at: int, value: int) -> None:
    moof, mdat = long_fragment()
    changed = bytearray(moof)
    changed[at % len(moof)] = value
    for one in (bytes(changed), moof[:8] + data, data):
        parts = split(one, mdat, SCALE, Defaults())
        assert b"".join(part[1][8:] for part in parts) == DATA


def test_a_file_that_is_one_fragment_is_one_of_a_second_each() -> None:
    data = whole_fragment()
    assert data.count(b"moof") == 1
    audio = Mp4File()
    out = b"".join(map(audio.feed, every(data, 9000))) + audio.end_round()
    assert out.count(b"moof") == pytest.approx(6, abs=1)
    assert decode_errors(out) == "" and packets(out)[0] == pytest.approx(packets(data)[0])


def test_pictures_are_not_taken_apart_but_sound_beside_a_cover_is() -> None:
    moof, mdat = long_fragment()
    for header, count in ((movie(track(VIDEO), track(AUDIO)), 4), (movie(track(AUDIO)), 4)):
        assert Mp4File().feed(header + moof + mdat).count(b"moof") == count
    pictures = moof.replace(b"tfhd\0\2\0\0\0\0\0\1", b"tfhd\0\2\0\0\0\0\0\2")
    assert Mp4File().feed(movie(track(VIDEO), track(AUDIO)) + pictures + mdat).count(b"moof") == 1
