"""ICY titles: the writer against the reader, and the writer against Icecast's bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.errors import BodyError
from pycast.http.icy import (
    BLANK_TITLE_BLOCK,
    EMPTY_BLOCK,
    IcyReader,
    IcyTitle,
    InlineTitles,
    decode_title,
    source_metaint,
    title_block,
)
from tests.http.cuts import PLACES, QUICK, byte_by_byte, cut


@pytest.mark.parametrize(
    ("text", "url", "block"),
    [
        ("", "", BLANK_TITLE_BLOCK),
        ("x", "", b"\x02StreamTitle='x';" + bytes(16)),  # 16 bytes of text take two units: always a NUL at the end
        ("ab", "", b"\x02StreamTitle='ab';" + bytes(15)),
        ("it's", "http://x/", b"\x03StreamTitle='it's';StreamUrl='http://x/';" + bytes(7)),
        ("f\0ür", "", b"\x02StreamTitle='f\xc3\xbcr';" + bytes(13)),
    ],
)
def test_blocks_are_icecasts(text: str, url: str, block: bytes) -> None:
    assert title_block(text, url) == block


def test_longest_title_fits_and_a_longer_one_is_cut() -> None:
    room = 4079 - len("StreamTitle='';")
    block = title_block("x" * room)
    assert block[0] == 255 and len(block) == 4081 and block[-1] == 0
    assert title_block("x" * (room + 1)) == title_block("x" * 9000) == block


def test_a_url_gives_way_to_the_title() -> None:
    assert title_block("x" * 3000, "y" * 2000) == title_block("x" * 3000)


@pytest.mark.parametrize(
    ("charset", "character", "size"),
    [("UTF-8", "日", 3), ("UTF-8", "a\u0301", 3), ("ISO-8859-1", "日", 8), ("UTF-16", "日", 3), ("Shift_JIS", "日", 2)],
)
def test_a_title_is_cut_between_two_characters_in_any_charset(charset: str, character: str, size: int) -> None:
    block = title_block(character * 3000, "", charset)
    text = block[1:].rstrip(b"\0").removeprefix(b"StreamTitle='").removesuffix(b"';")
    assert len(text) == 4064 // size * size
    assert text == text[:size] * (len(text) // size)


@pytest.mark.parametrize(
    ("charset", "raw"),
    [("ISO-8859-1", b"f\xfcr &#26085;"), ("UTF-8", "für 日".encode()), ("UTF-16", "für 日".encode())],
)
def test_title_is_in_the_streams_charset(charset: str, raw: bytes) -> None:
    block = title_block("für 日", "", charset)
    assert block[1:].rstrip(b"\0") == b"StreamTitle='" + raw + b"';"


def test_encoders_title_is_decoded() -> None:
    assert decode_title(b"f\xfcr\0") == "für"
    assert decode_title(b"\xcf\xf0\xe8", "windows-1251") == "При"
    assert decode_title("für 日".encode()[:-1], "UTF-8") == "für "


def read(metaint: int, pieces: list[bytes]) -> list[bytes | IcyTitle]:
    """Returns the reader's events with neighbouring audio joined."""
    reader = IcyReader(metaint)
    joined: list[bytes | IcyTitle] = []
    for event in (event for piece in pieces for event in reader.feed(piece)):
        last = joined[-1] if joined else None
        if isinstance(event, bytes) and isinstance(last, bytes):
            joined[-1] = last + event
        else:
            joined.append(event)
    return joined


