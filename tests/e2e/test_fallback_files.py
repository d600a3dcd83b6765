"""What a player gets over a source, a file or silence in its place, and the source again, decodes without an error."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pycast.testing import Server
from pycast.testing.heard import Heard
from pycast.testing.numbered_stream import NumberedStream
from tests.e2e.deadline import until
from tests.e2e.media import encode
from tests.e2e.programs import ENCODINGS, Encoding, require

# No frame may need bytes of the one before: where a stream is joined these are another stream's. Sources do not send
# the tags that files have.
MP3 = ("-c:a", "libmp3lame", "-reservoir", "0", "-b:a", "128k", "-f", "mp3")
PLAIN = {
    "mp3": Encoding("mp3", "audio/mpeg", ("-write_xing", "0", "-id3v2_version", "0", *MP3)),
    **{one.name: one for one in ENCODINGS if one.name in ("aac", "vorbis", "opus", "flac")},
}
IN_PLACE = [*((name, "file") for name in PLAIN), *((name, "silence") for name in PLAIN if name != "flac")]
WITH_HEADER = {
    "flac": ("-c:a", "flac", "-f", "flac"),
    "webm": ("-c:a", "libopus", "-f", "webm"),
    "mp4": (
        "-c:a",
        "aac",
        "-movflags",
        "frag_keyframe+empty_moov+default_base_moof",
        "-frag_duration",
        "300000",
        "-f",
        "mp4",
    ),
    "wav": ("-f", "wav"),
}
SECONDS, FILE_S = 2.0, 1.2


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("webroot")
    for name, encoding in PLAIN.items():
        tagged = Encoding("mp3", "audio/mpeg", MP3) if name == "mp3" else encoding
        encode(tagged, folder / f"file.{name}", FILE_S)
        encode(encoding, folder / f"live.{name}", SECONDS)
    for name, args in WITH_HEADER.items():
        encode(Encoding(name, "", args), folder / f"long.{name}", FILE_S)
    return {name: folder / f"live.{name}" for name in PLAIN}


@pytest.fixture(scope="module")
def server(sounds: dict[str, Path]) -> Iterator[Server]:
    mounts = [
        {
            "mount_name": f"/{name}-{kind}",
            "fallback_mount": f"/file.{name}" if kind == "file" else "silence",
            "fallback_override": "own",
            "intro": f"/file.{name}" if kind == "file" else "",
        }
        for name, kind in IN_PLACE
    ]
    mounts += [{"mount_name": f"/{name}-header", "fallback_mount": f"/long.{name}"} for name in WITH_HEADER]
    with Server(paths={"webroot": str(sounds["mp3"].parent)}, mount=mounts, burst_size="1m") as made:
        yield made


def test_players_decode_intro_source_fallback_and_source_again(server: Server, sounds: dict[str, Path]) -> None:
    live = {f"/{name}-{kind}": sounds[name].read_bytes() for name, kind in IN_PLACE}
    sources = {f"/{name}-{kind}": source(server, f"/{name}-{kind}", name) for name, kind in IN_PLACE}
    with ExitStack() as stack:
        for mount, one in sources.items():
            stack.enter_context(one).send_bytes(live[mount])
            server.wait_for_source(mount)
        players = {mount: stack.enter_context(server.listen(mount, icy=False)) for mount in live}
        ends = {mount: wait_for_end(player, live[mount]) for mount, player in players.items()}
        for one in sources.values():
            one.disconnect()
        # What takes its place has more than a second at once, and so more than one round of the file.
        for mount, player in players.items():
            player.wait_for_bytes(ends[mount] + 1)
        until(lambda: playing(server) == len(live), "all on what takes the place of their source")
        for mount, one in sources.items():
            one.connect().send_bytes(live[mount])
        until(lambda: playing(server) == 0, "all back")
        ends = {mount: wait_for_end(player, live[mount], ends[mount]) for mount, player in players.items()}
    for (name, kind), (mount, player) in zip(IN_PLACE, players.items(), strict=True):
        least = 2 * SECONDS + 1.3 + (FILE_S if kind == "file" else 0)
        sound, errors = decode(player.bytes[: ends[mount]], PLAIN[name])
        assert errors == "", mount
        assert sound > least - 0.3, f"{mount} has not all parts"


def test_files_with_a_header_are_played_in_real_time_to_who_comes_first_and_who_comes_late(server: Server) -> None:
    for seconds, ahead in ((3.0, 2.5), (2.0, 2.0)):
        began = time.monotonic()
        players = {name: play(f"http://127.0.0.1:{server.port}/{name}-header", name, seconds) for name in WITH_HEADER}
        for name, player in players.items():
            out, errors = player.communicate(timeout=60)
            assert errors == b"", name
            assert len(out) / 8000 == pytest.approx(seconds, abs=0.3), name
        # A second and a half, and what a step adds to it, is there at once; of the later players all may be.
        assert time.monotonic() - began > seconds - ahead


def play(url: str, container: str, seconds: float) -> "subprocess.Popen[bytes]":
    to = ("-t", str(seconds), "-af", "asetpts=N/SR/TB", "-ar", "8000", "-ac", "1", "-f", "u8", "-")
    command = [require("ffmpeg"), "-nostdin", "-v", "error", "-f", container, "-i", url, *to]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def source(server: Server, mount: str, name: str) -> NumberedStream:
    """Returns a source that sends nothing by itself."""
    return server.stream(mount, speed=0, headers={"Content-Type": PLAIN[name].content_type})


def wait_for_end(player: Heard, sound: bytes, after: int = 0) -> int:
    """Waits for the last byte of a sound; returns what the player has heard up to there. Looks for what comes `after`
    so many bytes.
    """
    # The very end may be padding, which is everywhere.
    end = sound[-1500:]
    until(lambda: end[:64] in player.bytes[after:], f"the end of the source of {player.mount}")
    size = player.bytes.index(end[:64], after) + len(end)
    player.wait_for_bytes(size)
    return size


def playing(server: Server) -> int:
    """Returns how many listeners are on something that the server plays by itself."""
    return sum(count for mount, (count, _) in server._listeners().items() if not mount.startswith("/"))


def decode(data: bytes, encoding: Encoding) -> tuple[float, str]:
    """Returns how many seconds of sound a decoder makes of what it gets from a connection, and its errors."""
    # Its times are counted anew: ffmpeg's are off by a sample where one of its own files follows another.
    to = ("-af", "asetpts=N/SR/TB", "-ar", "8000", "-ac", "1", "-f", "u8", "-")
    container = encoding.args[-1].replace("adts", "aac")
    command = [require("ffmpeg"), "-v", "error", "-f", container, "-i", "-", *to]
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    return len(done.stdout) / 8000, done.stderr.decode()
