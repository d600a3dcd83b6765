"""Frames: the same however the bytes are cut; any bytes give frames or LinkError."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.link.frames import Frame, FrameReader, Kind, LinkError, pack, pack_json, read_json
from tests.formats.feeding import CUTS, cut, every

FRAMES = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=50)), max_size=8)


def read(pieces: list[bytes], max_payload: int = 1000) -> list[Frame] | None:
    """Returns all frames; None if the bytes were refused."""
    reader, found = FrameReader(max_payload), []
    try:
        for piece in pieces:
            found += reader.feed(piece)
    except LinkError:
        return None
    return found


@given(FRAMES, CUTS)
def test_frames_come_out_as_they_went_in_however_they_are_cut(frames: list[Frame], places: list[int]) -> None:
    data = b"".join(pack(*frame) for frame in frames)
    assert read([data]) == read(every(data, 1)) == read(cut(data, places)) == frames


@given(st.binary(max_size=200), CUTS)
def test_any_bytes_are_frames_or_a_link_error_wherever_they_are_cut(data: bytes, places: list[int]) -> None:
    assert read([data], 50) == read(every(data, 1), 50) == read(cut(data, places), 50)


def test_a_frame_that_is_too_long_is_refused_before_it_is_buffered() -> None:
    reader = FrameReader(10)
    with pytest.raises(LinkError, match="11 bytes"):
        reader.feed(struct.pack(">IB", 11, Kind.NOTIFY))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(LinkError, match="99"):
        FrameReader().feed(struct.pack(">IB", 0, 99))


def test_an_incomplete_frame_is_kept_for_later() -> None:
    data = pack(Kind.CALL, b"0123456789")
    reader = FrameReader()
    assert reader.feed(data + data[:-1]) == [(Kind.CALL, b"0123456789")]
    assert reader.feed(data[-1:]) == [(Kind.CALL, b"0123456789")]


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=4))
def test_json_reads_back_as_it_was_written(value: dict[str, object]) -> None:
    ((kind, payload),) = FrameReader().feed(pack_json(Kind.NOTIFY, value))
    assert (kind, read_json(payload)) == (Kind.NOTIFY, value)


def test_text_that_is_not_valid_utf_8_is_kept() -> None:
    ((_, payload),) = FrameReader().feed(pack_json(Kind.NOTIFY, {"\udcff": "\ud800"}))
    assert read_json(payload) == {"\udcff": "\ud800"}


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,0123456789eEtrufalsn \\', max_size=40).map(str.encode))
def test_any_payload_is_an_object_or_a_link_error(payload: bytes) -> None:
    try:
        assert isinstance(read_json(payload), dict)
    except LinkError:
        return


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b"{", b"\xff", b'{"a":NaN}', b'{"a":1e999}', b"[" * 200_000])
def test_a_payload_that_is_no_object_or_has_infinite_numbers_is_refused(payload: bytes) -> None:
    with pytest.raises(LinkError):
        read_json(payload)
