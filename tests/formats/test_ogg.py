"""Ogg streams: headers, joins, titles and chains are where they belong, whatever the codecs and however the bytes
are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.marks import Header, Info, Join, Tags
from pycast.formats.ogg import MAX_LOST, Ogg
from pycast.formats.ogg_chain import AUDIO_PATIENCE, MAX_HEADERS, MAX_STREAMS, VIDEO_PATIENCE
from pycast.formats.ogg_page import MAX_GARBAGE
from tests.formats import ogg_pages as pages
from tests.formats.feeding import CUTS, Result, assert_same_in_pieces, every, run
from tests.formats.ogg_pages import CONTINUED, FIRST, LAST, NO_GRANULE, page, vorbis_audio, vorbis_headers

MAX_PAGES = 2 * 65307


def feed(*parts: bytes, base: int = 0) -> Result:
    return run(Ogg(base), [b"".join(parts)])


def join_offsets(result: Result) -> list[int]:
    return [join.offset for join in result.joins]


def test_a_listener_starts_at_the_beginning_or_with_the_headers_at_any_page() -> None:
    headers, audio = vorbis_headers(), vorbis_audio(1, [44100, 88200])
    result = feed(*headers, *audio, base=100)
    start = 100 + len(b"".join(headers))
    assert result.headers == [Header(100, b""), Header(start, b"".join(headers))]
    assert result.joins == [Join(100, 0.0), Join(start, 0.0), Join(start + len(audio[0]), 1.0)]


def test_headers_pass_once_all_of_them_are_there() -> None:
    first, second = vorbis_headers()
    stream = Ogg()
    assert stream.feed(first) == (b"", [])
    assert stream.feed(second)[0] == first + second


def test_audio_on_the_last_header_page_is_not_repeated_to_who_comes_later() -> None:
    head, tags = page([pages.opus_head()], flags=FIRST), pages.opus_tags("TITLE=T")
    shared = page([tags, b"\xfc" + bytes(19), b"\xfc" + bytes(29)], granule=48312, sequence=1)
    data = page([b"\xfc" + bytes(9)], granule=96312, sequence=2)
    result = feed(head, shared, data)
    assert result.out == head + shared + data
    assert result.headers[-1].data == head + page([tags], sequence=1)
    assert result.joins == [Join(0, 0.0), Join(len(head + shared), 1.0)]


def test_audio_behind_headers_that_are_too_large_gets_a_page_of_its_own() -> None:
    head, audio = page([pages.opus_head()], flags=FIRST), b"\xfc" + bytes(19)
    tags = pages.opus_tags("METADATA_BLOCK_PICTURE=" + "x" * 300_000)
    *large, last = pages.spread([tags], size=200)
    rest = tags[255 * 200 * len(large) :]
    last = page([rest, audio], granule=48312, flags=CONTINUED, sequence=1 + len(large))
    result = feed(head, *large, last)
    small = page([pages.opus_tags()], sequence=1)
    assert result.out == head + small + page([audio], granule=48312, sequence=1 + len(large))
    assert result.headers[-1].data == head + small


def test_header_pages_of_all_streams_come_first_pages_first() -> None:
    theora = [page([pages.theora_id()], 1, flags=FIRST), page(pages.THEORA_HEADERS, 1)]
    vorbis = vorbis_headers(2)
    result = feed(theora[0], vorbis[0], vorbis[1], theora[1], page([pages.KEY_FRAME], 1, 1 << 6))
    assert result.headers[-1].data == theora[0] + vorbis[0] + vorbis[1] + theora[1]


def test_info_names_codecs_and_properties_at_the_start_of_the_chain() -> None:
    theora = [page([pages.theora_id()], 1, flags=FIRST), page(pages.THEORA_HEADERS, 1)]
    vorbis = vorbis_headers(2)
    (info,) = feed(theora[0], vorbis[0], theora[1], vorbis[1]).of(Info)
    assert isinstance(info, Info)
    assert (info.offset, info.bitrate) == (0, 128_000)
    assert info.stats["subtype"] == "Theora/Vorbis"
    assert (info.stats["ice-bitrate"], info.stats["frame_size"]) == ("128", "640 x 480")


@pytest.mark.parametrize(
    "headers",
    [
        [
            page([pages.vorbis_id()], flags=FIRST),
            page([pages.vorbis_comment("ARTIST=A", "TITLE=T"), pages.VORBIS_SETUP]),
        ],
        [page([pages.opus_head()], flags=FIRST), page([pages.opus_tags("ARTIST=A", "TITLE=T")])],
        [page([pages.flac_id()], flags=FIRST), page([pages.flac_comment("ARTIST=A", "TITLE=T")])],
        [page([pages.speex_head()], flags=FIRST), page([pages.comments("ARTIST=A", "TITLE=T")])],
    ],
)
def test_tags_name_the_song_from_the_start_of_the_chain(headers: list[bytes]) -> None:
    assert feed(*headers).of(Tags) == [Tags(0, "A", "T")]


def test_an_untitled_chain_takes_back_the_title_of_the_one_before() -> None:
    titled, untitled = b"".join(vorbis_headers(1, "TITLE=T")), b"".join(vorbis_headers(2))
    result = feed(titled, *vorbis_audio(1, [100]), untitled, *vorbis_audio(2, [100]), untitled)
    assert result.of(Tags) == [Tags(0, "", "T"), Tags(len(titled) + len(vorbis_audio(1, [100])[0]), "", "")]


def test_a_stream_that_never_names_a_song_leaves_titles_alone() -> None:
    assert feed(*vorbis_headers(), *vorbis_audio(1, [100]), *vorbis_headers(2)).of(Tags) == []


def test_a_chain_continues_time_and_brings_its_own_headers() -> None:
    one = [*vorbis_headers(1, "TITLE=1"), *vorbis_audio(1, [44100]), *vorbis_audio(1, [88200], LAST)]
    two = [*vorbis_headers(2, "TITLE=2"), *vorbis_audio(2, [44100, 88200])]
    result = feed(*one, *two)
    start = len(b"".join(one))
    body = start + len(b"".join(two[:2]))
    assert [header for header in result.headers if header.offset >= start] == [
        Header(start, b""),
        Header(body, b"".join(two[:2])),
    ]
    assert [join for join in result.joins if join.offset >= start] == [
        Join(start, 2.0),
        Join(body, 2.0),
        Join(body + len(two[2]), 3.0),
    ]
    assert result.of(Tags)[-1] == Tags(start, "", "2")


def test_a_source_that_begins_again_in_mid_header_begins_a_new_chain() -> None:
    first, second = vorbis_headers()
    result = feed(first, first, second, *vorbis_audio(1, [44100]))
    assert result.headers == [Header(0, b""), Header(len(first + second), first + second)]
    assert result.out == first + second + vorbis_audio(1, [44100])[0]


def test_flac_headers_end_with_the_last_metadata_block() -> None:
    headers = [
        page([pages.flac_id()], flags=FIRST),
        page([pages.flac_comment(is_last=False)]),
        page([b"\x81" + bytes(9)]),
    ]
    result = feed(*headers, page([pages.FLAC_AUDIO], granule=4096))
    assert result.headers[-1] == Header(len(b"".join(headers)), b"".join(headers))
    assert len(result.joins) == 2


def test_flac_headers_without_a_last_block_end_with_the_first_frame() -> None:
    headers = [page([pages.flac_id()], flags=FIRST), page([pages.flac_comment(is_last=False)])]
    result = feed(*headers, page([pages.FLAC_AUDIO], granule=4096), page([pages.FLAC_AUDIO], granule=8192))
    assert result.headers[-1] == Header(len(b"".join(headers)), b"".join(headers))
    assert len(result.joins) == 3


def test_a_comment_of_many_pages_is_one_header() -> None:
    tags = pages.opus_tags("TITLE=T", "PICTURE=" + "p" * 60_000)
    headers = [page([pages.opus_head()], flags=FIRST), *pages.spread([tags], size=80)]
    assert len(headers) == 4
    result = feed(*headers, page([b"\xfc" + bytes(50)], granule=960))
    assert result.headers[-1].data == b"".join(headers)
    assert result.of(Tags) == [Tags(0, "", "T")]


def test_skeleton_belongs_to_the_headers_and_never_delays_them() -> None:
    skeleton = [page([pages.SKELETON_ID], 9, flags=FIRST), page([pages.FISBONE], 9), page([b""], 9, flags=LAST)]
    vorbis = vorbis_headers()
    ended = feed(skeleton[0], vorbis[0], skeleton[1], vorbis[1], skeleton[2], *vorbis_audio(1, [44100]))
    assert ended.headers[-1].data == b"".join([skeleton[0], vorbis[0], skeleton[1], vorbis[1], skeleton[2]])
    endless = feed(skeleton[0], vorbis[0], skeleton[1], vorbis[1], *vorbis_audio(1, [44100]))
    assert endless.headers[-1].data == b"".join([skeleton[0], vorbis[0], skeleton[1], vorbis[1]])
    assert len(ended.joins) == len(endless.joins) == 2


def test_an_unknown_codec_is_carried() -> None:
    first, *data = [page([b"NEWCODEC"], flags=FIRST), page([b"data"], sequence=1), page([b"data"], sequence=2)]
    result = feed(first, *data)
    assert result.out == b"".join([first, *data])
    assert result.headers[-1] == Header(len(first), first)
    assert join_offsets(result) == [0, len(first), len(first) + len(data[0])]


def test_a_page_that_begins_inside_a_packet_is_no_join() -> None:
    headers = vorbis_headers()
    whole = vorbis_audio(1, [44100])[0]
    inside = page([b"rest", pages.VORBIS_AUDIO], granule=88200, flags=CONTINUED)
    result = feed(*headers, whole, inside, whole)
    start = len(b"".join(headers))
    assert join_offsets(result) == [0, start, start + len(whole) + len(inside)]


def test_pages_that_all_begin_inside_packets_are_joins_after_a_while() -> None:
    pieces = [page([b"rest", b"\0" * 4000], granule=88200, flags=CONTINUED, sequence=at) for at in range(50)]
    result = feed(*vorbis_headers(), *pieces)
    inside = pieces[0]
    first, second = result.joins[1:3]
    assert AUDIO_PATIENCE <= second.offset - first.offset < AUDIO_PATIENCE + 2 * len(inside)


def test_key_frames_that_never_begin_a_page_are_joins_after_a_while() -> None:
    headers = [page([pages.theora_id()], flags=FIRST), page(pages.THEORA_HEADERS)]
    pieces = [
        page([pages.INTER_FRAME + bytes(30_000), pages.KEY_FRAME], granule=1 << 6, sequence=at) for at in range(80)
    ]
    result = feed(*headers, *pieces)
    late = pieces[0]
    first, second = result.joins[1:3]
    assert VIDEO_PATIENCE <= second.offset - first.offset < VIDEO_PATIENCE + 2 * len(late)


def test_video_is_joined_at_key_frames_only() -> None:
    headers = [page([pages.theora_id()], 1, flags=FIRST), *vorbis_headers(2)]
    headers.insert(2, page(pages.THEORA_HEADERS, 1))
    key, inter = page([pages.KEY_FRAME, pages.INTER_FRAME], 1, 1 << 6 | 1), page([pages.INTER_FRAME], 1, 1 << 6 | 2)
    late = page([pages.INTER_FRAME, pages.KEY_FRAME], 1, 4 << 6)
    sound = vorbis_audio(2, [4410])[0]
    start = len(b"".join(headers))
    result = feed(*headers, key, sound, inter, sound, late, key)
    end = len(result.out) - len(key)
    assert join_offsets(result) == [0, start, end]


def test_audio_can_be_joined_after_the_video_has_ended() -> None:
    headers = [page([pages.theora_id()], 1, flags=FIRST), *vorbis_headers(2)]
    headers.insert(2, page(pages.THEORA_HEADERS, 1))
    last = page([pages.INTER_FRAME], 1, 1 << 6 | 2, LAST)
    result = feed(*headers, last, *vorbis_audio(2, [44100, 88200]))
    assert join_offsets(result)[1:] == [
        len(b"".join(headers)) + len(last),
        len(result.out) - len(vorbis_audio(2, [1])[0]),
    ]


def test_pages_of_a_stream_that_never_began_are_dropped_and_counted() -> None:
    stray = vorbis_audio(77, [1000])[0]
    stream = Ogg()
    result = run(stream, [stray + b"".join(vorbis_headers()) + stray])
    assert result.out == b"".join(vorbis_headers())
    assert stream.dropped == 2 * len(stray)


def test_garbage_is_dropped_and_offsets_do_not_count_it() -> None:
    headers, audio = vorbis_headers(), vorbis_audio(1, [44100, 88200])
    stream = Ogg()
    result = run(stream, [b"".join(headers) + b"garbage" + b"".join(audio)])
    assert result.out == b"".join(headers + audio)
    assert stream.dropped == 7
    assert join_offsets(result)[1] == len(b"".join(headers))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"ID3\x04" + bytes(MAX_GARBAGE), "no intact Ogg page in 1 MiB", id="not Ogg"),
        pytest.param(
            b"".join(page([b"?"], serial, flags=FIRST) for serial in range(MAX_STREAMS + 1)),
            "too many logical streams",
            id="too many streams",
        ),
        pytest.param(
            page([pages.opus_head()], flags=FIRST) + b"".join(pages.spread([b"OpusTags" + bytes(MAX_HEADERS)])),
            "do not end",
            id="headers do not end",
        ),
        pytest.param(
            vorbis_headers()[0] + page([pages.VORBIS_AUDIO * 2000]) * (MAX_LOST // 40_000),
            "headers of Vorbis are missing",
            id="headers missing",
        ),
        pytest.param(
            page([b"\x01vorbis"], flags=FIRST) + page([pages.VORBIS_AUDIO * 2000]) * (MAX_LOST // 40_000),
            "broken codec header",
            id="broken codec header",
        ),
        pytest.param(
            page([pages.VORBIS_AUDIO * 2000]) * (MAX_LOST // 40_000), "beginning is missing", id="no beginning"
        ),
    ],
)
def test_what_can_never_be_played_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    stream = Ogg()
    with pytest.raises(FormatError, match=reason):
        for piece in every(data, 1 << 16):
            stream.feed(piece)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(vorbis_audio(9, [1000, 2000]), id="pages without a beginning"),
        pytest.param([vorbis_headers()[0], *vorbis_audio(1, [100])], id="a header is missing"),
        pytest.param([page([b"\x01vorbis"], flags=FIRST), *vorbis_audio(1, [100])], id="a broken header"),
        pytest.param([vorbis_headers(5)[0]], id="headers that break off"),
        pytest.param([vorbis_headers()[1]], id="the first header is missing"),
    ],
)
def test_the_next_chain_is_heard_and_the_broken_one_dropped(broken: list[bytes]) -> None:
    whole = [*vorbis_headers(5), *vorbis_audio(5, [1000, 2000])]
    alone, before = feed(*whole), [*vorbis_headers(4), *vorbis_audio(4, [44100])]
    first = feed(*broken, *whole)
    assert (first.out, first.marks) == (alone.out, alone.marks)
    stream = Ogg()
    between = run(stream, [b"".join([*before, *broken, *whole])])
    assert between.out == b"".join([*before, *whole])
    assert stream.dropped == len(b"".join(broken))
    assert f"{stream.dropped} bytes" in stream.warning


def test_headers_that_break_off_before_others_are_left_out() -> None:
    whole = [
        *vorbis_headers(5),
        *[page([pages.VORBIS_AUDIO * 2000], 5, number, sequence=number) for number in range(2, 9)],
    ]
    stream, cut_off = Ogg(), vorbis_headers(1)[0]
    assert run(stream, [cut_off, *whole]).out == b"".join(whole)
    assert stream.dropped == len(cut_off)


def test_a_page_that_comes_twice_passes_once() -> None:
    headers, audio = vorbis_headers(), vorbis_audio(1, [1000, 2000])
    result = feed(*headers, audio[0], audio[0], audio[1])
    assert result.out == b"".join([*headers, *audio])


def test_a_measured_bit_rate_is_reported_when_it_differs() -> None:
    audio = [page([bytes(8000)], granule=second * 44100) for second in range(1, 9)]
    infos = feed(*vorbis_headers(), *audio).of(Info)
    assert [info.bitrate for info in infos if isinstance(info, Info)] == [128_000, 64_000]


BLOCKS = [
    *vorbis_headers(),
    *vorbis_audio(1, [1000, 50_000, 2**60]),
    *vorbis_headers(2, "TITLE=x"),
    page([pages.VORBIS_AUDIO], 2, -5, LAST),
    page([b"\0" * 255], 1, NO_GRANULE, is_last_complete=False),
    page([b"\0" * 9, b""], 1, 3, CONTINUED),
    page([pages.theora_id()], 3, flags=FIRST),
    page(pages.THEORA_HEADERS, 3),
    page([pages.KEY_FRAME], 3, 1 << 6),
    page([], 3),
    page([pages.flac_id()], 4, flags=FIRST),
    page([pages.flac_comment()], 4),
    page([pages.FLAC_AUDIO], 4, 4096),
    page([pages.SKELETON_ID], 5, flags=FIRST),
    page([b"NEW"], 6, flags=FIRST),
    page([], 7, flags=FIRST),
    vorbis_headers()[1][:40],
    b"OggS",
]


@given(st.lists(st.sampled_from(BLOCKS) | st.binary(max_size=20), max_size=20), CUTS)
@settings(deadline=None, max_examples=150)
def test_any_bytes_cut_anywhere_give_the_same_or_are_refused(blocks: list[bytes], places: list[int]) -> None:
    assert_same_in_pieces(Ogg, b"".join(blocks), places, MAX_PAGES)
    assert_same_in_pieces(Ogg, b"".join(vorbis_headers()) + b"".join(blocks), places, MAX_PAGES)
