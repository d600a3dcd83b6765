"""Ogg and WebM streams: titles from their comments, and one song after another without a reconnect."""

import subprocess
from pathlib import Path

import pytest

from pycast.testing import Server
from pycast.testing.numbered_stream import NumberedStream
from tests.e2e.programs import decoded_frames, noise, probe_errors, require
from tests.e2e.wire import get

MOUNT = "/chain.ogg"
CODECS = [
    pytest.param(["libvorbis"], "application/ogg", "Vorbis", id="vorbis"),
    pytest.param(["libopus"], "audio/ogg", "Opus", id="opus"),
    pytest.param(["flac", "-sample_fmt", "s16"], "application/ogg", "FLAC", id="flac"),
]


def song(file: Path, codec: list[str], artist: str, title: str, seconds: float = 2) -> bytes:
    subprocess.run(
        [
            require("ffmpeg"), "-nostdin", "-v", "error", "-y", *noise(seconds), "-c:a", *codec,
            "-metadata", f"artist={artist}", "-metadata", f"title={title}",
            "-page_duration", "200000", "-f", "ogg", str(file),
        ],
        check=True,
        timeout=30,
    )  # fmt: skip
    return file.read_bytes()


def feeding(server: Server, content_type: str) -> NumberedStream:
    """A source that sends what the test has encoded."""
    return server.stream(MOUNT, headers={"Content-Type": content_type}, speed=0)


@pytest.mark.parametrize(("codec", "content_type", "subtype"), CODECS)
@pytest.mark.pycast(burst_size="1M", source_grace=0)
def test_chained_songs_play_on_and_bring_their_titles(
    codec: list[str], content_type: str, subtype: str, pycast_server: Server, tmp_path: Path
) -> None:
    songs = [song(tmp_path / f"{name}.ogg", codec, f"Artist {name}", f"Títle {name}") for name in ("one", "two")]
    with feeding(pycast_server, content_type) as feed:
        feed.send_bytes(songs[0])
        pycast_server.wait_for_title(MOUNT, "Artist one - Títle one")
        with pycast_server.listen(MOUNT) as heard:
            status = get(pycast_server.port, "/status-json.xsl").body.decode()
            assert '"title":"Títle one"' in status and '"artist":"Artist one"' in status
            assert f'"subtype":"{subtype}"' in status
            feed.send_bytes(songs[1])
            pycast_server.wait_for_title(MOUNT, "Artist two - Títle two")
            heard.wait_for_bytes(len(songs[0]) + len(songs[1]))
    assert heard.bytes == songs[0] + songs[1]
    assert heard.titles == ["Títle one", "Títle two"]


@pytest.mark.parametrize(("codec", "content_type", "subtype"), CODECS)
@pytest.mark.pycast(burst_size=4096)
def test_listener_that_comes_in_the_second_song_gets_its_header(
    codec: list[str], content_type: str, subtype: str, pycast_server: Server, tmp_path: Path
) -> None:
    del subtype
    songs = [song(tmp_path / f"{name}.ogg", codec, "A", name, 4) for name in ("one", "two")]
    with feeding(pycast_server, content_type) as feed:
        feed.send_bytes(songs[0] + songs[1][: len(songs[1]) // 2])
        pycast_server.wait_for_title(MOUNT, "A - two")
        pycast_server.wait_for_bytes(MOUNT, len(songs[0]) + 8193)
        with pycast_server.listen(MOUNT) as heard:
            feed.send_bytes(songs[1][len(songs[1]) // 2 :])
            heard.wait_for_bytes(len(songs[1]) // 2)
    assert heard.bytes[:58] == songs[1][:58], "the header is not that of the second song"
    (tmp_path / "heard.ogg").write_bytes(heard.bytes)
    assert "Header" not in probe_errors(tmp_path / "heard.ogg")
    assert decoded_frames(tmp_path / "heard.ogg") > 5


@pytest.mark.pycast(burst_size="1M")
def test_new_listener_hears_nothing_of_an_earlier_source_of_another_type(pycast_server: Server, tmp_path: Path) -> None:
    with pycast_server.stream(MOUNT, speed=0) as mp3:
        mp3.send(20)
        pycast_server.wait_for_bytes(MOUNT, mp3.size)
    pycast_server.wait_until(lambda: not is_live(pycast_server), 5, "its end")
    ogg = song(tmp_path / "one.ogg", ["libvorbis"], "A", "B")
    with feeding(pycast_server, "application/ogg") as feed:
        feed.send_bytes(ogg)
        pycast_server.wait_for_title(MOUNT, "A - B")
        with pycast_server.listen(MOUNT) as heard:
            assert heard.headers["Content-Type"] == "application/ogg"
            heard.wait_for_bytes(len(ogg))
            assert heard.bytes == ogg


def is_live(server: Server) -> bool:
    return b"<content-type>" in server.get("/admin/listmounts", admin=True)[1]


def test_bytes_before_ogg_resumes_are_left_out(pycast_server: Server, tmp_path: Path) -> None:
    whole = song(tmp_path / "one.ogg", ["libopus"], "A", "B")
    with feeding(pycast_server, "audio/ogg") as feed, pycast_server.listen(MOUNT) as heard:
        cut = whole.index(b"OggS", len(whole) // 2)
        feed.send_bytes(whole[:cut] + b"not Ogg at all" + whole[cut:])
        heard.wait_for_bytes(len(whole))
        assert heard.bytes == whole
