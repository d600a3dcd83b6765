"""Native FLAC, fragmented MP4 and WAV of a real ffmpeg, announced or not: whoever comes late can decode all of it."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pycast.testing import Server
from tests.e2e.programs import Encoding, Program, Target, curl_listener, decoded_frames, ffmpeg_source, require
from tests.formats.samples import ENCODINGS, decode_errors

SECONDS, BURST = 4.0, 8192
FORMATS = ("native-flac", "mp4", "wav")
CASES = [(name, is_announced) for name in FORMATS for is_announced in (True, False)]
NAMES = [f"{name}-{'announced' if is_announced else 'as mpeg'}".replace(" ", "-") for name, is_announced in CASES]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, Path]]]:
    """The content type that late listeners are told, and what they get, of all sources at the same time."""
    folder = tmp_path_factory.mktemp("heard")
    told: dict[str, str] = {}
    with Server(burst_size=BURST, source_grace=0) as server, ExitStack() as programs:
        target = Target(server.port, server.source_password)
        sources: list[Program] = []
        for mount, (name, is_announced) in zip(NAMES, CASES, strict=True):
            # Without -content_type ffmpeg announces whatever it sends as audio/mpeg.
            content_type, args = ENCODINGS[name]
            encoding = Encoding(name, content_type if is_announced else "audio/mpeg", args)
            sources.append(programs.enter_context(ffmpeg_source(target, f"/{mount}", encoding, seconds=SECONDS)))
        listeners: list[Program] = []
        for mount in NAMES:
            server.wait_for_bytes(f"/{mount}", 3 * BURST)
            with server.listen(f"/{mount}") as listener:
                told[mount] = listener.headers["content-type"]
            listeners.append(programs.enter_context(curl_listener(target.url(f"/{mount}"), folder / mount)))
        for program in (*sources, *listeners):
            assert program.wait() == 0, program.output()
    yield {mount: (told[mount], folder / mount) for mount in NAMES}


@pytest.mark.parametrize(("mount", "case"), list(zip(NAMES, CASES, strict=True)), ids=NAMES)
def test_a_late_listener_is_told_what_it_is_and_decodes_it(
    mount: str, case: tuple[str, bool], heard: dict[str, tuple[str, Path]]
) -> None:
    told, file = heard[mount]
    assert told == ENCODINGS[case[0]][0]
    assert decode_errors(file.read_bytes()) == ""
    assert decoded_frames(file) > 20
    command = [require("ffmpeg"), "-nostdin", "-v", "error", "-i", str(file), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
