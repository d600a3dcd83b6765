"""One chain link, page by page: when its headers are complete, and on which pages a listener can start.

Whole streams of several chains are in test_ogg.py.
"""

import pytest

from pycast.errors import FormatError
from pycast.formats.ogg_chain import AUDIO_PATIENCE, MAX_EARLY, MAX_HEADERS, MAX_STREAMS, VIDEO_PATIENCE, Chain
from pycast.formats.ogg_codecs import BrokenHeaders
from pycast.formats.ogg_page import Page, PageReader
from tests.formats import ogg_pages as pages
from tests.formats.ogg_pages import CONTINUED, FIRST, LAST, page, vorbis_audio, vorbis_headers

BIG = b"\x00" + b"v" * (255 * 200 - 1)


def read(*data: bytes) -> list[Page]:
    return PageReader().feed(b"".join(data))


def complete(*heads: bytes, start_s: float = 0.0) -> Chain:
    """Returns a chain that has got these header pages."""
    chain = Chain(0, start_s)
    for one in read(*heads):
        if one.is_first:
            chain.open_stream(one)
        else:
            chain.take_header(one)
    assert chain.is_complete
    return chain


def joins(chain: Chain, *data: bytes) -> list[float | None]:
    return [chain.take_data(one) for one in read(*data)]


def test_headers_are_complete_with_the_last_page_that_a_codec_needs() -> None:
    first, second = read(*vorbis_headers())
    chain = Chain(7, 0.0)
    chain.open_stream(first)
    assert (chain.is_complete, chain.is_begun) == (False, False)
    chain.take_header(second)
    assert (chain.is_complete, chain.is_begun, chain.headers) == (True, True, first.data + second.data)


def test_several_streams_are_complete_when_the_last_one_is() -> None:
    first, second = vorbis_headers(1), vorbis_headers(2)
    chain = Chain(0, 0.0)
    for one in read(first[0], second[0]):
        chain.open_stream(one)
    (page_of_first,), (page_of_second,) = read(first[1]), read(second[1])
    taken = []
    for one in (page_of_first, page_of_second):
        chain.take_header(one)
        taken.append(chain.is_complete)
    assert taken == [False, True]
    assert chain.headers == first[0] + second[0] + first[1] + second[1]


def test_a_page_belongs_to_the_streams_that_began_with_the_chain() -> None:
    chain = complete(*vorbis_headers(5))
    mine, other = read(*vorbis_audio(5, [100]), *vorbis_audio(6, [100]))
    assert chain.knows(mine) and not chain.knows(other)


def test_data_before_the_headers_breaks_the_chain() -> None:
    head, audio = read(vorbis_headers()[0], *vorbis_audio(1, [100]))
    chain = Chain(0, 0.0)
    chain.open_stream(head)
    with pytest.raises(BrokenHeaders, match="headers of Vorbis are missing"):
        chain.take_header(audio)


def test_a_page_that_is_missing_in_a_header_breaks_the_chain() -> None:
    pieces = pages.spread([pages.opus_tags("TITLE=" + "t" * 900)], size=1)
    head, first, _, third = read(page([pages.opus_head()], flags=FIRST), *pieces[:3])
    chain = Chain(0, 0.0)
    chain.open_stream(head)
    chain.take_header(first)
    with pytest.raises(BrokenHeaders, match="a page is missing"):
        chain.take_header(third)


def test_a_text_beside_the_audio_is_not_waited_for() -> None:
    heads = [page([pages.SKELETON_ID], 9, flags=FIRST), *vorbis_headers(1)]
    skeleton, first, second = read(*heads)
    chain = Chain(0, 0.0)
    chain.open_stream(skeleton)
    chain.open_stream(first)
    chain.take_header(second)
    (audio,) = read(*vorbis_audio(1, [44100]))
    assert not chain.is_complete
    chain.take_header(audio)
    assert (chain.is_complete, chain.early) == (True, [audio])


def test_each_audio_page_that_begins_a_packet_is_a_place_to_start() -> None:
    chain = complete(*vorbis_headers(), start_s=10.0)
    assert joins(chain, *vorbis_audio(1, [44100, 88200])) == [10.0, 11.0]
    assert chain.time_s == 12.0


