"""The description of a stream in its source's headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.headers import Headers
from pycast.http.source_headers import SourceInfo, parse_audio_info, source_info
from tests.http.cuts import QUICK


def test_a_source_without_a_description() -> None:
    assert source_info(Headers()) == SourceInfo()


def test_libshouts_headers_are_read() -> None:
    info = source_info(
        Headers(
            [
                ("User-Agent", "libshout/2.4.6"),
                ("Content-Type", "audio/mpeg"),
                ("ice-public", "1"),
                ("ice-name", "Name"),
                ("ice-url", "http://x/"),
                ("ice-genre", "Rock"),
                ("ice-description", "Desc"),
                ("ice-bitrate", "128"),
                ("ice-audio-info", "bitrate=128;channels=2"),
            ]
        )
    )
    assert info == SourceInfo(
        name="Name",
        description="Desc",
        url="http://x/",
        genre="Rock",
        bitrate="128",
        is_public=True,
        audio_info="bitrate=128;channels=2",
        audio_stats={"bitrate": "128", "channels": "2"},
        user_agent="libshout/2.4.6",
        content_type="audio/mpeg",
    )


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("name", ["ice-name", "icy-name", "x-audiocast-name"]),
        ("description", ["ice-description", "icy-description", "x-audiocast-description"]),
        ("url", ["ice-url", "icy-url", "x-audiocast-url"]),
        ("genre", ["ice-genre", "icy-genre", "x-audiocast-genre"]),
        ("bitrate", ["ice-bitrate", "icy-br", "x-audiocast-bitrate"]),
    ],
)
def test_first_of_the_names_wins_whatever_their_order(field: str, names: list[str]) -> None:
    for start in range(len(names)):
        headers = Headers([(name, name) for name in reversed(names[start:])])
        assert getattr(source_info(headers), field) == names[start]


@pytest.mark.parametrize("name", ["ice-public", "icy-pub", "x-audiocast-public", "icy-public"])
@pytest.mark.parametrize(
    ("value", "public"), [("1", True), ("0", False), ("01", True), ("-1", False), ("yes", True), ("no", False)]
)
def test_public_is_any_of_four_names(name: str, value: str, public: bool) -> None:
    assert source_info(Headers([(name, value)])).is_public is public


def test_null_counts_as_absent() -> None:
    assert source_info(Headers([("ice-url", "(null)"), ("icy-url", "http://x/")])).url == "http://x/"


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        ("", {}),
        ("bitrate=128;channels=2;samplerate=44100", {"bitrate": "128", "channels": "2", "samplerate": "44100"}),
        ("ice-samplerate=48000;ice-bitrate=Quality 0", {"ice-samplerate": "48000", "ice-bitrate": "Quality 0"}),
        (" a = 1 ; b=2;", {"a": "1", "b": "2"}),
        ("a=1;a=2", {"a": "2"}),
        ("a=%42+c;b=%zz;c=%00;d=f%c3%bcr", {"a": "B+c", "d": "für"}),
        ("a=x=y;no pair;=v;e=;7=x;x%41=y;two words=z", {"a": "x=y"}),
        ("k" * 99 + "=1;" + "k" * 100 + "=2", {"k" * 99: "1"}),
        ("v=" + "ü" * 250, {"v": "ü" * 199}),
    ],
)
def test_pairs_are_read(raw: str, pairs: dict[str, str]) -> None:
    assert parse_audio_info(raw) == pairs


@QUICK
@given(st.text(max_size=200))
def test_any_text_gives_pairs_fit_for_xml_names(raw: str) -> None:
    for key, value in parse_audio_info(raw).items():
        assert key.isascii() and key[0] not in ".-0123456789" and 0 < len(value) <= 199


@pytest.mark.parametrize(
    ("headers", "declared"),
    [
        ([], ""),
        ([("ice-bitrate", "128")], "128"),
        ([("ice-audio-info", "bitrate=96;channels=2")], "96"),
        ([("ice-audio-info", "ice-bitrate=Quality 0;ice-channels=2")], "Quality 0"),
        ([("ice-audio-info", "bitrate=96;ice-bitrate=64"), ("icy-br", "128")], "128"),
        ([("ice-audio-info", "bitrate=96;ice-bitrate=64")], "96"),
        ([("icy-br", "0")], ""),
        ([("ice-bitrate", "0"), ("icy-br", "128")], "128"),
        ([("ice-audio-info", "bitrate=0;ice-bitrate=64")], "64"),
        ([("ice-audio-info", "bitrate=0;channels=2"), ("icy-br", "0")], ""),
    ],
)
def test_bitrate_that_a_source_declares_is_found_in_each_spelling(
    headers: list[tuple[str, str]], declared: str
) -> None:
    assert source_info(Headers(headers)).declared_bitrate == declared


def test_a_description_is_clean_lines() -> None:
    dirty = "a\x1b[2J\u202e\x9b b"
    headers = [("ice-name", dirty), ("ice-description", dirty), ("ice-genre", dirty), ("user-agent", dirty)]
    info = source_info(Headers([*headers, ("ice-audio-info", "quality=a%0A%1B[2J b")]))
    assert {info.name, info.description, info.genre, info.user_agent} == {"a [2J b"}
    assert info.audio_stats == {"quality": "a [2J b"}
