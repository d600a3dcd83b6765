"""Real players play the stream and show its title: the current one when they join, and the next one."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pycast.testing import Server
from pycast.testing.numbered_stream import NumberedStream
from tests.e2e.deadline import until
from tests.e2e.programs import (
    Program,
    curl_listener,
    ffmpeg_listener,
    gstreamer_listener,
    mpv_listener,
    vlc_listener,
)

MOUNT = "/live.mp3"


@pytest.fixture(scope="module")
def station() -> Iterator[Server]:
    with Server(mount=[{"type": "default", "mp3_metadata_interval": 4000}]) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def stream(station: Server) -> Iterator[NumberedStream]:
    """VLC asks for titles only where it sees an icy-name, which the kit's source has."""
    with station.stream(MOUNT) as stream:
        yield stream


PLAYERS = [
    pytest.param(ffmpeg_listener, "StreamTitle: {}", "size=.*time=.*00:00:0[1-9]", id="ffmpeg"),
    pytest.param(mpv_listener, "icy-title: {}", "at [1-9]", id="mpv"),
    pytest.param(gstreamer_listener, "title: {}", "audio codec: MPEG", id="gstreamer"),
    pytest.param(vlc_listener, "New Icy-Title={}", "Stream buffering done", id="vlc"),
]


@pytest.mark.parametrize(("player", "shows", "plays"), PLAYERS)
def test_player_plays_and_shows_titles(
    player: Callable[[str], Program],
    shows: str,
    plays: str,
    station: Server,
    stream: NumberedStream,
    request: pytest.FixtureRequest,
) -> None:
    first, second = f"First for {request.node.callspec.id}", f"Second for {request.node.callspec.id}"
    stream.title = first
    with player(f"{station.url}{MOUNT}") as program:
        program.wait_for_output(re.escape(shows.format(first)))
        program.wait_for_output(plays)
        stream.title = second
        program.wait_for_output(re.escape(shows.format(second)))
        assert station.listeners(MOUNT) >= 1


def test_curl_gets_titles_between_the_audio(station: Server, stream: NumberedStream, tmp_path: Path) -> None:
    stream.title = "For curl"
    heard = tmp_path / "heard"
    with curl_listener(f"{station.url}{MOUNT}", heard, extra=["-H", "Icy-MetaData: 1"]):
        until(lambda: heard.exists() and b"StreamTitle='For curl';" in heard.read_bytes(), "the title")
        stream.title = "More for curl"
        until(lambda: b"StreamTitle='More for curl';" in heard.read_bytes(), "the next title")
    data = heard.read_bytes()
    assert data[4000] * 16 > len("StreamTitle='For curl';"), "the first block is not at the interval"


def test_a_player_that_leaves_is_no_longer_counted(station: Server) -> None:
    with mpv_listener(f"{station.url}{MOUNT}") as mpv:
        mpv.wait_for_output("at [0-9]")
        station.wait_for_listeners(MOUNT, 1)
        mpv.leave()
        mpv.wait()
        station.wait_for_listeners(MOUNT, 0, 3)
