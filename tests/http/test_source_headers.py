"""What a source says about itself."""

import pytest

from pycast.http.headers import Headers
from pycast.http.source_headers import SourceInfo, source_info


def test_a_source_that_says_nothing() -> None:
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
