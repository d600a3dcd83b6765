"""Bytes to text and back."""

from encodings.aliases import aliases

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.charset import decode, decode_damaged, encode, of_latin1
from tests.http.cuts import QUICK

ODD = [
    "",
    "no-such-charset",
    "hex",
    "rot13",
    "idna",
    "punycode",
    "undefined",
    "unicode_escape",
    "x\0y",
    "../x",
    "mbcs",
    "a" * 1000,
]


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"f\xc3\xbcr", None, "für"),
        (b"f\xfcr", None, "für"),
        (b"f\xfcr", "ISO-8859-1", "für"),
        (b"f\xfcr", "ISO8859-1", "für"),
        (b"f\xfcr", "latin1", "für"),
        (b"\xcf\xf0\xe8", "windows-1251", "При"),
        (b"\xf0\xd2\xc9", "KOI8-R", "При"),
        (b"\xf0\xd2\xc9", "koi8-u", "При"),
        (b"\x93\xfa", "Shift_JIS", "日"),
        (b"f\xc3\xbcr", "ascii", "für"),
        (b"f\xfcr", "UTF-8", "für"),
    ],
)
def test_charset_is_followed_if_it_is_known_and_fits(raw: bytes, charset: str | None, text: str) -> None:
    assert decode(raw, charset) == text


@pytest.mark.parametrize("charset", [None, "latin1", "ISO8859-1"])
def test_latin1_is_what_windows_makes_of_it(charset: str | None) -> None:
    assert decode(b"don\x92t \x96 \x80 \xe9", charset) == "don’t – € é"
    assert decode(b"\x81\xe9", charset) == "\x81é"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("für日".encode()[:-1], "für"),  # cut inside a character
        ("für日".encode()[:-2], "für"),
        (b"f\xc3", "fÃ"),  # Latin-1: nothing says that it is UTF-8
        (b"a\xed\xa0\xbd\xed\xb8\x80b", "a\U0001f600b"),  # Java
        (b"a\xed\xa0\xbdb", "a\ufffdb"),
        (b"a\xed\xa0\xbdb\xe6\x97", "a\ufffdb"),
    ],
)
@pytest.mark.parametrize("charset", [None, "UTF-8", "no-such-charset"])
def test_what_was_damaged_is_read_as_far_as_it_goes(raw: bytes, text: str, charset: str | None) -> None:
    assert decode_damaged(raw, charset) == text


@pytest.mark.parametrize("charset", ODD)
def test_odd_charset_counts_as_not_given(charset: str) -> None:
    assert decode(b"f\xc3\xbcr \\u0041", charset) == "für \\u0041"
    assert encode("für", charset) == b"f\xc3\xbcr"


def test_what_a_charset_cannot_express_is_a_character_reference() -> None:
    assert encode("für 日", "ISO-8859-1") == b"f\xfcr &#26085;"


@pytest.mark.parametrize("text", ["\ud800", "für 日 \U0001f600", "\0\x80\uffff"])
def test_no_charset_fails_to_encode(text: str) -> None:
    assert all(encode(text, name) for name in (*aliases, *aliases.values()))


@QUICK
@given(
    st.binary(max_size=100),
    st.one_of(st.none(), st.text(max_size=12), st.sampled_from([*ODD, "utf-16", "utf-7", "big5", "hz"])),
)
def test_decode_returns_for_every_input(raw: bytes, charset: str | None) -> None:
    assert isinstance(decode(raw, charset), str)
    assert isinstance(decode_damaged(raw, charset), str)


@QUICK
@given(
    st.text(max_size=100),
    st.one_of(st.text(max_size=12), st.sampled_from([*ODD, "utf-16", "utf-7", "big5", "iso2022_jp"])),
)
def test_encode_returns_for_every_input(text: str, charset: str) -> None:
    assert isinstance(encode(text, charset), bytes)


@pytest.mark.parametrize("text", ["", "plain", "J\xfcrgen", "\u0442\u0435\u043a\u0441\u0442"])
def test_a_value_that_was_read_as_latin1_is_what_its_sender_meant(text: str) -> None:
    assert of_latin1(text.encode().decode("latin-1")) == text


def test_a_value_that_is_latin1_stays() -> None:
    assert of_latin1("J\xfcrgen") == "J\xfcrgen"
