"""Boxes are read whole or not at all; tracks, times and key frames are found wherever encoders write them."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.mp4_boxes import (
    MAX_BOXES,
    Box,
    Fragment,
    has_part,
    read_box,
    read_fragment,
    read_movie,
    relative,
    without,
)
from tests.formats.mp4_parts import AUDIO, INTER, KEY, VIDEO, box, fragment, full, movie, numbers, part, track


def moov(*tracks: bytes, **how: object) -> bytes:
    data = movie(*tracks, **how)  # type: ignore[arg-type]
    return data[data.index(b"moov") - 4 :]


def moof(*parts: bytes) -> bytes:
    data = fragment(*parts)
    return data[: data.index(b"mdat") - 4]


BOTH = read_movie(moov(track(AUDIO, 48000), track(VIDEO, 1000)))


def test_the_head_of_a_box_is_read_once_it_is_complete() -> None:
    for data, expected in (
        (box(b"free", b"abc"), Box(b"free", 11, 11)),
        (box(b"mdat", b"abc", is_wide=True), Box(b"mdat", 19, 19)),
        (numbers(0) + b"mdat", Box(b"mdat", 11, None)),
    ):
        assert read_box(b"xyz" + data, 3) == expected
        assert read_box(b"xyz" + data[: expected.content - 4], 3) is None


@pytest.mark.parametrize("data", [numbers(7) + b"free", struct.pack(">I4sQ", 1, b"free", 15)])
def test_a_box_smaller_than_its_head_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="smaller"):
        read_box(data, 0)


@pytest.mark.parametrize("is_wide", [False, True])
def test_a_movie_has_tracks_and_their_properties(is_wide: bool) -> None:
    got = read_movie(moov(track(AUDIO, 48000, is_wide=is_wide), track(VIDEO, is_wide=is_wide), defaults=INTER))
    assert (got.is_fragmented, got.video_track) == (True, VIDEO)
    assert got.timescales == {AUDIO: 48000, VIDEO: 1000}
    assert got.defaults == {AUDIO: INTER, VIDEO: INTER}
    assert got.stats == {"audio_channels": "2", "audio_samplerate": "48000", "frame_size": "640 x 480"}
    assert not read_movie(moov(track(AUDIO), is_fragmented=False)).is_fragmented


@pytest.mark.parametrize("where", ["run", "head", "samples"])
def test_a_fragment_with_video_is_a_join_if_its_first_picture_is_a_key_frame(where: str) -> None:
    for flags, is_join in ((KEY, True), (INTER, False)):
        got = read_fragment(moof(part(AUDIO, 96000), part(VIDEO, 1500, flags, where)), BOTH)
        assert got == Fragment(1.5, is_join)


def test_the_first_run_of_the_first_part_of_a_track_decides() -> None:
    """Encoders that interleave sound and pictures write many runs; all but the first begin with other pictures."""
    runs = [full(b"trun", numbers(1, 100, flags), flags=0x000005) for flags in (KEY, INTER)]
    time = full(b"tfdt", struct.pack(">Q", 1500), version=1)
    begin = full(b"tfhd", numbers(VIDEO), flags=0x020000) + time
    assert read_fragment(moof(box(b"traf", begin, *runs)), BOTH) == Fragment(1.5, True)
    assert read_fragment(moof(box(b"traf", begin, *reversed(runs))), BOTH) == Fragment(1.5, False)
    parts = part(VIDEO, 1500, KEY), part(AUDIO, 96000), part(VIDEO, 2500, INTER)
    assert read_fragment(moof(*parts), BOTH) == Fragment(1.5, True)


def test_flags_that_a_fragment_does_not_say_are_those_of_the_movie() -> None:
    for defaults, is_join in ((INTER, False), (KEY, True)):
        both = read_movie(moov(track(AUDIO), track(VIDEO), defaults=defaults))
        assert read_fragment(moof(part(VIDEO)), both).is_join == is_join


def test_a_fragment_of_sound_alone_is_a_join_if_there_is_no_video() -> None:
    assert read_fragment(moof(part(AUDIO, 24000)), BOTH) == Fragment(0.5, False)
    assert read_fragment(moof(part(AUDIO, 24000)), read_movie(moov(track(AUDIO, 48000)))) == Fragment(0.5, True)
    assert read_fragment(moof(part(AUDIO, None)), BOTH).time_s is None


def test_samples_are_found_from_the_fragment_itself_whatever_the_encoder_wrote() -> None:
    head = full(b"tfhd", numbers(1), struct.pack(">Q", 4711), numbers(30, INTER), flags=0x29)
    before = moof(box(b"traf", head, full(b"trun", numbers(1, 100), flags=1)))
    after = relative(before)
    assert len(after) == len(before)
    changed = full(b"tfhd", numbers(1), numbers(30, INTER), flags=0x020028) + box(b"free")
    assert after == moof(box(b"traf", changed, full(b"trun", numbers(1, 100), flags=1)))
    assert relative(after) == after


def test_children_can_be_left_out() -> None:
    whole = box(b"moov", box(b"trak", b"t"), box(b"udta", b"cover"), box(b"mvex"))
    assert without(whole, b"udta") == box(b"moov", box(b"trak", b"t"), box(b"mvex"))


def test_there_is_an_end_to_parts() -> None:
    for read in (read_movie, lambda data: read_fragment(data, BOTH), relative):
        with pytest.raises(FormatError, match="too many parts"):
            read(box(b"moof", box(b"free") * (MAX_BOXES + 1)))


@given(
    st.lists(
        st.sampled_from([b"trak", b"mdia", b"stsd", b"tkhd", b"mdhd", b"hdlr", b"tfhd", b"trun", b"traf", b"mvex"])
        | st.binary(max_size=9)
    ),
    st.binary(max_size=40),
)
def test_any_bytes_are_read_or_refused(kinds: list[bytes], rest: bytes) -> None:
    data = rest
    for kind in reversed(kinds):
        data = box(kind[:4].ljust(4), data) if len(kind) == 4 else kind + data
    for read in (read_movie, lambda one: read_fragment(one, BOTH), relative):
        with suppress(FormatError):
            read(box(b"moov", data))


def test_the_tracks_that_a_fragment_has_parts_for_are_known() -> None:
    one, both = moof(part(AUDIO, 0)), moof(part(AUDIO, 0), part(VIDEO, None))
    assert [has_part(box, track) for box in (one, both) for track in (AUDIO, VIDEO, 9)] == [
        *(True, False, False),
        *(True, True, False),
    ]
