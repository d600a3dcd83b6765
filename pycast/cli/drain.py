"""`pycast drain [URL]`: drains a server before it is stopped, and returns when the last listener has gone.

Made for scripts that wait for it, such as a preStop hook of Kubernetes or a step of a deployment. Without a URL it
drains this machine's server, whose configuration it finds as `pycast serve` does. A server that goes away during its
drain has been stopped; that counts as success.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from pycast.characters import escaped
from pycast.cli.serve import find_config
from pycast.cli.server_client import ServerClient, UnexpectedAnswer, Unreachable, given_password
from pycast.config.load import SEARCH_PATH, load
from pycast.config.schema import Config, ListenSection
from pycast.errors import ConfigError, ExternalError

_PATH = "/admin/drain"
_TIMEOUT_S = 10.0
_POLL_S = 0.5

_VARIABLE = "PYCAST_AUTHENTICATION__ADMIN_PASSWORD"

# What a shell reports for a program that Ctrl-C has ended.
_INTERRUPTED = 130

Progress = dict[str, float | str]
"""The server's answer about its drain: `state`, `listeners` and more."""

# Addresses that mean "any", and the address by which this machine reaches them.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


@click.command(short_help="Drain a server before it is stopped.")
@click.argument("url", required=False)
@click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), help="The server's configuration file.")
@click.option("--user", help="The admin user. Default: the configuration's.")
@click.option("--password", help="The admin password. Default: the configuration's.")
@click.option("--password-file", metavar="FILE", help="A file that holds it.")
@click.option("--now", is_flag=True, help="Skip the lead: do not wait for the balancer.")
@click.option("--cancel", is_flag=True, help="End the drain: the server accepts listeners again.")
@click.option("-k", "--insecure", is_flag=True, help="Accept any TLS certificate.")
def command(
    url: str | None,
    config_path: Path | None,
    user: str | None,
    password: str | None,
    password_file: str | None,
    now: bool,
    cancel: bool,
    insecure: bool,
) -> None:
    """Drain the server at URL: move its sources, disconnect its listeners as [drain] says, and wait for the last one.

    Without URL, drains this machine's server. The server keeps running until it is stopped; --cancel ends the drain.
    """
    password = given_password(password, password_file)
    config = _config(config_path, has_password=bool(password or (url and "@" in url)), has_url=bool(url))
    login = config.authentication
    # The server's certificate is for its public name, not for 127.0.0.1.
    server = ServerClient(
        url or own_url(config, "admin"),
        user or login.admin_user,
        password or login.admin_password,
        insecure=insecure or not url,
        timeout_s=_TIMEOUT_S,
    )
    if cancel:
        click.echo(escaped(text_of(_progress(server, server.post(f"{_PATH}?cancel=1")))))
        return
    given = {"--config": config_path, "--user": user, "--password": "…" if password else None}
    options = [part for name, value in given.items() if value for part in (name, str(value))]
    again = ["pycast", "drain", *([server.url] if url else []), *options, *(["--insecure"] if insecure else [])]
    sys.exit(_follow(server, f"{_PATH}?now=1" if now else _PATH, " ".join(again)))


def own_url(config: Config, kind: str) -> str:
    """Returns the URL of this machine's server on a port without PROXY header that serves `kind`. Raises ExternalError
    if it has none.
    """
    serving = [one for one in config.listen if kind in one.serves]
    listen = next((one for one in serving if not one.proxy_protocol), None)
    if listen is not None:
        return _url(listen)
    if serving:
        raise ExternalError(
            f"every port in [[listen]] that serves {kind} needs a PROXY header: add one on 127.0.0.1 without "
            "proxy_protocol, or give a URL"
        )
    raise ExternalError(f'no [[listen]] section has "{kind}" in serves: add one on 127.0.0.1, or give a URL')


def text_of(progress: Progress) -> str:
    """Returns the progress as one line of text."""
    listeners = f"{progress.get('listeners', 0)} listeners"
    match progress["state"]:
        case "serving":
            return f"serving; {listeners}"
        case "lead":
            return f"waiting {progress.get('next_s', 0):.0f} s for the balancer; {listeners}"
        case "moving":
            return f"moving sources and mirrors; {listeners}"
        case "leaving":
            return f"disconnecting listeners; {listeners} of {progress.get('of', 0)}"
        case _:
            return f"empty; {listeners}"


def _follow(server: ServerClient, path: str, again: str) -> int:
    """Prints the progress until the end. Returns the exit status: 0 if the server is empty or gone, 130 after Ctrl-C.

    `again` is the command that follows the same drain.
    """
    shown = ""
    try:
        for line in _changes(server, _progress(server, server.post(path))):
            if line != shown:
                click.echo(escaped(line))
                shown = line
    except KeyboardInterrupt:
        click.echo("\nThe drain goes on without this command. To cancel it, or to follow it again:", err=True)
        click.echo(f"  {again} --cancel\n  {again}", err=True)
        return _INTERRUPTED
    if shown.startswith("serving"):
        click.echo("the drain was cancelled", err=True)
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
    """Returns the progress in an answer. Raises UnexpectedAnswer."""
    try:
        progress = json.loads(body)
    except ValueError:
        progress = None
    if not isinstance(progress, dict) or "state" not in progress:
        raise UnexpectedAnswer(f"{server.url}{_PATH} answered 200: is that a pycast of this version?")
    return progress


def _config(given: Path | None, *, has_password: bool, has_url: bool) -> Config:
    """Returns the server's configuration. Raises ConfigError; ExternalError if it has no password, and nobody gave one.

    One that nobody has named, and of which nothing is needed, may be wrong: its secrets may be in the service's
    variables only.
    """
    path = given or find_config()
    if path is None and not (has_password or any(name in os.environ for name in (_VARIABLE, f"{_VARIABLE}_FILE"))):
        places = " and no ".join(map(str, SEARCH_PATH))
        raise ExternalError(f"the admin's password is not known, as there is no {places}: give --config or --password")
    try:
        return load(path, os.environ)
    except ConfigError:
        if given is None and has_password and has_url:
            return Config()
        raise


def _url(listen: ListenSection) -> str:
    host = _ANY.get(listen.bind_address, listen.bind_address)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{'https' if listen.is_tls_only else 'http'}://{host}:{listen.port}"
