"""Tracks, time scale and blocks are read right; broken ones are refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.matroska import (
    Block,
    Properties,
    read_block_group,
    read_simple_block,
    with_info,
    with_tracks,
)
from tests.formats.elements import audio_track, block_group, element, number, simple_block, video_track

CONTENT = 9
"""Where the content of an element with a one-byte id begins."""


def test_tracks_give_the_first_video_track_and_the_properties() -> None:
    tracks = audio_track(1, 48000.0, 2) + video_track(2) + video_track(3) + audio_track(4, 8000.0, 1)
    properties = with_tracks(Properties(), tracks)
    assert properties.video_track == 2
    assert properties.stats == {"audio_samplerate": "48000", "audio_channels": "2", "frame_size": "640 x 480"}


def test_audio_alone_has_no_video_track() -> None:
    assert with_tracks(Properties(), audio_track() + element(0xEC, b"void")).video_track is None


@pytest.mark.parametrize(
    ("content", "tick_s"),
    [(number(0x2AD7B1, 1_000_000), 0.001), (number(0x2AD7B1, 1), 1e-9), (number(0x2AD7B1, 0), 0.001)],
)
def test_the_time_scale_is_read(content: bytes, tick_s: float) -> None:
    assert with_info(Properties(), number(0x4489, 5) + content).tick_s == pytest.approx(tick_s)


@pytest.mark.parametrize("is_key", [True, False])
def test_blocks_give_track_time_and_key_frame(is_key: bool) -> None:
    assert read_simple_block(simple_block(5, -3, is_key=is_key)[CONTENT:]) == Block(5, -3, is_key)
    assert read_block_group(block_group(5, 40, is_key=is_key)[CONTENT:]) == Block(5, 40, is_key)


@pytest.mark.parametrize("content", [b"", b"\x81\0\0", b"\x00\0\0\0"])
def test_a_block_without_a_head_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError):
        read_simple_block(content)
    with pytest.raises(FormatError):
        read_block_group(element(0xA1, content))


def test_a_group_without_a_block_is_refused() -> None:
    with pytest.raises(FormatError):
        read_block_group(number(0x9B, 1))


@given(st.binary(max_size=80))
def test_any_content_gives_values_or_is_refused(content: bytes) -> None:
    for read in (
        lambda: with_info(Properties(), content),
        lambda: with_tracks(Properties(), content),
        lambda: with_tracks(Properties(), element(0xAE, element(0xE1, content) + element(0xE0, content))),
        lambda: read_simple_block(content),
        lambda: read_block_group(content),
    ):
        with suppress(FormatError):
            assert read() is not None
