"""Content types find their format, whatever their spelling."""

import pytest

from pycast.formats.adts import Adts
from pycast.formats.content_types import OCTET_STREAM, content_type_for_listeners, family_of, new_format
from pycast.formats.flac import Flac
from pycast.formats.marks import Join
from pycast.formats.mp4 import Mp4
from pycast.formats.mpeg import MpegAudio
from pycast.formats.ogg import Ogg
from pycast.formats.opaque import Opaque
from pycast.formats.wav import Wav
from pycast.formats.webm import WebM


@pytest.mark.parametrize(
    ("content_type", "kind", "family"),
    [
        ("audio/mpeg", MpegAudio, "generic"),
        ("Audio/MPEG; charset=utf-8", MpegAudio, "generic"),
        (" audio/mp3 ", MpegAudio, "generic"),
        ("audio/aac", Adts, "generic"),
        ("audio/aacp", Adts, "generic"),
        ("application/ogg", Ogg, "ogg"),
        ("application/x-ogg", Ogg, "ogg"),
        ("audio/ogg; codecs=opus", Ogg, "ogg"),
        ("video/ogg", Ogg, "ogg"),
        ("audio/webm", WebM, "webm"),
        ("video/x-matroska-3d", WebM, "webm"),
        ("audio/flac", Flac, "flac"),
        ("audio/x-flac", Flac, "flac"),
        *((kind, Mp4, "mp4") for kind in ("audio/mp4", "video/mp4", "audio/m4a", "audio/x-m4a")),
        *((kind, Wav, "wav") for kind in ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")),
        ("", Opaque, "generic"),
        ("no/such;thing", Opaque, "generic"),
    ],
)
def test_a_content_type_decides_format_and_family(content_type: str, kind: type, family: str) -> None:
    stream = new_format(content_type)
    assert type(stream) is kind
    assert stream.family == family_of(content_type) == family
    assert stream.warning == ""


def test_a_new_format_counts_from_its_base() -> None:
    assert new_format("text/plain", 1000).feed(b"x")[1] == [Join(1000, None)]


@pytest.mark.parametrize(
    ("source", "listeners"),
    [
        ("application/x-ogg", "application/ogg"),
        ("Application/X-Ogg; a=b", "application/ogg"),
        ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus"),
        ("audio/mpeg", "audio/mpeg"),
        ("application/octet-stream", "application/octet-stream"),
    ],
)
def test_listeners_get_the_modern_name_of_ogg(source: str, listeners: str) -> None:
    assert content_type_for_listeners(source) == listeners


@pytest.mark.parametrize(
    "content_type",
    [
        *("audio/aacp", "audio/flac", "audio/x-flac", "audio/mp4", "audio/amr-wb+", "video/nsv", "video/x-matroska-3d"),
        *("Audio/MPEG", "audio/vnd.dlna.adts", "audio/mpeg; charset=utf-8", "audio/ogg;codecs=opus"),
        *('video/webm; codecs="vp8, vorbis"', "audio/mpeg;a=b ; c=d", "application/ogg; codecs=flac"),
    ],
)
def test_what_encoders_send_is_told_as_it_is(content_type: str) -> None:
    assert content_type_for_listeners(content_type) == content_type


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml", "image/svg+xml", "text/xml", "text/plain"),
        *("application/xml", "application/javascript", "text/javascript", "application/pdf", "multipart/mixed"),
        *("audio/x+xml", "video/svg+XML", "audio/mpeg, text/html", "audio/mpeg,text/html", "foo", "unknown/unknown"),
        *("audio/", "/", "*/*", "", "audio", "audio/mpeg text/html", "audio/ mpeg", "message/rfc822", "audio/é"),
        *("audio/mpeg\ttext/html", "application/ogg, text/html", "x-audio/mpeg", "application/wasm"),
    ],
)
def test_what_a_browser_could_run_is_told_as_bytes(content_type: str) -> None:
    assert content_type_for_listeners(content_type) == OCTET_STREAM


@pytest.mark.parametrize(
    "parameters",
    [";", "; ,text/html", ";a=b,text/html", '; a="b', '; a="b",text/html', "; a=b; text/html", ";a='b,text/html;'"],
)
def test_parameters_that_cannot_be_read_are_left_out(parameters: str) -> None:
    assert content_type_for_listeners(f"audio/mpeg{parameters}") == "audio/mpeg"
