"""ICY titles: the writer against the reader, and the writer against Icecast's bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.icy import (
    BLANK_TITLE_BLOCK,
    EMPTY_BLOCK,
    IcyReader,
    IcyTitle,
    decode_title,
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
