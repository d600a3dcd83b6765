"""The status page in a real browser: it plays, and it shows the title that is on."""

from collections.abc import Iterator
from functools import partial

import pytest

from pycast.testing import Server
from pycast.testing.numbered_stream import NumberedStream
from tests.e2e.browser import Browser
from tests.e2e.deadline import until
from tests.e2e.wire import get

MOUNT = "/live.mp3"
# The page plays with an element of its own, which need not stand in the document.
REMEMBER_PLAYERS = """
const play = HTMLMediaElement.prototype.play;
window.players = [];
HTMLMediaElement.prototype.play = function () { window.players.push(this); return play.apply(this, arguments); };
"""
POSITION = "return Math.max(0, ...window.players.map(player => player.currentTime))"
IS_SILENT = "return window.players.every(player => player.paused)"
# The page looks for news at once.
LOOK = "window.dispatchEvent(new Event('online'));"
STATE = "return document.querySelector('.station').dataset.play"
TOGGLE = "document.querySelector('[data-act=toggle]').click();"
ALL_GONE = """
window.fetch = async (url) =>
  new Response(String(url).includes("json") ? '{"icestats": {}}' : '<main id="stations" class="empty"></main>');
"""
LOST = "document.querySelector('#player').dispatchEvent(new Event('ended'));"
LOST_THRICE = f"""
const player = document.querySelector('#player');
player.dispatchEvent(new Event('timeupdate'));
for (let time = 0; time < 3; time++) {{ {LOST} {LOOK} }}
"""
BUFFERING = """
const player = document.querySelector('#player'), now = performance.now.bind(performance);
player.dispatchEvent(new Event('timeupdate'));
Object.defineProperty(player, 'currentTime', { value: 0 });
performance.now = () => now() + 3000;
player.dispatchEvent(new Event('timeupdate'));
"""
VALUES = """
<main class="admin"><section class="sheet"><dl class="settings">
<div><dt>Listeners</dt><dd>12</dd></div></dl></section></main>
"""
NODE = """
<main class="nodes"><article class="node"><div class="who"></div><dl class="load"></dl>
<p class="sources"><a>/live.mp3</a></p></article></main>
"""


@pytest.fixture(scope="module")
def station() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def stream(station: Server) -> Iterator[NumberedStream]:
    with station.stream(MOUNT, headers={"Ice-Name": "Browser FM"}) as stream:
        yield stream


@pytest.fixture(scope="module")
def browser(station: Server) -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


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


def test_page_shows_a_new_title_without_being_loaded_again(
    browser: Browser, station: Server, stream: NumberedStream
) -> None:
    stream.title, card = "Sandstorm", f"[data-mount='{MOUNT}']"
    browser.open(f"{station.url}/")
    assert browser.text(f"{card} .title") == "Sandstorm"
    browser.run("window.sameDocument = true")
    stream.title = "Somebody - Another Song"
    until(lambda: "Another Song" in browser.text(f"{card} .now"), "the new title", 20)
    assert "Sandstorm" not in browser.text("body")
    assert browser.run("return window.sameDocument")


def test_page_gives_out_the_configured_addresses_and_has_their_titles(browser: Browser) -> None:
    own = {"mount_name": "/own.mp3", "listenurl": "https://cdn.example/a/live"}
    with (
        Server(public_url="https://radio.example/below", mount=[own]) as server,
        server.stream("/own.mp3", title="One") as first,
        server.stream("/other.mp3", title="One") as second,
    ):
        browser.open(f"{server.url}/")
        first.title = second.title = "Two"

        def shows_new_title(script: str) -> bool:
            return "Two" in browser.run(script)

        addresses = {"own": "https://cdn.example/a/live", "other": "https://radio.example/below/other.mp3"}
        for name, address in addresses.items():
            card = f"[data-mount='/{name}.mp3']"
            # Its next poll would come after some seconds.
            ask = f"dispatchEvent(new Event('online')); return document.querySelector(\"{card} .now\").innerText"
            until(partial(shows_new_title, ask), "the new title")
            assert browser.run(f'return document.querySelector("{card} [data-url]").textContent') == address
            assert browser.run(f'return document.querySelector("{card} [data-copy]").dataset.copy') == address


def play(browser: Browser, station: Server) -> None:
    browser.open(f"{station.url}/")
    # The browser may not know the type, and plays it all the same.
    browser.run(f"document.querySelector('.station').dataset.type = 'audio/x-unknown'; {REMEMBER_PLAYERS}")
    browser.click("[data-act=toggle]")
    until(lambda: browser.run(POSITION) > 0, "the player to play", 20)


