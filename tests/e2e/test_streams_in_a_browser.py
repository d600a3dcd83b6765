"""A stream that says it is a page does nothing in a real browser, whatever its content type."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from pycast.testing import Server
from tests.e2e.browser import Browser
from tests.e2e.deadline import until
from tests.e2e.programs import ENCODINGS, Target, ffmpeg_source
from tests.e2e.wire import get

# Each runs as a page when its server says so (the last one in some browsers only): the script reports to the page that
# opened it.
REPORT = "window.opener.postMessage(location.href, '*')"
HTML = f"<!doctype html><title>x</title><script>{REPORT}</script>{' ' * 2000}".encode()
SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><script>{REPORT}</script></svg>{" " * 2000}'.encode()
XHTML = f'<html xmlns="http://www.w3.org/1999/xhtml"><script>{REPORT}</script></html>{" " * 2000}'.encode()
# Six: a browser keeps no more connections to one server, and each stream stays open.
ATTACKS = {
    "/html": ("text/html", HTML),
    "/xhtml": ("application/xhtml+xml", XHTML),
    "/svg": ("image/svg+xml", SVG),
    "/two": ("audio/mpeg, text/html", HTML),
    "/sniffed": ("unknown/unknown", HTML),
    "/xml": ("audio/x+xml", XHTML),
}


class UnsafeServer(BaseHTTPRequestHandler):
    """Sends each attack as a page, which shows that a browser runs it then; and a page to open them from."""

    def do_GET(self) -> None:
        content_type, body = ATTACKS.get(self.path, ("text/html", b"<!doctype html><title>opener</title>"))
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing."""


@pytest.fixture
def unsafe_url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), UnsafeServer)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def was_opened(server: Server, mount: str) -> bool:
    """Whether the mount has or had a listener."""
    found = json.loads(get(server.port, f"/status-json.xsl?mount={mount}").body)["icestats"].get("source", {})
    return bool(found.get("listener_peak"))


def test_what_a_source_sends_never_runs_in_a_browser(unsafe_url: str) -> None:
    with Server(source_timeout=60) as server, ExitStack() as stack:
        for mount, (content_type, body) in ATTACKS.items():
            stream = server.stream(mount, headers={"Content-Type": content_type}, speed=0)
            stack.enter_context(stream).send_bytes(body)
        browser = stack.enter_context(Browser())
        browser.open(f"{unsafe_url}/")
        browser.run("window.ran = []; window.addEventListener('message', event => window.ran.push(event.data))")
        for mount in ATTACKS:
            browser.run(f"window.open('{server.url}{mount}')")
            until(partial(was_opened, server, mount), "the browser to open the stream")
        # The same from a server that does not prevent it. What was opened earlier would have run by then.
        for mount in ATTACKS:
            browser.run(f"window.open('{unsafe_url}{mount}')")
        pages = {f"{unsafe_url}/{name}" for name in ("html", "xhtml", "svg", "two", "sniffed")}
        until(lambda: pages <= set(browser.run("return window.ran")), "the browser to run the pages")
        assert [page for page in browser.run("return window.ran") if not page.startswith(unsafe_url)] == []


def test_a_stream_that_is_opened_in_a_tab_plays() -> None:
    with Server() as server, ExitStack() as stack:
        target = Target(server.port, server.source_password)
        stack.enter_context(ffmpeg_source(target, "/live.mp3", ENCODINGS[0], seconds=120))
        server.wait_for_source("/live.mp3")
        browser = stack.enter_context(Browser("--autoplay-policy=no-user-gesture-required"))
        browser.open(f"{server.url}/livez")
        browser.run(f"location.href = '{server.url}/live.mp3'")
        position = "return document.querySelector('video')?.currentTime ?? 0"
        until(lambda: browser.run(position) > 0.3, "the stream to play", 20)
