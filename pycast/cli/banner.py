"""The text that a server prints on stderr after its start: its address, the passwords, what to try first.

Stdout stays free for --ready-file. A password is shown only if it was made up for this run: one that somebody has set,
in a file or in the environment, is known to him, and what is printed here ends up in logs. The one invariant: a command
that is meant to be copied has a line of its own and works as it is, but for a password that must not be shown.
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Protocol

import click

from pycast import __version__
from pycast.auth.known_passwords import password_advice
from pycast.config.rules import advice
from pycast.config.schema import Config
from pycast.config.secret_files import file_advice
from pycast.config.serving import first_serving

Ports = tuple[int, ...]

_PLACEHOLDER = "PASSWORD"


class Ready(Protocol):
    """What a banner needs of a running server: the ports of the [[listen]] sections."""

    @property
    def listening(self) -> Ports: ...


Banner = Callable[[Config, Path | None, Collection[str], Ports], Iterator[str]]


def write(banner: Banner, config: Config, path: Path | None, made_up: Collection[str], ready: Ready) -> None:
    """Prints a banner. `made_up` are the keys of [authentication] whose password was made up at this start."""
    click.echo("\n".join(["", *banner(config, path, made_up, ready.listening), ""]), err=True)


def serve_banner(config: Config, path: Path | None, made_up: Collection[str], ports: Ports) -> Iterator[str]:
    """Yields the lines for `pycast serve`: few if there is a configuration file, with passwords and examples if not."""
    url = base_url(config, ports, "listeners")
    yield f"{_bold(f'pycast {__version__}')} is ready at {_link(url + '/')}"
    if path is not None:
        yield f"Configuration: {path}"
        yield from _warnings(*password_advice(config), *file_advice(config), *advice(config))
        return
    only = ", with passwords for this run only" if made_up else ""
    yield f"Found no ./pycast.toml and no /etc/pycast/pycast.toml: using the defaults{only}."
    yield "To keep a configuration: pycast config > pycast.toml"
    yield from _warnings(*password_advice(config), *file_advice(config))
    yield ""
    yield from _logins(config, made_up)
    yield ""
    yield f"Send a stream and listen to it{_placeholder(made_up)}:"
    yield f"  {_send(config, made_up, ports)}"
    yield f"  mpv {url}/live.mp3"


def demo_banner(config: Config, path: Path | None, made_up: Collection[str], ports: Ports) -> Iterator[str]:
    """Yields the lines for `pycast demo`: what to open first, then the passwords."""
    url = base_url(config, ports, "listeners")
    yield f"{_bold(f'pycast {__version__}')} is playing. Open this in a browser:"
    yield ""
    yield f"  {_link(url + '/')}"
    yield ""
    yield "or in a player:"
    yield f"  mpv {url}/demo.mp3"
    yield f"and, to send a stream of your own beside it{_placeholder(made_up)}:"
    yield f"  {_send(config, made_up, ports)}"
    yield ""
    yield from _logins(config, made_up)
    yield ""
    yield "Ctrl-C stops it."


def base_url(config: Config, ports: Ports, kind: str) -> str:
    """Returns `http://host:port` of the port that serves `kind`, as a program on this machine can open it."""
    index = first_serving(config, kind)
    listen = config.listen[index]
    scheme = "https" if listen.is_tls_only else "http"
    address = listen.bind_address
    host = config.server.hostname if address in ("0.0.0.0", "::", "") else address
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{ports[index]}"


def _warnings(*lines: str) -> Iterator[str]:
    return (f"{click.style('warning:', fg='yellow')} {line}" for line in lines)


def _logins(config: Config, made_up: Collection[str]) -> Iterator[str]:
    login = config.authentication
    for who, use in (
        ("source", "for encoders"),
        ("admin", "for everything below /admin/"),
        ("relay", "for other servers"),
    ):
        key = f"{who}_password"
        shown = _bold(getattr(login, key)) if key in made_up else "(the password that was set)"
        yield f"  {who:<6}  {getattr(login, f'{who}_user'):<8} {shown}   {use}"


def _send(config: Config, made_up: Collection[str], ports: Ports) -> str:
    login = config.authentication
    password = login.source_password if "source_password" in made_up else _PLACEHOLDER
    target = base_url(config, ports, "sources").split("://")[1]
    return (
        "ffmpeg -re -i music.mp3 -c:a libmp3lame -b:a 128k -content_type audio/mpeg -f mp3 "
        f"icecast://{login.source_user}:{password}@{target}/live.mp3"
    )


def _placeholder(made_up: Collection[str]) -> str:
    return "" if "source_password" in made_up else f", with the source password in place of {_PLACEHOLDER}"


def _bold(text: str) -> str:
    return click.style(text, bold=True)


def _link(url: str) -> str:
    return click.style(url, fg="cyan", underline=True)
