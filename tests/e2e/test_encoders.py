"""Real encoders feed the server, and what a listener hears is what they sent, byte by byte."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from pycast.testing import Server
from pycast.testing.heard import Heard
from tests.e2e.programs import (
    ENCODINGS,
    Encoding,
    Program,
    Target,
    curl_listener,
    curl_source,
    decoded_frames,
    ezstream_source,
    ffmpeg_source,
    gstreamer_source,
    liquidsoap_source,
    probe_errors,
    shout_source,
)
from tests.e2e.wire import assert_run_of

# Long enough for a listener that a busy machine starts late.
SECONDS = 8.0
BURST = 8192
CASES = [(encoding, legacy) for encoding in ENCODINGS for legacy in (False, True)]
NAMES = [f"{encoding.name}-{'SOURCE' if legacy else 'PUT'}" for encoding, legacy in CASES]


@dataclass(frozen=True, slots=True)
class Recording:
    """What one ffmpeg sent, and what a listener that came in the middle of it heard."""

    encoding: Encoding
    sent: bytes
    heard: bytes
    file: Path


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Recording]]:
    """ffmpeg in every format by both methods, all at the same time, on one server."""
    directory = tmp_path_factory.mktemp("recordings")
    names = dict(zip(NAMES, CASES, strict=True))
    with Server(burst_size=BURST, source_grace=0) as server, ExitStack() as programs:
        target = Target(server.port, server.source_password)
        sources = [
            programs.enter_context(ffmpeg_source(target, f"/{name}", encoding, seconds=SECONDS, legacy=legacy))
            for name, (encoding, legacy) in names.items()
        ]
        listeners: list[Program] = []
        for name in names:  # the listener comes when there is more than a burst behind it
            server.wait_for_bytes(f"/{name}", 3 * BURST)
            listeners.append(programs.enter_context(curl_listener(target.url(f"/{name}"), directory / name)))
        for source in sources:
            assert source.wait() == 0, source.output()
        for listener in listeners:
            assert listener.wait() == 0, listener.output()
        for name in names:
            end = (directory / name).read_bytes()[-500:]
            server.wait_until(partial(was_received, server, f"/{name}", end), 5, "the end of the dump")
        yield {
            name: Recording(encoding, server.received(f"/{name}"), (directory / name).read_bytes(), directory / name)
            for name, (encoding, _) in names.items()
        }


@pytest.mark.parametrize("name", NAMES)
def test_listener_hears_what_ffmpeg_sent_from_a_join_point_to_the_end(
    name: str, recordings: dict[str, Recording]
) -> None:
    recording = recordings[name]
    header = codec_header(recording)
    assert recording.heard.startswith(header)
    heard = recording.heard[len(header) :]
    start = assert_run_of(heard, recording.sent)
    assert start + len(heard) == len(recording.sent), "the listener did not hear the end"
    assert start > 0, "the listener joined at the very beginning: this proves little"


@pytest.mark.parametrize("name", NAMES)
def test_ffprobe_decodes_what_the_listener_heard(name: str, recordings: dict[str, Recording]) -> None:
    assert probe_errors(recordings[name].file) == ""
    assert decoded_frames(recordings[name].file) > 20


def codec_header(recording: Recording) -> bytes:
    """Returns the part of the stream that a late listener gets first, as this test understands the formats."""
    sent = recording.sent
    if recording.encoding.name == "webm":
        return sent[: sent.index(b"\x1f\x43\xb6\x75")]
    if recording.encoding.name in ("vorbis", "opus", "flac"):
        end = 0
        while int.from_bytes(sent[end + 6 : end + 14], "little") == 0:  # header pages have granule position 0
            segments = sent[end + 26]
            end += 27 + segments + sum(sent[end + 27 : end + 27 + segments])
        return sent[:end]
    return b""


@pytest.mark.parametrize(("mount", "protocol"), [("/shouted.mp3", "http"), ("/icy.mp3", "icy")])
def test_shout_streams(mount: str, protocol: str, sound: Callable[[str], Path]) -> None:
    sent = sound("mp3").read_bytes()
    with shoutcast_server() as server, shout_source(target_of(server), mount, sent, protocol=protocol):
        server.wait_for_source(mount)
        assert hear(server, mount, 60_000, sent).headers["icy-name"] == "Shouted"


def test_ezstream_streams_and_names_the_song(
    tmp_path: Path, sound: Callable[[str], Path], pycast_server: Server
) -> None:
    song = tmp_path / "A Song.mp3"
    shutil.copy(sound("mp3"), song)
    with ezstream_source(target_of(pycast_server), "/ez.mp3", song, tmp_path):
        pycast_server.wait_for_source("/ez.mp3")
        pycast_server.wait_for_title("/ez.mp3", "A Song")
        hear(pycast_server, "/ez.mp3", 60_000, sound("mp3").read_bytes())


def test_liquidsoap_streams_by_source_chunked_put_and_icy(tmp_path: Path) -> None:
    outputs = {
        "/liquid.mp3": ("icecast", ', mount="/liquid.mp3"'),
        "/chunked.mp3": ("icecast", ', mount="/chunked.mp3", method="put", chunked=true'),
        "/icy.mp3": ("shoutcast", ""),
    }
    with (
        shoutcast_server() as server,
        liquidsoap_source(target_of(server), outputs.values(), tmp_path, title="Flüssig"),
    ):
        for mount in outputs:
            server.wait_for_source(mount, 20)
            server.wait_for_title(mount, "Flüssig", 20)
            heard = hear(server, mount, 50_000).bytes
            server.wait_until(partial(was_received, server, mount, heard), 5, "what was heard")
            assert mpeg_frames_in(heard, tmp_path) > 50


def test_gstreamer_streams_and_names_the_song(pycast_server: Server, tmp_path: Path) -> None:
    with gstreamer_source(target_of(pycast_server), "/gst.mp3", title="Pink-Noise"):
        pycast_server.wait_for_source("/gst.mp3")
        pycast_server.wait_for_title("/gst.mp3", "Unknown - Pink-Noise")
        assert mpeg_frames_in(hear(pycast_server, "/gst.mp3", 50_000).bytes, tmp_path) > 50


@pytest.mark.parametrize(
    "extra",
    [(), ("-H", "Expect: 100-continue"), ("-H", "Transfer-Encoding: chunked"), ("-X", "SOURCE", "--http1.0")],
    ids=["put", "expect", "chunked", "SOURCE"],
)
def test_curl_uploads_a_file(extra: tuple[str, ...], sound: Callable[[str], Path], pycast_server: Server) -> None:
    with curl_source(target_of(pycast_server), "/put.mp3", sound("mp3"), "audio/mpeg", extra=extra):
        pycast_server.wait_for_source("/put.mp3")
        hear(pycast_server, "/put.mp3", 100_000, sound("mp3").read_bytes())


@pytest.mark.pycast(source_grace=0)
def test_curl_put_of_a_whole_file_is_received_to_the_last_byte(
    sound: Callable[[str], Path], pycast_server: Server
) -> None:
    with curl_source(target_of(pycast_server), "/whole.mp3", sound("mp3"), "audio/mpeg", rate="10M") as curl:
        assert curl.wait() == 0
        assert "200 OK" in curl.output()
    sent = sound("mp3").read_bytes()
    pycast_server.wait_for_bytes("/whole.mp3", len(sent))
    assert pycast_server.received("/whole.mp3") == sent


def was_received(server: Server, mount: str, audio: bytes) -> bool:
    return audio in server.received(mount)


def hear(server: Server, mount: str, size: int, sent: bytes = b"") -> Heard:
    """Returns a listener that has heard so much, and nothing but a part of what was sent."""
    with server.listen(mount, icy=False) as heard:
        heard.wait_for_bytes(size, 20)
    if sent:
        assert_run_of(heard.bytes, sent)
    return heard


def target_of(server: Server) -> Target:
    return Target(server.port, server.source_password)


def shoutcast_server() -> Server:
    """Returns a server whose SHOUTcast sources (port + 1) feed /icy.mp3."""
    return Server(listen=[{"shoutcast_mount": "/icy.mp3"}])


def mpeg_frames_in(heard: bytes, directory: Path) -> int:
    file = directory / "heard.mp3"
    file.write_bytes(heard)
    return decoded_frames(file)
