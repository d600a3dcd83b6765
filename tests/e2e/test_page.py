"""The status page in a real browser: it plays, and it shows the title that is on."""

from collections.abc import Iterator

import pytest

from pycast.testing import Server
from tests.e2e.browser import Browser
from tests.e2e.deadline import until
from tests.e2e.programs import ENCODINGS, Target, ffmpeg_source
from tests.e2e.wire import basic, get

MOUNT = "/live.mp3"
# The page plays with an element of its own, which need not stand in the document.
REMEMBER_PLAYERS = """
const play = HTMLMediaElement.prototype.play;
window.players = [];
HTMLMediaElement.prototype.play = function () { window.players.push(this); return play.apply(this, arguments); };
"""
POSITION = "return Math.max(0, ...window.players.map(player => player.currentTime))"
IS_SILENT = "return window.players.every(player => player.paused)"


@pytest.fixture(scope="module")
def station() -> Iterator[Server]:
    with Server() as server:
        source = ffmpeg_source(
            Target(server.port, server.source_password),
            MOUNT,
            ENCODINGS[0],
            seconds=300,
            extra=("-ice_name", "Browser FM"),
        )
        with source:
            server.wait_for_source(MOUNT)
            yield server


@pytest.fixture(scope="module")
def browser(station: Server) -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


def set_title(server: Server, title: str) -> None:
    path = f"/admin/metadata?mode=updinfo&mount={MOUNT}&song={title.replace(' ', '+')}"
    assert get(server.port, path, basic("source", server.source_password)).status == 200


def test_page_plays_the_stream_and_stops(browser: Browser, station: Server) -> None:
    browser.open(f"{station.url}/")
    browser.run(REMEMBER_PLAYERS)
    browser.click("[data-act=toggle]")
    until(lambda: browser.run(POSITION) > 0.5, "the player to play", 20)
    position = browser.run(POSITION)
    until(lambda: browser.run(POSITION) > position + 0.5, "the player to go on")
    assert station.listeners(MOUNT) == 1
    browser.click("[data-act=toggle]")
    until(lambda: browser.run(IS_SILENT), "the player to stop")
    station.wait_for_listeners(MOUNT, 0)


def test_page_shows_a_new_title_without_being_loaded_again(browser: Browser, station: Server) -> None:
    set_title(station, "Sandstorm")
    browser.open(f"{station.url}/")
    assert browser.text(".title") == "Sandstorm"
    browser.run("window.sameDocument = true")
    set_title(station, "Somebody - Another Song")
    until(lambda: "Another Song" in browser.text(".now"), "the new title", 20)
    assert "Sandstorm" not in browser.text("body")
    assert browser.run("return window.sameDocument")


def test_page_without_javascript_has_name_title_and_a_player(station: Server) -> None:
    set_title(station, "For all")
    page = get(station.port, "/").body.decode()
    assert "Browser FM" in page and "For all" in page
    assert "<audio" in page and "live.mp3" in page


def test_page_of_an_empty_server_says_how_to_stream() -> None:
    with Server() as server:
        reply = get(server.port, "/")
        assert reply.status == 200
        assert b"ffmpeg" in reply.body