def test_a_page_that_continues_a_packet_is_a_join_only_after_half_a_burst() -> None:
    chain = complete(*vorbis_headers())
    pieces = [page([BIG[: 255 * 40], b"\x00next"], granule=100, flags=CONTINUED) for _ in range(10)]
    found = joins(chain, *pieces)
    first = next(number for number, time_s in enumerate(found) if time_s is not None)
    assert sum(map(len, pieces[:first])) >= AUDIO_PATIENCE > sum(map(len, pieces[: first - 1]))


def test_video_is_entered_at_key_frames_whatever_the_audio_beside_it_does() -> None:
    theora = [page([pages.theora_id()], 1, flags=FIRST), page(pages.THEORA_HEADERS, 1)]
    vorbis = vorbis_headers(2)
    chain = complete(theora[0], vorbis[0], theora[1], vorbis[1])
    chain.take_data(read(page([pages.KEY_FRAME], 1, 1 << 6))[0])
    audio = joins(chain, *vorbis_audio(2, [44100]))
    inter = joins(chain, page([pages.INTER_FRAME], 1, 1 << 6 | 1))
    key = joins(chain, page([pages.KEY_FRAME], 1, 3 << 6))
    assert (audio, inter) == ([None], [None])
    assert key != [None]


def test_key_frames_that_never_begin_a_page_are_taken_where_they_are_after_a_while() -> None:
    chain = complete(page([pages.theora_id()], 1, flags=FIRST), page(pages.THEORA_HEADERS, 1))
    hidden = page([pages.INTER_FRAME * 2000, pages.KEY_FRAME], 1, 1 << 6)
    found = joins(chain, *[hidden] * (VIDEO_PATIENCE // len(hidden) + 3))
    first = next(number for number, time_s in enumerate(found) if time_s is not None)
    assert first * len(hidden) >= VIDEO_PATIENCE


def test_when_the_video_ends_the_audio_decides() -> None:
    theora = [page([pages.theora_id()], 1, flags=FIRST), page(pages.THEORA_HEADERS, 1)]
    vorbis = vorbis_headers(2)
    chain = complete(theora[0], vorbis[0], theora[1], vorbis[1])
    joins(chain, page([pages.KEY_FRAME], 1, 1 << 6, LAST))
    assert joins(chain, *vorbis_audio(2, [44100])) != [None]


def test_tags_are_those_of_the_first_stream_that_has_any() -> None:
    first, second = vorbis_headers(1), vorbis_headers(2, "ARTIST=A", "TITLE=T")
    assert complete(first[0], second[0], first[1], second[1]).tags == ("A", "T")
    assert complete(*vorbis_headers(1)).tags == ("", "")


def test_there_is_an_end_to_streams_and_to_headers() -> None:
    chain = Chain(0, 0.0)
    for one in read(*(vorbis_headers(number)[0] for number in range(MAX_STREAMS))):
        chain.open_stream(one)
    with pytest.raises(FormatError, match="too many logical streams"):
        chain.open_stream(read(vorbis_headers(99)[0])[0])
    chain = Chain(0, 0.0)
    chain.open_stream(read(page([pages.opus_head()], flags=FIRST))[0])
    begin = read(page([b"OpusTags" + b"x" * (255 * 200 - 8)], sequence=1, is_last_complete=False))[0]
    with pytest.raises(FormatError, match="do not end"):
        for number in range(MAX_HEADERS // 50_000):
            flags = CONTINUED if number else 0
            chain.take_header(begin._replace(flags=flags, sequence=1 + number))


def test_headers_that_do_not_come_are_not_waited_for() -> None:
    first, second = vorbis_headers(1), vorbis_headers(2)
    chain = Chain(0, 0.0)
    for one in read(first[0], second[0], first[1]):
        (chain.open_stream if one.is_first else chain.take_header)(one)
    (audio,) = read(page([BIG], 1))
    while not chain.is_complete:
        chain.take_header(audio)
    assert MAX_EARLY < len(b"".join(page.data for page in chain.early)) <= MAX_EARLY + len(audio.data)
    assert chain.headers == first[0] + first[1]
    assert not chain.knows(read(second[0])[0])
