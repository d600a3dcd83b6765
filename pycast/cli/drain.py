"""`pycast drain [URL]`: empties a server before it is stopped, and returns when the last listener has gone.

Made to be waited for: as Kubernetes' preStop, as a deployment's step. Without a URL it is this machine's server, found
in the configuration as `pycast serve` finds it. A server that is gone while it drains is one that has been stopped:
what was wanted.
"""

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from pycast.cli.serve import find_config
from pycast.cli.server_client import ServerClient, UnexpectedAnswer, Unreachable
from pycast.config.load import embedded_config, load
from pycast.config.schema import Config, ListenSection
from pycast.errors import ExternalError

_PATH = "/admin/drain"
_TIMEOUT_S = 10.0
_POLL_S = 0.5

Progress = dict[str, float | str]
"""What the server says of its drain: `state`, `listeners` and more."""

# Of the same address, as this machine reaches it.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


@click.command(short_help="Empty a server before it is stopped.")
@click.argument("url", required=False)
@click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), help="The server's configuration.")
@click.option("--user", help="The admin user; without it, the configuration's.")
@click.option("--password", help="The admin password; without it, the configuration's.")
@click.option("--now", is_flag=True, help="Do not wait until the balancer has noticed.")
@click.option("--cancel", is_flag=True, help="Let the server serve again.")
@click.option("-k", "--insecure", is_flag=True, help="Accept any TLS certificate.")
def command(
    url: str | None,
    config_path: Path | None,
    user: str | None,
    password: str | None,
    now: bool,
    cancel: bool,
    insecure: bool,
) -> None:
    """Let the listeners of the server at URL go, as [drain] says, and wait until the last one has gone.

    Without URL it is this machine's server. The server itself goes on, until it is stopped or --cancel is given.
    """
    config = _config(config_path)
    login = config.authentication
    user, password = user or login.admin_user, password or login.admin_password
    # Its certificate is for the name by which others know it, not for 127.0.0.1.
    server = ServerClient(url or own_url(config), user, password, insecure=insecure or not url, timeout_s=_TIMEOUT_S)
    if cancel:
        click.echo(text_of(_progress(server, server.post(f"{_PATH}?cancel=1"))))
        return
    sys.exit(_follow(server, f"{_PATH}?now=1" if now else _PATH))


def own_url(config: Config) -> str:
    """Where this machine's server answers without a PROXY header. Raises ExternalError if it has no such port."""
    listen = next((one for one in config.listen if not one.proxy_protocol), None)
    if listen is None:
        raise ExternalError(
            "every port of [[listen]] wants a PROXY header: add one on 127.0.0.1 without proxy_protocol, or give a URL"
        )
    return _url(listen)


def text_of(progress: Progress) -> str:
    """One line for people."""
    listeners = f"{progress.get('listeners', 0)} listeners"
    match progress["state"]:
        case "serving":
            return f"serves; {listeners}"
        case "lead":
            return f"the balancer learns of it, {progress.get('next_s', 0):.0f} s to go; {listeners}"
        case "moving":
            return f"sources and mirrors move; {listeners}"
        case "leaving":
            return f"listeners leave; {listeners} of {progress.get('of', 0)}"
        case _:
            return f"empty; {listeners}"


def _follow(server: ServerClient, path: str) -> int:
    """The exit status: 0 if the server is empty in the end, or gone."""
    progress, said = _progress(server, server.post(path)), ""
    for line in _changes(server, progress):
        if line != said:
            click.echo(line)
            said = line
    if said.startswith("serves"):
        click.echo("somebody has cancelled it", err=True)
        return 1
    return 0


def _changes(server: ServerClient, progress: Progress) -> Iterator[str]:
    while True:
        yield text_of(progress)
        if progress["state"] in ("done", "serving"):
            return
        time.sleep(_POLL_S)
        try:
            progress = _progress(server, server.get(_PATH))
        except Unreachable:
            yield "stopped"
            return


def _progress(server: ServerClient, body: bytes) -> Progress:
    """Where the drain is. Raises UnexpectedAnswer."""
    try:
        progress = json.loads(body)
    except ValueError:
        progress = None
    if not isinstance(progress, dict) or "state" not in progress:
        raise UnexpectedAnswer(f"{server.url}{_PATH} answered 200: is that a pycast of this version?")
    return progress


def _config(path: Path | None) -> Config:
    path = path or find_config()
    return load(path, os.environ) if path else embedded_config(random.SystemRandom(), os.environ)


def _url(listen: ListenSection) -> str:
    host = _ANY.get(listen.bind_address, listen.bind_address)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{'https' if listen.tls else 'http'}://{host}:{listen.port}"
