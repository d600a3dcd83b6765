"""Real players play the stream and show its title: the current one when they join, and the next one."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pycast.testing import Server
from tests.e2e.deadline import until
from tests.e2e.programs import (
    ENCODINGS,
    Program,
    Target,
    curl_listener,
    ffmpeg_listener,
    ffmpeg_source,
    gstreamer_listener,
    mpv_listener,
    vlc_listener,
)
from tests.e2e.wire import basic, get

MOUNT = "/live.mp3"


@pytest.fixture(scope="module")
def station() -> Iterator[Server]:
    """A server with ffmpeg as its source. VLC asks for titles only where it sees an icy-name."""
    with Server(mount=[{"type": "default", "mp3_metadata_interval": 4000}]) as server:
        target = Target(server.port, server.source_password)
        names = ("-ice_name", "Test Radio", "-ice_genre", "noise")
        with ffmpeg_source(target, MOUNT, ENCODINGS[0], seconds=300, extra=names):
            server.wait_for_source(MOUNT)
            yield server


def set_title(server: Server, title: str) -> None:
    path = f"/admin/metadata?mode=updinfo&mount={MOUNT}&song={title.replace(' ', '+')}"
    reply = get(server.port, path, basic("source", server.source_password))
    assert b"Metadata update successful" in reply.body


PLAYERS = [
    pytest.param(ffmpeg_listener, "StreamTitle: {}", "size=.*time=.*00:00:0[1-9]", id="ffmpeg"),
    pytest.param(mpv_listener, "icy-title: {}", "at [1-9]", id="mpv"),
    pytest.param(gstreamer_listener, "title: {}", "audio codec: MPEG", id="gstreamer"),
    pytest.param(vlc_listener, "New Icy-Title={}", "Stream buffering done", id="vlc"),
]


@pytest.mark.parametrize(("player", "shows", "plays"), PLAYERS)
def test_player_plays_and_shows_titles(
    player: Callable[[str], Program], shows: str, plays: str, station: Server, request: pytest.FixtureRequest
) -> None:
    first, second = f"First for {request.node.callspec.id}", f"Second for {request.node.callspec.id}"
    set_title(station, first)
    with player(f"{station.url}{MOUNT}") as program:
        program.wait_for_output(re.escape(shows.format(first)))
        program.wait_for_output(plays)
        set_title(station, second)
        program.wait_for_output(re.escape(shows.format(second)))
        assert station.listeners(MOUNT) >= 1


def test_curl_gets_titles_between_the_audio(station: Server, tmp_path: Path) -> None:
    set_title(station, "For curl")
    heard = tmp_path / "heard"
    with curl_listener(f"{station.url}{MOUNT}", heard, extra=["-H", "Icy-MetaData: 1"]):
        until(lambda: heard.exists() and b"StreamTitle='For curl';" in heard.read_bytes(), "the title")
        set_title(station, "More for curl")
        until(lambda: b"StreamTitle='More for curl';" in heard.read_bytes(), "the next title")
    data = heard.read_bytes()
    assert data[4000] * 16 > len("StreamTitle='For curl';"), "the first block is not at the interval"


def test_a_player_that_leaves_is_no_longer_counted(station: Server) -> None:
    with mpv_listener(f"{station.url}{MOUNT}") as mpv:
        mpv.wait_for_output("at [0-9]")
        station.wait_for_listeners(MOUNT, 1)
        mpv.leave()
        station.wait_for_listeners(MOUNT, 0, 3)
