"""`pycast status [URL]`: a live table of a server's mounts and listeners, and of a cluster's nodes, in the terminal.

Asks over HTTP as any other program could, so it works for servers elsewhere and for Icecast. Once when stdout is no
terminal. The one invariant: however it ends, the terminal is as it was before.
"""

import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import click
import urllib3

from pycast.cli.nodes_view import NodeRow, read_nodes, render_nodes
from pycast.cli.status_view import ServerView, cut, read_json, read_xml, render
from pycast.errors import ExternalError

_TIMEOUT_S = 5.0
_MAX_ANSWER = 32 << 20
"""10,000 mounts at 3 kB each; what is larger is no status."""
_HISTORY = 40


@click.command(short_help="Show mounts and listeners, live.")
@click.argument("url", default="http://localhost:8000")
@click.option("--user", default="admin", show_default=True, help="The admin user, with --password.")
@click.option(
    "--password",
    envvar="PYCAST_AUTHENTICATION__ADMIN_PASSWORD",
    show_envvar=True,
    help="The admin password: shows hidden mounts, traffic and a cluster's nodes too.",
)
@click.option("--once", is_flag=True, help="Print the table once and exit.")
@click.option("--interval", type=click.FloatRange(0.2), default=2.0, show_default=True, help="Seconds between looks.")
@click.option("-k", "--insecure", is_flag=True, help="Accept any TLS certificate.")
def command(url: str, user: str, password: str | None, once: bool, interval: float, insecure: bool) -> None:
    """Show the mounts, listeners and titles of the server at URL, live. Ctrl-C ends it."""
    server = Asked(url, user, password, insecure)
    if once or not sys.stdout.isatty():
        look = server.look()
        click.echo("\n".join(_lines(look, _size()[0] if sys.stdout.isatty() else 120)))
        return
    with _own_screen():
        _show(server, interval)


class Asked:
    """The server that is asked, over one kept connection."""

    def __init__(self, url: str, user: str, password: str | None, insecure: bool) -> None:
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise click.BadParameter("an address begins with http:// or https://", param_hint="URL")
        self._has_password = password is not None
        headers = urllib3.make_headers(basic_auth=f"{user}:{password}") if self._has_password else {}
        if insecure:
            urllib3.disable_warnings()
        self._pool = urllib3.PoolManager(
            headers=headers, timeout=_TIMEOUT_S, retries=False, cert_reqs="CERT_NONE" if insecure else "CERT_REQUIRED"
        )

    def look(self) -> "Look":
        """The server's state now. Raises ExternalError with a text that says what to try."""
        path = "/admin/stats" if self._has_password else "/status-json.xsl"
        status, body = self._get(path)
        if status == 401:
            raise ExternalError(f"{self.url} does not know that user and password: see [authentication]")
        if status != 200:
            raise ExternalError(f"{self.url}{path} answered {status}: is that a streaming server?")
        if not self._has_password:
            return Look(read_json(body))
        view = read_xml(body)
        # A server alone has no nodes to tell of; Icecast does not know the question.
        status, body = self._get("/admin/cluster")
        return Look(view, read_nodes(body) if status == 200 else ())

    def _get(self, path: str) -> tuple[int, bytes]:
        try:
            answer = self._pool.request("GET", self.url + path, preload_content=False)
            body = answer.read(_MAX_ANSWER)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise ExternalError(f"no answer from {self.url}: {_reason(error)}") from error
        return answer.status, body


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a server showed."""

    server: ServerView
    nodes: tuple[NodeRow, ...] = ()


def _reason(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(
        error, urllib3.exceptions.NewConnectionError
    ):
        return f"nothing for {_TIMEOUT_S:g} s"
    # urllib3 says "<object …>: Failed to establish a new connection: [Errno 111] Connection refused"
    return str(error).rsplit("] ", 1)[-1].rsplit(": ", 1)[-1]


def _show(server: Asked, interval: float) -> None:
    history: deque[int] = deque(maxlen=_HISTORY)
    last: Look | None = None
    while True:
        trouble = ""
        try:
            last = server.look()
            history.append(last.server.listeners)
        except ExternalError as error:
            trouble = str(error)
        _draw(last, history, trouble, server.url)
        time.sleep(interval)


def _lines(look: Look, width: int, history: Sequence[int] = ()) -> list[str]:
    """The nodes come first: there are few of them, and mounts may be more than fit."""
    title, facts, *mounts = render(look.server, width, time.time(), history)
    nodes = ["", *render_nodes(look.nodes, width)] if look.nodes else []
    return [title, facts, *nodes, *mounts]


def _draw(look: Look | None, history: deque[int], trouble: str, url: str) -> None:
    width, height = _size()
    lines = _lines(look, width, history) if look else [click.style(cut(url, width), bold=True)]
    room = height - 3
    if len(lines) > room:
        lines = [*lines[: room - 1], f"  … and {len(lines) - room + 1} more"]
    foot = click.style(cut(trouble, width), fg="red") if trouble else click.style("Ctrl-C ends", dim=True)
    # Home, each line with the rest of it cleared, then everything below: no flicker, unlike a cleared screen.
    sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in [*lines, "", foot]) + "\x1b[J")
    sys.stdout.flush()


@contextmanager
def _own_screen() -> Iterator[None]:
    """The terminal's second screen without a cursor, for as long as this lasts; Ctrl-C is the usual end."""
    sys.stdout.write("\x1b[?1049h\x1b[?25l")
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


def _size() -> tuple[int, int]:
    size = shutil.get_terminal_size()
    return size.columns, size.lines
