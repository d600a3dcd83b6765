"""Ogg and WebM streams: titles from their comments, and one song after another without a reconnect."""

import subprocess
from pathlib import Path

import pytest

from pycast.testing import Server
from tests.e2e.programs import decoded_frames, noise, probe_errors, require
from tests.e2e.wire import frames, get, listen, source

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


@pytest.mark.parametrize(("codec", "content_type", "subtype"), CODECS)
@pytest.mark.pycast(burst_size="1M", source_grace=0)
def test_chained_songs_play_on_and_bring_their_titles(
    codec: list[str], content_type: str, subtype: str, pycast_server: Server, tmp_path: Path
) -> None:
    songs = [song(tmp_path / f"{name}.ogg", codec, f"Artist {name}", f"Títle {name}") for name in ("one", "two")]
    with source(pycast_server.port, MOUNT, pycast_server.source_password, content_type=content_type) as feed:
        feed.send(songs[0])
        pycast_server.wait_for_title(MOUNT, "Artist one - Títle one")
        listener, _ = listen(pycast_server.port, MOUNT)
        with listener:
            status = get(pycast_server.port, "/status-json.xsl").body.decode()
            assert '"title":"Títle one"' in status and '"artist":"Artist one"' in status
            assert f'"subtype":"{subtype}"' in status
            feed.send(songs[1])
            pycast_server.wait_for_title(MOUNT, "Artist two - Títle two")
            heard = listener.read(len(songs[0]) + len(songs[1]))
    assert heard == songs[0] + songs[1]


@pytest.mark.parametrize(("codec", "content_type", "subtype"), CODECS)
@pytest.mark.pycast(burst_size=4096)
def test_listener_that_comes_in_the_second_song_gets_its_header(
    codec: list[str], content_type: str, subtype: str, pycast_server: Server, tmp_path: Path
) -> None:
    del subtype
    songs = [song(tmp_path / f"{name}.ogg", codec, "A", name, 4) for name in ("one", "two")]
    with source(pycast_server.port, MOUNT, pycast_server.source_password, content_type=content_type) as feed:
        feed.send(songs[0] + songs[1][: len(songs[1]) // 2])
        pycast_server.wait_for_title(MOUNT, "A - two")
        pycast_server.wait_until(
            lambda: len(pycast_server.received(MOUNT)) > len(songs[0]) + 8192, 5, "the second song"
        )
        listener, _ = listen(pycast_server.port, MOUNT)
        with listener:
            feed.send(songs[1][len(songs[1]) // 2 :])
            head = songs[1][:200]
            heard = listener.read(len(songs[1]) // 2)
    assert heard[:58] == head[:58], "the header is not that of the second song"
    (tmp_path / "heard.ogg").write_bytes(heard)
    assert "Header" not in probe_errors(tmp_path / "heard.ogg")
    assert decoded_frames(tmp_path / "heard.ogg") > 5


@pytest.mark.pycast(burst_size="1M")
def test_new_listener_hears_nothing_of_an_earlier_source_of_another_type(pycast_server: Server, tmp_path: Path) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as mp3:
        mp3.send(frames(0, 20))
        pycast_server.wait_until(lambda: pycast_server.received(MOUNT) == frames(0, 20), 5, "the first source")
    pycast_server.wait_until(lambda: not is_live(pycast_server), 5, "its end")
    ogg = song(tmp_path / "one.ogg", ["libvorbis"], "A", "B")
    with source(pycast_server.port, MOUNT, pycast_server.source_password, content_type="application/ogg") as feed:
        feed.send(ogg)
        pycast_server.wait_for_title(MOUNT, "A - B")
        listener, reply = listen(pycast_server.port, MOUNT)
        with listener:
            assert reply.header("Content-Type") == "application/ogg"
            assert listener.read(len(ogg)) == ogg


def is_live(server: Server) -> bool:
    return b"<content-type>" in server.get("/admin/listmounts", admin=True)[1]


def test_bytes_before_ogg_resumes_are_left_out(pycast_server: Server, tmp_path: Path) -> None:
    whole = song(tmp_path / "one.ogg", ["libopus"], "A", "B")
    with source(pycast_server.port, MOUNT, pycast_server.source_password, content_type="audio/ogg") as feed:
        listener, _ = listen(pycast_server.port, MOUNT)
        with listener:
            cut = whole.index(b"OggS", len(whole) // 2)
            feed.send(whole[:cut] + b"not Ogg at all" + whole[cut:])
            assert listener.read(len(whole)) == whole
