"""A page of another site, open in the browser of a logged-in admin, can do nothing in his name."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from pycast.testing import Server
from tests.e2e.browser import Browser
from tests.e2e.deadline import until
from tests.e2e.programs import ENCODINGS, Target, ffmpeg_source

MOUNT = "/live.mp3"

# The admin's password is in the browser, which sends it wherever the page leads. `guess` sends one of the page's own.
PAGE = """<!DOCTYPE html><title>attack</title>
<form id="drain" method="post" action="{url}/admin/drain?now=1" target="sink"></form><iframe name="sink"></iframe>
<a id="kill" href="{url}/admin/killsource?mount={mount}">a prize</a><iframe id="page" src="{url}/"></iframe>
<script>
  const ask = (path, init) => fetch("{url}" + path, init).then((a) => a.text(), () => "unreadable");
  window.said = Promise.all([
    ask("/admin/stats", {{ credentials: "include" }}),
    ask("/admin/stats", {{ headers: {{ Authorization: "Basic {login}" }} }}),
    ask("/admin/killsource?mount={mount}", {{ mode: "no-cors", credentials: "include" }}).then(() => "sent"),
    new Promise((done) => {{
      const picture = new Image();
      picture.onload = picture.onerror = () => done("sent");
      picture.src = "{url}/admin/killsource?mount={mount}&picture";
    }}),
    ask("/status-json.xsl", {{}}),
  ]);
  document.getElementById("drain").submit();
</script>"""


@contextmanager
def other_site(page: str) -> Iterator[str]:
    """Serves `page` from a site of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"  # another name: another site
        finally:
            server.shutdown()
            thread.join()


def test_a_foreign_page_can_neither_act_nor_read_nor_show_ours_but_the_admin_can() -> None:
    with (
        Server() as server,
        ffmpeg_source(Target(server.port, server.source_password), MOUNT, ENCODINGS[0], seconds=120),
    ):
        server.wait_for_source(MOUNT)
        login = base64.b64encode(f"admin:{server.admin_password}".encode()).decode()
        with other_site(PAGE.format(url=server.url, mount=MOUNT, login=login)) as attack, Browser() as browser:
            browser.open(server.url.replace("//", f"//admin:{server.admin_password}@") + "/admin/stats")
            assert "icestats" in browser.text("body"), "the admin is logged in"

            browser.open(attack)
            stats, guess, *sent, status = browser.run("return window.said")
            assert (stats, guess, sent) == ("unreadable", "unreadable", ["sent", "sent"])
            assert "icestats" in status, "what is public can still be read"
            browser.enter_frame("#page")
            assert "On air" not in browser.text("body")

            browser.open(attack)
            browser.click("#kill")
            until(lambda: "another web site" in browser.text("body"), "the refusal")
            server.wait_for_source(MOUNT)
            assert "icestats" in _typed(browser, server, "/admin/stats")
            assert '"state": "serving"' in _typed(browser, server, "/admin/drain")
            assert "Source Removed" in _typed(browser, server, f"/admin/killsource?mount={MOUNT}")


def _typed(browser: Browser, server: Server, path: str) -> str:
    browser.open(server.url + path)
    return browser.text("body") + browser.text("iceresponse")
