"""A title from outside begins a new logical stream, in which not a sample is lost or heard twice."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.formats.marks import Header, Join, TitledFormat
from pycast.formats.ogg import Ogg
from pycast.formats.ogg_packets import OPUS_LEAD, whole_packets
from pycast.formats.ogg_page import Page, PageReader
from pycast.formats.ogg_titles import PATIENCE
from pycast.formats.standby import StandbyStream
from pycast.formats.tags import artist_and_title
from tests.formats import ogg_pages as pages
from tests.formats.feeding import CUTS, cut, every, run
from tests.formats.ogg_pages import CONTINUED, FIRST, LAST, NO_GRANULE, flac_link, page
from tests.formats.samples import decode_errors, sample

CODECS = ("vorbis", "opus", "flac")


class Link:
    """One logical stream of a chain, as a player would take it apart."""

    def __init__(self, first: Page) -> None:
        self.pages = [first]

    @property
    def packets(self) -> list[bytes]:
        return whole_packets(self.pages)

    @property
    def song(self) -> tuple[str, str]:
        """Artist and title of the comments."""
        packet = self.packets[1]
        heads = (b"\x03vorbis", b"OpusTags", packet[:4])
        return artist_and_title(packet[next(len(head) for head in heads if packet.startswith(head)) :])


def links(data: bytes) -> list[Link]:
    """Takes a chain apart, and asserts that its pages are whole and numbered without a gap."""
    reader, found = PageReader(), []
    for one in reader.feed(data):
        if one.is_first:
            found.append(Link(one))
        else:
            assert one.serial == found[-1].pages[-1].serial
            assert one.sequence == found[-1].pages[-1].sequence + 1
            found[-1].pages.append(one)
    assert reader.skipped == 0
    return found


def titled(data: bytes, at: int, *songs: tuple[str, str]) -> bytes:
    """Returns what comes out if a title is set after `at` bytes, and others after as many more."""
    stream, out = Ogg(), []
    for piece, song in zip(every(data, at), songs, strict=False):
        out.append(stream.feed(piece)[0])
        assert stream.retitle(*song)
    out.append(stream.feed(data[at * len(songs) :])[0])
    return b"".join(out)


@pytest.mark.parametrize("codec", CODECS)
def test_a_title_begins_a_logical_stream_with_the_rest_of_the_audio(codec: str) -> None:
    data = sample(codec)
    before, after = links(titled(data, len(data) // 2, ("Sänger", "Lied")))
    (whole,) = links(data)
    assert (before.song, after.song) == (("Artist", "Tïtle"), ("Sänger", "Lied"))
    assert before.pages[-1].is_last
    assert [one.is_last for one in after.pages].index(True) == len(after.pages) - 1
    heads = 1 + len(whole.packets) - len([one for one in whole.packets if is_audio(codec, one)])
    first, rest = before.packets[heads - 1 :], after.packets[heads - 1 :]
    lead = {"vorbis": 1, "opus": 4, "flac": 0}[codec]
    assert rest[:lead] == first[len(first) - lead :]
    assert first + rest[lead:] == whole.packets[heads - 1 :]


def is_audio(codec: str, packet: bytes) -> bool:
    heads = {"vorbis": (b"\x01vorbis", b"\x03vorbis", b"\x05vorbis"), "opus": (b"OpusHead", b"OpusTags")}
    return packet.startswith(b"\xff") if codec == "flac" else not packet.startswith(heads[codec])


@pytest.mark.parametrize("codec", CODECS)
def test_the_positions_of_both_parts_are_the_samples_they_have(codec: str) -> None:
    data = sample(codec)
    before, after = links(titled(data, len(data) // 2, ("", "x")))
    (whole,) = links(data)
    skip = OPUS_LEAD if codec == "opus" else 0
    assert before.pages[-1].granule + after.pages[-1].granule - skip == whole.pages[-1].granule
    if codec == "opus":
        assert int.from_bytes(after.packets[0][10:12], "little") == OPUS_LEAD
    granules = [one.granule for one in after.pages if one.granule != NO_GRANULE]
    assert all(one <= other for one, other in pairwise(granules))


@pytest.mark.parametrize("codec", CODECS)
def test_decoders_give_every_sample_and_no_error(codec: str) -> None:
    data = sample(codec)
    out = titled(data, len(data) // 4, ("a", "one"), ("b", "two"), ("c", "three"))
    assert [link.song for link in links(out)][1:] == [("a", "one"), ("b", "two"), ("c", "three")]
    assert decode_errors(out) == ""


@pytest.mark.parametrize("codec", CODECS)
@given(CUTS, st.integers(1, 60))
@settings(max_examples=10, deadline=None)
def test_where_the_bytes_are_cut_changes_nothing(codec: str, places: list[int], part: int) -> None:
    data = sample(codec, 2)
    at = len(data) * part // 64
    whole, pieced = Ogg(), Ogg()
    expected = [whole.feed(data[:at])[0]]
    result = run(pieced, cut(data[:at], places))
    assert result.out == expected[0]
    whole.retitle("a", "b")
    pieced.retitle("a", "b")
    assert run(pieced, cut(data[at:], places)).out == whole.feed(data[at:])[0]


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_that_gets_no_title_is_not_touched(codec: str) -> None:
    assert Ogg().feed(sample(codec))[0] == sample(codec)


def test_listeners_can_start_at_the_new_stream_and_get_its_headers_later() -> None:
    data = sample("vorbis")
    stream, half = Ogg(), len(data) // 2
    first = stream.feed(data[:half])[0]
    stream.retitle("a", "b")
    second, marks = stream.feed(data[half:])
    begin, behind = (mark for mark in marks if isinstance(mark, Header))
    assert begin.data == b""
    assert (
        Join(
            begin.offset, next(mark.time_s for mark in marks if isinstance(mark, Join) and mark.offset >= begin.offset)
        )
        in marks
    )
    out = first + second
    assert out[begin.offset : behind.offset] == behind.data
    assert links(behind.data)[0].song == ("a", "b")
    for join in (mark for mark in marks if isinstance(mark, Join) and mark.offset > begin.offset):
        assert decode_errors(behind.data + out[join.offset :]) == ""


# -- places


def opus(*content: bytes) -> bytes:
    return page([pages.opus_head()], flags=FIRST) + page([pages.opus_tags()], sequence=1) + b"".join(content)


def opus_page(number: int, packets: int = 1, **more: bool) -> bytes:
    """Returns the `number`-th page with so many packets of 20 ms on each."""
    audio = [b"\xfc" + bytes([number, one]) for one in range(packets)]
    return page(audio, granule=960 * packets * number, sequence=number + 1, **more)


def opus_after_title(count: int, packets: int) -> list[Link]:
    """Returns the chain if a title comes after the first of `count` pages."""
    stream = Ogg()
    out = stream.feed(opus(opus_page(1, packets)))[0]
    stream.retitle("", "x")
    return links(out + b"".join(stream.feed(opus_page(number, packets))[0] for number in range(2, count + 1)))


def test_small_pages_are_awaited_until_there_is_enough_for_a_decoder() -> None:
    before, after = opus_after_title(8, 1)
    assert len(before.packets) - 2 == 4
    assert len(after.packets) - 2 == 4 + 4
    (_, other) = opus_after_title(3, 4)
    assert len(other.packets) - 2 == 4 + 4


def test_a_stream_that_never_has_enough_is_cut_all_the_same() -> None:
    tiny = [page([b"\xe0" + bytes([number])], granule=120 * number, sequence=number + 1) for number in range(1, 20)]
    stream = Ogg()
    out = stream.feed(opus(tiny[0]))[0]
    stream.retitle("", "x")
    before, after = links(out + b"".join(stream.feed(one)[0] for one in tiny[1:]))
    assert len(before.packets) - 2 == PATIENCE + 1
    assert int.from_bytes(after.packets[0][10:12], "little") == 0
    assert len(after.packets) - 2 == len(tiny) - PATIENCE - 1


def test_packets_that_do_not_fit_on_a_page_are_done_without() -> None:
    stream, packet = Ogg(), b"\xfc" + bytes(20_000)
    out = stream.feed(opus(page([packet], granule=960, sequence=2)))[0]
    stream.retitle("", "x")
    for number in range(2, 8):
        out += stream.feed(page([packet], granule=960 * number, sequence=number + 1))[0]
    before, after = links(out)
    skipped = int.from_bytes(after.packets[0][10:12], "little")
    assert after.pages[-1].granule == skipped + 960 * (7 - (len(before.packets) - 2))
    assert 960 * (len(after.packets) - 2) == after.pages[-1].granule


def test_a_packet_on_two_pages_is_not_torn() -> None:
    """The way of ffmpeg with FLAC: nearly every page begins within a frame."""
    frames = [bytes.fromhex("fff8c918") + bytes([number]) * 400 for number in range(40)]
    audio, granule = b"".join(frames), 0
    stream = Ogg()
    out = stream.feed(page([pages.flac_id()], flags=FIRST) + page([pages.flac_comment()], sequence=1))[0]
    lacing = b"".join(b"\xff" + bytes([149]) for _ in frames)
    at = begin = 0
    for number, size in enumerate(range(0, len(lacing), 7)):
        table = lacing[size : size + 7]
        ended = sum(1 for one in table if one < 255)
        granule += 4096 * ended
        is_rest = at > 0 and lacing[size - 1] == 255
        content = audio[begin : begin + sum(table)]
        begin += sum(table)
        at = size + 1
        data = raw_page(table, content, CONTINUED if is_rest else 0, granule, number + 2)
        out += stream.feed(data)[0]
        if number == 2:
            stream.retitle("", "x")
    before, after = links(out)
    assert before.packets[2:] + after.packets[2:] == frames
    assert before.pages[-1].granule == 4096 * (len(before.packets) - 2)
    assert after.pages[-1].granule == 4096 * (len(after.packets) - 2)
    assert before.pages[-1].is_last
    assert not after.pages[2].is_continued


def raw_page(lacing: bytes, content: bytes, flags: int, granule: int, sequence: int) -> bytes:
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 1, sequence, 0, len(lacing)) + lacing
    data = head + content
    return data[:22] + struct.pack("<I", pages.crc(data)) + data[26:]


def test_two_titles_at_once_are_one() -> None:
    stream = Ogg()
    out = stream.feed(opus(opus_page(1, 50)))[0]
    for title in ("artist", "artist - title"):
        stream.retitle("", title)
    out += stream.feed(opus_page(2, 50))[0]
    stream.retitle("", "next")
    out += stream.feed(opus_page(3, 5))[0]
    out += b"".join(stream.feed(opus_page(number, 50))[0] for number in range(4, 8))
    assert [link.song[1] for link in links(out)] == ["", "artist - title", "next"]


def test_a_title_that_the_encoder_writes_itself_a_moment_later_begins_one_stream() -> None:
    """butt sends each title of a FLAC stream to the server as well, before it ends the stream in which it was."""
    stream, out = Ogg(), b"".join(flac_link(1, 8))
    stream.feed(out)
    for serial, title in enumerate(("one", "two", "three"), 2):
        *first, before_last, last = flac_link(serial, 42, f"TITLE={title}")
        out += stream.feed(b"".join(first))[0]
        stream.retitle("", {"one": "two", "two": "three", "three": "four"}[title])
        out += stream.feed(before_last)[0] + stream.feed(last)[0]
    out += stream.feed(b"".join(flac_link(5, 8, "TITLE=four")))[0]
    assert [link.song[1] for link in links(out)] == ["", "one", "two", "three", "four"]


def test_a_title_that_waits_does_not_wait_longer_because_another_comes() -> None:
    stream = Ogg()
    out = stream.feed(b"".join(flac_link(1, 8)))[0]
    for number, data in enumerate(flac_link(2, 60, "TITLE=own")):
        out += stream.feed(data)[0]
        stream.retitle("", f"number {number}")
    songs = [link.song[1] for link in links(out)]
    assert songs[:3] == ["", "own", "number 2"] and len(songs) > 4


def test_a_title_that_comes_again_begins_nothing() -> None:
    stream = Ogg()
    begin = page([pages.opus_head()], flags=FIRST) + page([pages.opus_tags("TITLE=own")], sequence=1)
    out = stream.feed(begin + opus_page(1, 50))[0]
    for number, title in enumerate(("own", "own", "a - b", "a - b", "a - b"), 2):
        assert stream.retitle("", title)
        out += stream.feed(opus_page(number, 50))[0]
    # One that was not sent any more, and the present one in two parts.
    for song in (("", "other"), ("a", "b")):
        assert stream.retitle(*song)
    out += stream.feed(opus_page(7, 50))[0]
    assert [link.song[1] for link in links(out)] == ["own", "a - b"]


def test_the_next_chain_of_the_encoder_has_its_own_title_or_keeps_that_of_the_mount() -> None:
    def chain(serial: int, *fields: str) -> bytes:
        heads = page([pages.opus_head()], serial, flags=FIRST) + page([pages.opus_tags(*fields)], serial, sequence=1)
        audio = [
            page(
                [b"\xfc%d" % one for one in range(50)],
                serial,
                48000 * number,
                LAST * (number == 4),
                sequence=number + 1,
            )
            for number in range(1, 5)
        ]
        return heads + b"".join(audio)

    stream = Ogg()
    out = stream.feed(chain(1, "TITLE=own")[:-400])[0]
    stream.retitle("", "set")
    out += stream.feed(chain(1, "TITLE=own")[-400:])[0]
    out += stream.feed(chain(2))[0] + stream.feed(chain(3, "TITLE=own"))[0]
    assert [link.song[1] for link in links(out)] == ["own", "set", "", "set", "own"]


def test_comments_of_the_station_stay_and_those_of_the_last_song_go() -> None:
    stream = Ogg()
    tags = pages.opus_tags("TITLE=old", "ALBUM=old", "encoder=lib", "R128_TRACK_GAIN=-3", "METADATA_BLOCK_PICTURE=AAAA")
    out = stream.feed(page([pages.opus_head()], flags=FIRST) + page([tags], sequence=1) + opus_page(1, 50))[0]
    stream.retitle("A\nB", "T")
    _, after = links(out + stream.feed(opus_page(2, 50))[0])
    block = after.packets[1]
    assert after.song == ("A B", "T")
    assert b"encoder=lib" in block and b"R128_TRACK_GAIN=-3" in block and block[8:16] == b"\x04\0\0\0test"
    assert b"ALBUM" not in block and b"PICTURE" not in block


def test_flac_without_comments_gets_a_block_and_counts_it() -> None:
    first = bytearray(pages.flac_id())
    first[7:9] = b"\0\1"
    padding = b"\x81\0\0\0"
    frames = [bytes.fromhex("fff8c91800") for _ in range(3)]
    stream = Ogg()
    out = stream.feed(
        page([bytes(first)], flags=FIRST) + page([padding], sequence=1) + page(frames, granule=3 * 4096, sequence=2)
    )[0]
    stream.retitle("", "x")
    _, after = links(out + stream.feed(page(frames, granule=6 * 4096, sequence=3))[0])
    assert after.packets[0][7:9] == b"\0\2"
    assert after.packets[1][0] == 4 and after.packets[2] == padding
    assert after.song == ("", "x")


@pytest.mark.parametrize("codec", ["theora", "speex"])
def test_other_codecs_and_video_are_left_alone(codec: str) -> None:
    data = sample(codec)
    stream = Ogg()
    out = stream.feed(data[: len(data) // 2])[0]
    assert not stream.retitle("", "x")
    assert out + stream.feed(data[len(data) // 2 :])[0] == data


def test_a_source_that_stands_by_goes_on_the_air_with_its_title() -> None:
    data = sample("vorbis")
    standby = StandbyStream()
    standby.begin(Ogg(), data[: len(data) // 3])
    standby.set_title("a", "b")
    standby.feed(data[len(data) // 3 : len(data) // 2])
    continued = standby.resume_at(1000)
    assert isinstance(continued, TitledFormat)
    continued.retitle("c", "d")
    out = continued.feed(data[len(data) // 2 :])[0]
    reader = PageReader()
    songs = [Link(one) for one in reader.feed(out) if one.is_first]
    assert len(songs) == 2
    assert out.index(b"title=b") < out.index(b"title=d")
    assert decode_errors(out) == ""


@given(st.lists(st.tuples(st.integers(0, 7), st.binary(max_size=600), st.integers(-1, 2**40)), max_size=30), st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_comes_in_only_whole_pages_come_out(parts: list[tuple[int, bytes, int]], data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from(CODECS))
    heads = {
        "vorbis": b"".join(pages.vorbis_headers()),
        "opus": page([pages.opus_head()], flags=FIRST) + page([pages.opus_tags()], sequence=1),
        "flac": page([pages.flac_id()], flags=FIRST) + page([pages.flac_comment()], sequence=1),
    }
    stream = Ogg()
    out = [stream.feed(heads[codec])[0]]
    for number, (flags, content, granule) in enumerate(parts):
        stream.retitle("", f"title {number}")
        packets = [content[at : at + 255] for at in range(0, len(content), 255)]
        out.append(stream.feed(page(packets, 1, granule, flags & ~FIRST, sequence=number + 2))[0])
    reader = PageReader()
    reader.feed(b"".join(out))
    assert reader.skipped == 0 and not reader._buf


def test_a_packet_that_says_it_is_longer_than_packets_are_breaks_nothing() -> None:
    stream = Ogg()
    stream.feed(page([pages.opus_head()], flags=FIRST) + page([pages.opus_tags()], sequence=1))
    stream.retitle("", "title")
    out = stream.feed(page([b"\x1f\x17"], 1, 0, sequence=2))[0]  # 23 frames of 60 ms
    reader = PageReader()
    (first, *_) = (one for one in reader.feed(out) if one.is_first)
    assert first.data[first.body :][10:12] == b"\xff\xff"


def test_the_largest_position_stays_one() -> None:
    stream = Ogg()
    out = stream.feed(opus(opus_page(1, 50)))[0]
    stream.retitle("", "title")
    out += stream.feed(page([b"\xfc"] * 9, granule=0, sequence=3))[0]
    out += stream.feed(page([b"\xfc"], granule=2**63 - 1, sequence=4))[0]
    assert links(out)[-1].pages[-1].granule == 2**63 - 1
