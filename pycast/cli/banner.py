"""The text that a server prints on stderr after its start: its address, the passwords, what to try first.

Stdout stays free for --ready-file. Passwords are shown only if they were made up for this run. The one invariant: a
command that is meant to be copied has a line of its own and works as it is.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import click

from pycast import __version__
from pycast.auth.known_passwords import password_advice
from pycast.config.rules import advice
from pycast.config.schema import Config


class Ready(Protocol):
    """What a banner needs of a running server: the port of the first [[listen]] section."""

    @property
    def port(self) -> int: ...


Banner = Callable[[Config, Path | None, int], Iterator[str]]


def write(banner: Banner, config: Config, path: Path | None, ready: Ready) -> None:
    click.echo("\n".join(["", *banner(config, path, ready.port), ""]), err=True)


def serve_banner(config: Config, path: Path | None, port: int) -> Iterator[str]:
    """Yields the lines for `pycast serve`: few if there is a configuration file, with passwords and examples if not."""
    url = base_url(config, port)
    yield f"{_bold(f'pycast {__version__}')} is ready at {_link(url + '/')}"
    if path is not None:
        yield f"Configuration: {path}"
        for line in (*password_advice(config), *advice(config)):
            yield f"{click.style('warning:', fg='yellow')} {line}"
        return
    yield "Found no ./pycast.toml and no /etc/pycast/pycast.toml: using the defaults, with passwords for this run only."
    yield "To keep a configuration: pycast config > pycast.toml"
    yield ""
    yield from _logins(config)
    yield ""
    yield "Send a stream and listen to it:"
    yield f"  {_send(config, port)}"
    yield f"  mpv {url}/live.mp3"


def demo_banner(config: Config, path: Path | None, port: int) -> Iterator[str]:
    """Yields the lines for `pycast demo`: what to open first, then the passwords."""
    url = base_url(config, port)
    yield f"{_bold(f'pycast {__version__}')} is playing. Open this in a browser:"
    yield ""
    yield f"  {_link(url + '/')}"
    yield ""
    yield "or in a player:"
    yield f"  mpv {url}/demo.mp3"
    yield "and, to send a stream of your own beside it:"
    yield f"  {_send(config, port)}"
    yield ""
    yield from _logins(config)
    yield ""
    yield "Ctrl-C stops it."


def base_url(config: Config, port: int) -> str:
    """Returns `http://host:port` of the first [[listen]] section, as a program on this machine can open it."""
    scheme = "https" if config.listen[0].tls else "http"
    address = config.listen[0].bind_address
    host = config.server.hostname if address in ("0.0.0.0", "::", "") else address
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _logins(config: Config) -> Iterator[str]:
    login = config.authentication
    yield f"  source  {login.source_user:<8} {_bold(login.source_password)}   for encoders"
    yield f"  admin   {login.admin_user:<8} {_bold(login.admin_password)}   for everything below /admin/"
    yield f"  relay   {login.relay_user:<8} {_bold(login.relay_password)}   for other servers"


def _send(config: Config, port: int) -> str:
    login = config.authentication
    target = base_url(config, port).split("://")[1]
    return (
        "ffmpeg -re -i music.mp3 -c:a libmp3lame -b:a 128k -content_type audio/mpeg -f mp3 "
        f"icecast://{login.source_user}:{login.source_password}@{target}/live.mp3"
    )


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _link(url: str) -> str:
    return click.style(url, fg="cyan", underline=True)
