"""`pycast check FILE`: reports the errors of a configuration, and what in it is probably not meant.

Checks more than `load` does: the files and folders that the configuration names must be usable for this user.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import click

from pycast.auth.known_passwords import password_advice
from pycast.config.load import load
from pycast.config.rules import advice
from pycast.config.schema import Config
from pycast.errors import ConfigError
from pycast.http.mount_names import why_no_mount


@click.command(short_help="Check a configuration.")
@click.argument("file", type=click.Path(path_type=Path))
def command(file: Path) -> None:
    """Check the configuration FILE and print every error in it.

    Also prints warnings: settings that work but are probably not meant. The exit status is 1 if there is an error.
    """
    config = load(file, os.environ)
    problems = [*unusable_mounts(config), *missing_files(config)]
    if problems:
        raise ConfigError([f"{file}: {problem}" for problem in problems])
    for line in (*password_advice(config), *advice(config)):
        click.echo(f"{click.style('warning:', fg='yellow')} {file}: {line}", err=True)
    ports = ", ".join(str(listen.port) for listen in config.listen)
    named = sum(mount.type == "normal" for mount in config.mount)
    click.echo(f"{click.style('ok', fg='green', bold=True)}  {file}: port {ports}, {named} mount{'s' * (named != 1)}")


def unusable_mounts(config: Config) -> Iterator[str]:
    """Yields a line for each name in the configuration that no mount can have."""
    named = [(f"listen[{index}].shoutcast_mount", one.shoutcast_mount) for index, one in enumerate(config.listen)]
    for index, mount in enumerate(config.mount):
        named += [(f"mount[{index}].{key}", getattr(mount, key)) for key in ("mount_name", "fallback_mount")]
    for key, name in named:
        if name and (why := why_no_mount(name)):
            yield f'{key} = "{name}": this name cannot be a mount: {why}'


def missing_files(config: Config) -> Iterator[str]:
    """Yields a line for each file that the configuration names and that this user cannot use."""
    for key in ("certificate", "private_key"):
        yield from _unreadable(f"tls.{key}", getattr(config.tls, key))
    for key in ("access_log", "error_log", "playlist_log"):
        yield from _unwritable(f"logging.{key}", getattr(config.logging, key))
    for index, mount in enumerate(config.mount):
        yield from _unwritable(f"mount[{index}].dump_file", mount.dump_file or "")
        yield from _not_a_program(f"mount[{index}].on_connect", mount.on_connect or "")
        yield from _not_a_program(f"mount[{index}].on_disconnect", mount.on_disconnect or "")


def _unreadable(key: str, name: str) -> Iterator[str]:
    if name and not (Path(name).is_file() and os.access(name, os.R_OK)):
        yield f'{key} = "{name}": expected a readable file'


def _unwritable(key: str, name: str) -> Iterator[str]:
    folder = Path(name).parent
    # A folder whose name has strftime fields may not exist yet.
    if name not in ("", "-") and "%" not in str(folder) and not os.access(folder, os.W_OK | os.X_OK):
        yield f'{key} = "{name}": expected a file in an existing, writable folder'


def _not_a_program(key: str, name: str) -> Iterator[str]:
    if name and not (Path(name).is_file() and os.access(name, os.X_OK)):
        yield f'{key} = "{name}": expected an executable file'
