"""ice-audio-info."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.audio_info import parse_audio_info
from tests.http.cuts import QUICK


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
