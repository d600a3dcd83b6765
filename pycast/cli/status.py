"""`pycast status [URL]`: shows a server's mounts and listeners, and a cluster's nodes, as a live table in the terminal.

Asks over HTTP as any program could, so it works for other machines and for Icecast. If stdout is no terminal, it prints
the table once. The one invariant: however it ends, the terminal is as it was before.
"""

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click

from pycast.characters import escaped
from pycast.cli.drain import own_url
from pycast.cli.nodes_view import NodeRow, read_nodes, render_nodes
from pycast.cli.serve import find_config
from pycast.cli.server_client import NobodyAnswers, ServerClient, UnexpectedAnswer, given_password
from pycast.cli.status_view import ServerView, cut, read_json, read_xml, render
from pycast.config.load import load
from pycast.errors import ConfigError, ExternalError

_TIMEOUT_S = 5.0
_HISTORY = 40

# What to do if nobody answers: at the URL that was given, at this machine's server, at a port that is only a guess.
_AT_URL = "Is it running, and are these its address and port?"
_AT_OWN = "Is it running? `pycast serve` starts it; `pycast status http://HOST:PORT` asks another server."
_AT_GUESS = (
    "That is where a server is by default, as this machine's configuration cannot be used; `pycast check` says why. "
    "`pycast status http://HOST:PORT` needs none."
)


@click.command(short_help="Show mounts and listeners, live.")
@click.argument("url", required=False)
@click.option("--user", default="admin", show_default=True, help="The admin user, for --password.")
@click.option(
    "--password",
    envvar="PYCAST_AUTHENTICATION__ADMIN_PASSWORD",
    show_envvar=True,
    help="The admin password. With it, also shows hidden mounts, traffic and a cluster's nodes.",
)
@click.option(
    "--password-file",
    metavar="FILE",
    envvar="PYCAST_AUTHENTICATION__ADMIN_PASSWORD_FILE",
    show_envvar=True,
    help="A file that holds it.",
)
@click.option("--once", is_flag=True, help="Print the table once and exit.")
@click.option("--interval", type=click.FloatRange(0.2), default=2.0, show_default=True, help="Seconds between updates.")
@click.option("-k", "--insecure", is_flag=True, help="Accept any TLS certificate.")
def command(
    url: str | None,
    user: str,
    password: str | None,
    password_file: str | None,
    once: bool,
    interval: float,
    insecure: bool,
) -> None:
    """Show the mounts, listeners and titles of the server at URL, live. Ctrl-C ends it.

    Without URL, shows this machine's server: on the port of its configuration, if it can be read, else on port 8000.
    """
    password = given_password(password, password_file)
    # The server's certificate is for its public name, not for 127.0.0.1.
    insecure = insecure or not url
    url, hint = (url, _AT_URL) if url else _own_url("listeners" if password is None else "admin")
    server = ServerClient(url, user, password, insecure=insecure, timeout_s=_TIMEOUT_S)
    if once or not sys.stdout.isatty():
        look = _look(server, hint)
        click.echo("\n".join(_lines(look, _size()[0] if sys.stdout.isatty() else 120)))
        return
    with _own_screen():
        _show(server, interval, hint)


@dataclass(frozen=True, slots=True)
class Look:
    """A server's state at one moment."""

    server: ServerView
    nodes: tuple[NodeRow, ...] = ()


def _own_url(kind: str) -> tuple[str, str]:
    """Returns the URL of this machine's server, and what to do if nobody answers there. If its configuration is wrong,
    or for the server's user only, that is where it is by default. Raises ExternalError if no port serves `kind`.
    """
    try:
        config = load(find_config(), os.environ)
    except ConfigError:
        return "http://localhost:8000", _AT_GUESS
    return own_url(config, kind), _AT_OWN


def _look(server: ServerClient, hint: str) -> Look:
    """Fetches the server's state. Raises ExternalError whose text says what to try; if nobody answers, that is
    `hint`.
    """
    try:
        return _state(server)
    except NobodyAnswers as error:
        raise ExternalError(f"{error}. {hint}") from None  # the cause has a hint for all commands, which says less


def _state(server: ServerClient) -> Look:
    expected = "streaming server"  # Icecast is one too
    if not server.has_password:
        return Look(read_json(server.get("/status-json.xsl", expected=expected)))
    view = read_xml(server.get("/admin/stats", expected=expected))
    try:
        nodes = server.get("/admin/cluster")
    except UnexpectedAnswer:  # a single server has no nodes, and Icecast has no such page
        return Look(view)
    return Look(view, read_nodes(nodes))


def _show(server: ServerClient, interval: float, hint: str) -> None:
    history: list[int] = []
    last: Look | None = None
    while True:
        trouble = ""
        try:
            last = _look(server, hint)
            history = [*history[1 - _HISTORY :], last.server.listeners]
        except ExternalError as error:
            trouble = escaped(str(error))
        _draw(last, history, trouble, server.url)
        time.sleep(interval)


def _lines(look: Look, width: int, history: Sequence[int] = ()) -> list[str]:
    """Returns the lines to show: nodes first, because there are few of them and mounts may not all fit."""
    title, facts, *mounts = render(look.server, width, time.time(), history)
    nodes = ["", *render_nodes(look.nodes, width)] if look.nodes else []
    return [title, facts, *nodes, *mounts]


def _draw(look: Look | None, history: Sequence[int], trouble: str, url: str) -> None:
    width, height = _size()
    lines = _lines(look, width, history) if look else [click.style(cut(url, width), bold=True)]
    troubles = textwrap.wrap(trouble, width)  # what to do stands at the end of it
    room = height - 2 - max(1, len(troubles))
    if len(lines) > room:
        lines = [*lines[: room - 1], f"  … and {len(lines) - room + 1} more"]
    foot = "\x1b[K\n".join(click.style(line, fg="red") for line in troubles) or click.style("Ctrl-C quits", dim=True)
    # Writes over the old lines and clears what is left: unlike a cleared screen, this does not flicker.
    sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in [*lines, "", foot]) + "\x1b[J")
    sys.stdout.flush()


@contextmanager
def _own_screen() -> Iterator[None]:
    """Switches to the terminal's second screen, without a cursor, and back at the end; Ctrl-C is the usual end."""
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
