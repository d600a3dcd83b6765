"""The icy block of a listener's head. The expected bytes are what Icecast 2.4.4 answered for the same source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.headers import Headers
from pycast.http.listener_head import listener_tail, source_block, wants_length, wants_page, wants_titles
from pycast.http.request import HeadReader
from tests.http.cuts import QUICK


def source(lines: bytes) -> Headers:
    request = HeadReader().feed(b"SOURCE /x HTTP/1.0\r\n" + lines + b"\r\n")
    assert request is not None
    return request.headers


FULL = (
    b"Content-Type: audio/mpeg\r\n"
    b"User-Agent: libshout\r\n"
    b"ice-name: My station\r\n"
    b"ice-description: Desc\r\n"
    b"Ice-Genre: Rock\r\n"
    b"ice-url: http://example.org/\r\n"
    b"ice-public: 1\r\n"
    b"ice-bitrate: 128\r\n"
    b"ice-audio-info: bitrate=128;channels=2;samplerate=44100\r\n"
)


def test_full_block_is_icecasts() -> None:
    assert source_block(source(FULL)) + listener_tail(16000) == (
        b"icy-br:128\r\n"
        b"ice-audio-info: bitrate=128;channels=2;samplerate=44100\r\n"
        b"icy-br:128\r\n"
        b"icy-description:Desc\r\n"
        b"icy-genre:Rock\r\n"
        b"icy-name:My station\r\n"
        b"icy-pub:1\r\n"
        b"icy-url:http://example.org/\r\n"
        b"icy-metaint:16000\r\n"
    )


@pytest.mark.parametrize(
    ("lines", "block"),
    [
        (b"", b""),
        (b"ice-name: one\r\nice-name: two\r\n", b"icy-name:two\r\n"),
        (b"icy-br: 64\r\nicy-name: N\r\nice-description: d\r\n", b"icy-description:d\r\nicy-br:64\r\nicy-name:N\r\n"),
        (b"ice-public:1\r\nicy-pub: 0\r\n", b"icy-pub:1\r\nicy-pub:0\r\n"),
        (b"ice-password: p\r\nicy-metaint: 4\r\nx-audiocast-name: n\r\n", b""),
        (b"ice-: x\r\nicy-: y\r\nice-zz: a:b\r\nICE-FOO:bar\r\n", b"icy-:x\r\nicy-foo:bar\r\nicy-zz:a:b\r\nicy-:y\r\n"),
        (b"ice-audio-info: bitrate=320\r\n", b"icy-br:320\r\nice-audio-info: bitrate=320\r\n"),
        (b"ice-audio-info: bitrate=+007\r\n", b"icy-br:7\r\nice-audio-info: bitrate=+007\r\n"),
        (b"ice-audio-info: bitrate=0\r\n", b"icy-br:0\r\nice-audio-info: bitrate=0\r\n"),
        (b"ice-audio-info: ice-bitrate=96;x=1\r\n", b"icy-br:96\r\nice-audio-info: ice-bitrate=96;x=1\r\n"),
        (b"ice-audio-info: a=1; bitrate= 12;q\r\n", b"icy-br:12\r\nice-audio-info: a=1; bitrate= 12;q\r\n"),
        (
            b"ice-audio-info: ice-bitrate=Quality 0;bitrate=5\r\n",
            b"ice-audio-info: ice-bitrate=Quality 0;bitrate=5\r\n",
        ),
        (b"ice-audio-info: channels=2\r\nice-bitrate: 96\r\n", b"ice-audio-info: channels=2\r\nicy-br:96\r\n"),
        (
            b"icy-irc:#x\r\nicy-name:SC\r\nicy-pub:1\r\nicy-br:128\r\n",
            b"icy-br:128\r\nicy-irc:#x\r\nicy-name:SC\r\nicy-pub:1\r\n",
        ),
    ],
)
def test_source_headers_are_mirrored_as_icecast_does(lines: bytes, block: bytes) -> None:
    assert source_block(source(lines)) == block


def test_unset_field_of_butt_is_not_mirrored() -> None:
    assert source_block(source(b"ice-url: (null)\r\nice-name: n\r\n")) == b"icy-name:n\r\n"


def test_configured_stream_name_replaces_ice_name_only() -> None:
    assert source_block(source(b"ice-name: n\r\n"), "Configured") == b"icy-name:Configured\r\n"
    assert source_block(source(b"icy-name: n\r\n"), "Configured") == b"icy-name:n\r\n"
    assert source_block(source(b"ice-genre: g\r\n"), "Configured") == b"icy-genre:g\r\n"


def test_length_for_flash_stands_before_metaint() -> None:
    block = source_block(source(b"ice-name: n\r\n")) + listener_tail(16000, needs_length=True)
    assert block == b"icy-name:n\r\nContent-Length: 221183499\r\nicy-metaint:16000\r\n"


@pytest.mark.parametrize("metaint", [None, 0])
def test_no_metaint_without_titles(metaint: int | None) -> None:
    assert source_block([]) + listener_tail(metaint) == b""


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("1", True),
        ("1x", True),
        (" 2", True),
        ("-1", True),
        ("010", True),
        ("0", False),
        ("00", False),
        ("true", False),
        ("", False),
    ],
)
def test_titles_are_wanted_by_a_number_that_is_not_zero(value: str, wanted: bool) -> None:
    assert wants_titles(Headers([("Icy-MetaData", value)])) is wanted


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("x-flash-version", "1", True),
        ("User-Agent", "foo MSIE 7", True),
        ("User-Agent", "VLC/3", False),
        ("Accept", "*/*", False),
    ],
)
def test_flash_and_old_explorer_get_a_length(name: str, value: str, wanted: bool) -> None:
    assert wants_length(Headers([(name, value)])) is wanted


def test_utf8_passes_and_latin1_becomes_utf8() -> None:
    assert source_block(source(b"ice-name: f\xc3\xbcr\r\n")) == b"icy-name:f\xc3\xbcr\r\n"
    assert source_block(source(b"ice-name: f\xfcr\r\n")) == b"icy-name:f\xc3\xbcr\r\n"


@QUICK
@given(
    st.dictionaries(st.sampled_from(["ice-name", "ice-x", "icy-br", "ice-audio-info"]), st.text(max_size=30)),
    st.text(max_size=9),
)
def test_no_source_can_add_lines(fields: dict[str, str], stream_name: str) -> None:
    block = source_block(fields.items(), stream_name)
    assert block.count(b"\n") == block.count(b"\r") == block.count(b"\r\n") <= len(fields) + 1


def test_no_control_character_reaches_a_player() -> None:
    assert source_block([("ice-name", "a\x1b[2J\r\nX: y\u202e\x9b")]) == b"icy-name:a [2J X: y\r\n"


@pytest.mark.parametrize(
    ("lines", "is_page"),
    [
        (b"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n", True),
        # The status page's own script.
        (b"Accept: text/html\r\nSec-Fetch-Dest: empty\r\n", True),
        (b"Accept: */*\r\n", False),
        (b"", False),
        (b"Accept: text/html, */*; q=0.01\r\nX-Requested-With: XMLHttpRequest\r\n", False),
    ],
)
def test_a_page_is_for_browsers_and_not_for_jquery(lines: bytes, is_page: bool) -> None:
    assert wants_page(source(lines)) == is_page
