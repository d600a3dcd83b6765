"""Large headers of Ogg streams become small ones that decoders take; small ones are left alone."""

import tracemalloc

import pytest

from pycast.formats.marks import Tags
from pycast.formats.ogg import Ogg
from pycast.formats.ogg_chain import MAX_PLAIN
from pycast.formats.ogg_codecs import BrokenHeaders, identify
from pycast.formats.ogg_headers import MAX_HEADER_PACKETS, MOST_PACKETS, HeaderPackets
from pycast.formats.ogg_page import PageReader, write_pages
from tests.formats import ogg_pages as pages
from tests.formats.feeding import every, run
from tests.formats.ogg_pages import FIRST, page
from tests.formats.pictures import with_picture
from tests.formats.samples import decode_errors, sample

CODECS = ("opus", "vorbis", "flac")
PICTURE = 2_500_000


def read(first: bytes, *packets: bytes) -> HeaderPackets:
    headers = HeaderPackets(identify(first))
    for packet in packets:
        for piece in every(packet, 255):
            headers.feed(piece, is_end=False)
        headers.feed(b"", is_end=True)
    return headers


@pytest.mark.parametrize(
    ("first", "packets"),
    [
        (pages.opus_head(), [pages.opus_tags("TITLE=T")]),
        (pages.vorbis_id(), [pages.vorbis_comment("TITLE=T"), pages.VORBIS_SETUP]),
        (pages.theora_id(), [b"\x81theora" + pages.comments("TITLE=T"), b"\x82theora" + b"t" * 400]),
        (pages.flac_id(), [pages.flac_comment("TITLE=T", is_last=False), b"\x81\0\0\x05", pages.flac_comment()]),
        (pages.speex_head(extra=1), [pages.comments("TITLE=T"), b"extra"]),
    ],
)
def test_small_packets_are_kept_as_they_are(first: bytes, packets: list[bytes]) -> None:
    headers = read(first, *packets)
    assert headers.packets == packets
    assert (headers.is_complete, headers.tags) == (True, ("", "T"))


def test_a_picture_of_flac_becomes_an_empty_block_that_is_the_last_one_if_it_was() -> None:
    content = bytes(MAX_HEADER_PACKETS)
    for kind, block in ((0x06, b"\x01\0\0\0"), (0x86, b"\x81\0\0\0")):
        headers = read(pages.flac_id(), bytes([kind]) + len(content).to_bytes(3, "big") + content)
        assert headers.packets == [block]
        assert headers.is_complete == (kind == 0x86)


def test_headers_that_cannot_be_left_out_have_limits() -> None:
    with pytest.raises(BrokenHeaders, match="too large a header of Vorbis"):
        read(pages.vorbis_id(), pages.vorbis_comment(), b"\x05vorbis" + bytes(MAX_HEADER_PACKETS))
    with pytest.raises(BrokenHeaders, match="too many headers of FLAC"):
        read(pages.flac_id(), *[b"\x01\0\0\0"] * MOST_PACKETS)


@pytest.mark.parametrize("name", CODECS)
def test_a_stream_with_a_large_picture_decodes_for_whoever_is_there_and_whoever_joins(name: str) -> None:
    data, original = with_picture(sample(name), PICTURE), run(Ogg(), [sample(name)])
    stream = Ogg()
    result = run(stream, every(data, 1400))
    header = result.headers[-1].data
    assert len(header) < 10_000
    assert len(result.out) == len(header) + len(original.out) - len(original.headers[-1].data)
    assert PICTURE < stream.dropped < PICTURE * 1.02
    assert f"{stream.dropped} bytes of large pictures" in stream.warning
    assert result.of(Tags) == [Tags(0, "Artist", "Tïtle")]
    assert [join.time_s for join in result.joins] == [join.time_s for join in original.joins]
    assert decode_errors(result.out) == ""
    for join in (result.joins[1], result.joins[len(result.joins) // 2], result.joins[-2]):
        assert decode_errors(result.heard_from(join)) == ""
    # The pages of the headers follow each other: some decoders refuse headers of which one seems to be missing.
    assert [one.sequence for one in PageReader().feed(header)] == list(range(len(PageReader().feed(header))))


@pytest.mark.parametrize("name", CODECS)
def test_a_small_picture_stays(name: str) -> None:
    data = with_picture(sample(name), MAX_PLAIN // 2)
    assert data.startswith(run(Ogg(), [data]).out)


@pytest.mark.parametrize("name", CODECS)
def test_the_next_song_may_have_a_picture(name: str) -> None:
    one = sample(name)
    result = run(Ogg(), every(one + with_picture(one, PICTURE), 1400))
    joins = [join for join in result.joins if join.offset >= len(one)]
    assert joins[0].offset == len(one)
    for join in (joins[0], joins[-2]):
        assert decode_errors(result.heard_from(join)) == ""


@pytest.mark.parametrize(
    "head",
    [
        pytest.param((pages.opus_head(), pages.opus_tags("PICTURE=" + "p" * 22_000_000)), id="opus"),
        pytest.param((pages.vorbis_id(), pages.vorbis_comment("PICTURE=" + "p" * 22_000_000)), id="vorbis"),
        pytest.param((pages.flac_id(), b"\x06\xff\xff\xff" + bytes(16_000_000)), id="flac"),
    ],
)
def test_a_picture_of_16_megabytes_takes_no_memory(head: tuple[bytes, bytes]) -> None:
    first, packet = head
    stream, pieces = Ogg(), every(page([first], flags=FIRST) + b"".join(write_pages([packet], 1, 1))[:-100], 1 << 16)
    tracemalloc.start()
    for piece in pieces:
        assert stream.feed(piece)[0] == b""
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 20