def test_reader_gives_audio_and_titles_in_order() -> None:
    block = title_block("A - T", "http://x/")
    stream = b"12345678" + block + b"abcdefgh" + EMPTY_BLOCK + b"ijkl"
    events = read(8, byte_by_byte(stream))
    assert events == [b"12345678", IcyTitle("A - T", "http://x/", block[1:]), b"abcdefghijkl"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"StreamTitle='a", "a"), (b"StreamTitle='a'", "a"), (b"x", ""), (b"StreamUrl='u';StreamTitle='a;b';", "a;b")],
)
def test_reader_accepts_blocks_of_sloppy_writers(raw: bytes, text: str) -> None:
    padded = raw + bytes(-len(raw) % 16)
    (_, title) = read(1, [b"a" + bytes([len(padded) // 16]) + padded])
    assert isinstance(title, IcyTitle) and title.text == text


def test_reader_needs_an_interval() -> None:
    with pytest.raises(ValueError, match="metaint"):
        IcyReader(0)


_TITLES = st.text(max_size=60).map(lambda text: text.replace("\0", "").replace("';", ""))


@QUICK
@given(st.integers(1, 40), st.binary(max_size=200), st.lists(_TITLES, min_size=1), PLACES)
def test_reader_undoes_the_writer(metaint: int, audio: bytes, titles: list[str], places: list[int]) -> None:
    stream, sent = b"", []
    for number, start in enumerate(range(0, len(audio), metaint)):
        piece = audio[start : start + metaint]
        stream += piece
        if len(piece) == metaint:
            text = titles[number % len(titles)].encode("utf-8", "replace").decode()
            block = title_block(text) if number % 3 else EMPTY_BLOCK
            stream += block
            sent += [text] if block != EMPTY_BLOCK else []
    events = read(metaint, cut(stream, places))
    assert b"".join(event for event in events if isinstance(event, bytes)) == audio
    assert [event.text for event in events if isinstance(event, IcyTitle)] == sent


@QUICK
@given(st.integers(1, 20), st.binary(max_size=300), PLACES)
def test_any_bytes_cut_anywhere_give_one_result(metaint: int, data: bytes, places: list[int]) -> None:
    whole = read(metaint, [data])
    assert read(metaint, byte_by_byte(data)) == whole
    assert read(metaint, cut(data, places)) == whole


def inline(title: str, url: str = "") -> bytes:
    block = title_block(title, url)
    assert block is not None
    return block


def titles_and_audio(pieces: list[bytes], metaint: int, charset: str = "") -> tuple[list[tuple[int, str, str]], bytes]:
    """Returns the titles with the offset of the audio at which they begin, and the audio."""
    reader, audio, titles = InlineTitles(metaint, charset), b"", []
    for piece in pieces:
        for part in reader.feed(piece):
            if isinstance(part, bytes):
                audio += part
            else:
                titles.append((len(audio), part.text, part.url))
    return titles, audio


def test_titles_are_taken_out_of_the_audio_where_they_begin() -> None:
    stream = b"0123" + inline("One", "http://x/") + b"4567" + EMPTY_BLOCK + b"89ab" + inline("Two") + b"cd"
    whole = titles_and_audio(byte_by_byte(stream), 4)
    assert whole == ([(4, "One", "http://x/"), (12, "Two", "")], b"0123456789abcd")
    assert titles_and_audio([stream], 4) == ([(12, "Two", "")], b"0123456789abcd"), "of one piece the last counts"


def test_the_same_title_again_is_no_new_one() -> None:
    stream = b"0" + inline("One") + b"1" + inline("One") + b"2" + b"\x01" + bytes(16) + b"3" + inline("") + b"4"
    assert titles_and_audio(byte_by_byte(stream), 1) == ([(1, "One", ""), (4, "", "")], b"01234")


def test_a_title_inside_the_audio_is_in_the_charset_of_its_mount() -> None:
    block = b"\x02" + "StreamTitle='\u0416\u0443\u043a';".encode("cp1251").ljust(32, b"\0")
    assert titles_and_audio([b"0" + block], 1, "cp1251")[0] == [(1, "\u0416\u0443\u043a", "")]


@pytest.mark.parametrize(
    "block", [b"\x01" + b"\xff\xfb\x90\x64" * 4, b"\xff" + b"\xff" * 4080, b"\x01StreamTitle" + b"x" * 5]
)
def test_audio_where_a_title_should_be_ends_the_stream(block: bytes) -> None:
    for pieces in ([b"0" + block], byte_by_byte(b"0" + block)):
        with pytest.raises(BodyError):
            titles_and_audio(pieces, 1)


@pytest.mark.parametrize(
    "text", ["StreamTitle='It's';", "StreamTitle='no end", "streamurl='x';", "StreamTitle=;", "StreamTitle='';"]
)
def test_a_block_that_is_only_untidy_is_no_error(text: str) -> None:
    block = bytes([len(text) // 16 + 1]) + text.encode().ljust((len(text) // 16 + 1) * 16, b"\0")
    assert titles_and_audio([b"0" + block + b"1"], 1)[1] == b"01"


@QUICK
@given(st.binary(max_size=400), st.integers(1, 20), PLACES)
def test_any_bytes_give_audio_and_titles_or_an_error(data: bytes, metaint: int, places: list[int]) -> None:
    def run(pieces: list[bytes]) -> bytes | None:
        try:
            return titles_and_audio(pieces, metaint)[1]
        except BodyError:
            return None

    whole = run([data])
    assert whole is None or len(whole) <= len(data)
    assert run(cut(data, places)) == whole


@pytest.mark.parametrize(
    ("value", "metaint"),
    [
        ("16000", 16000),
        (" 1 ", 1),
        ("0", 0),
        ("-1", 0),
        ("x", 0),
        ("1e3", 0),
        ("99999999999", 0),
        ("\u0663", 0),
        ("16777217", 0),
    ],
)
def test_the_interval_of_a_source_is_a_number_in_bounds(value: str, metaint: int) -> None:
    assert source_metaint([("icy-metaint", value)]) == metaint
    assert source_metaint([]) == 0
