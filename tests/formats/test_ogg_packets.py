"""The length of a packet is read as its codec's specification says, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.formats.ogg_packets import OPUS_LEAD, lead_in, opus_samples, whole_packets
from pycast.formats.ogg_page import PageReader
from tests.formats.ogg_pages import CONTINUED, NO_GRANULE, page


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"\xfc", 960),  # CELT, 20 ms, one frame
        (b"\xe0", 120),  # CELT, 2.5 ms
        (b"\x78\x00", 960),  # hybrid, 20 ms
        (b"\x18", 2880),  # SILK, 60 ms
        (b"\xfd", 1920),  # two frames
        (b"\xff\x03", 2880),  # three frames, counted
        (b"\xff", None),
        (b"", None),
    ],
)
def test_opus(packet: bytes, samples: int | None) -> None:
    assert opus_samples(packet) == samples


@given(st.binary(max_size=12))
def test_any_bytes_have_a_length_or_none(packet: bytes) -> None:
    samples = opus_samples(packet)
    assert samples is None or 0 <= samples <= 65536 * 63


def test_packets_are_put_together_from_pages_and_those_cut_off_are_left_out() -> None:
    pages = PageReader().feed(
        page([b"rest", b"one", b"x" * 255], granule=1, flags=CONTINUED, is_last_complete=False)
        + page([b"y" * 255], granule=NO_GRANULE, flags=CONTINUED, is_last_complete=False, sequence=1)
        + page([b"z", b"two", b"w" * 255], granule=2, flags=CONTINUED, is_last_complete=False, sequence=2)
    )
    assert whole_packets(pages) == [b"one", b"x" * 255 + b"y" * 255 + b"z", b"two"]
    assert whole_packets(pages[1:]) == [b"two"]


def test_opus_needs_80_ms_vorbis_one_packet_and_flac_none() -> None:
    twenty_ms = [b"\xfc" + bytes([number]) for number in range(10)]
    assert lead_in("Opus", twenty_ms) == (twenty_ms[-4:], OPUS_LEAD)
    assert lead_in("Opus", twenty_ms[:3]) is None
    assert lead_in("Vorbis", [b"a", b"b"]) == ([b"b"], 0)
    assert lead_in("Vorbis", []) is None
    assert lead_in("FLAC", []) == ([], 0)