def test_player_that_lost_a_mount_for_good_says_that_it_connects_again(browser: Browser, station: Server) -> None:
    play(browser, station)
    browser.run(ALL_GONE)
    until(lambda: browser.run(f"{LOOK} return !document.querySelector('.station')"), "the mount to go")
    browser.run(LOST)
    assert browser.text("[data-bar-state]") == "Reconnecting…"
    # A phone that thinks it is over lets the page sleep.
    assert browser.run("return navigator.mediaSession.playbackState") == "playing"


def test_player_does_not_call_a_format_that_it_has_played_unplayable(browser: Browser, station: Server) -> None:
    play(browser, station)
    assert browser.run(LOST_THRICE + STATE) == "retrying"
    assert browser.text("#notice") == ""


def test_player_knows_types_by_their_other_names(browser: Browser, station: Server) -> None:
    browser.open(f"{station.url}/")
    for kind in ("audio/x-aac", "audio/aacp", "audio/opus", "audio/x-flac", "audio/x-mpeg"):
        browser.run(f"document.querySelector('.station').dataset.type = '{kind}'")
        assert browser.run(f"{TOGGLE} {LOST_THRICE} {STATE}") == "retrying", kind
        browser.run(TOGGLE)


def test_player_that_is_paused_while_it_waits_for_audio_stays_so(browser: Browser, station: Server) -> None:
    """A headphone was pulled out: it must not go on by itself, aloud."""
    play(browser, station)
    assert browser.run(BUFFERING + STATE) == "buffering"
    browser.run("document.querySelector('#player').pause()")
    until(lambda: browser.run(STATE) == "idle", "the player to stop")


def test_focus_stays_when_a_card_changes(browser: Browser, station: Server) -> None:
    browser.open(f"{station.url}/")
    browser.run("window.card = document.querySelector('.station')")
    browser.run("window.card.dataset.revision = 'old'; window.card.querySelector('summary').focus()")
    until(lambda: browser.run(f"{LOOK} return !window.card.isConnected"), "the card to change")
    assert browser.run("return document.activeElement.tagName") == "SUMMARY"


@pytest.mark.parametrize(("html", "width", "column"), [(VALUES, 320, "dd"), (NODE, 832, ".sources")])
def test_no_column_is_too_narrow_for_a_word(
    browser: Browser, station: Server, html: str, width: int, column: str
) -> None:
    browser.open(f"{station.url}/")
    browser.run(f"document.body.innerHTML = `{html}`; document.body.style.width = '{width}px'")
    assert browser.run(f"return document.querySelector('{column}').clientWidth") > 80


def test_page_without_javascript_has_name_title_and_a_player(station: Server, stream: NumberedStream) -> None:
    stream.title = "For all"
    page = get(station.port, "/", "Accept: text/html\r\n").body.decode()  # programs may get a mount there
    assert "Browser FM" in page and "For all" in page
    assert "<audio" in page and "live.mp3" in page


@pytest.mark.parametrize(("path", "mount"), [("/status.xsl", "/other.mp3"), ("/", "/")])
def test_page_shows_a_mount_that_comes(browser: Browser, station: Server, path: str, mount: str) -> None:
    """Programs get something else at both paths. Who is on a card with the keyboard stays there."""
    browser.open(f"{station.url}{path}")
    browser.run("document.querySelector('summary').focus()")
    with station.stream(mount):
        until(lambda: browser.run(f"""{LOOK} return document.querySelector('[data-mount="{mount}"]')"""), "the mount")
    assert browser.run("return document.activeElement.tagName") == "SUMMARY"


def test_page_of_an_empty_server_says_how_to_stream() -> None:
    with Server() as server:
        reply = get(server.port, "/")
        assert reply.status == 200
        assert b"ffmpeg" in reply.body


def test_values_of_the_admins_page_have_room_on_a_phone(browser: Browser, station: Server) -> None:
    browser.resize(500, 900)
    login = f"{station.admin_user}:{station.admin_password}"
    browser.open(station.url.replace("://", f"://{login}@") + "/admin/")
    values = "[...document.querySelectorAll('.sheet:last-of-type dd')]"
    assert browser.run(f"return {values}.length") > 10
    assert browser.run(f"return Math.min(...{values}.map(one => one.clientWidth))") > 300
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
