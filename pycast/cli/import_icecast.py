"""`pycast import-icecast FILE`: prints the settings of an icecast.xml as TOML; what did not come over, on stderr."""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from pycast.cli.check import missing_certificate, missing_files, unknown_fallbacks, unusable_mounts, unwritable
from pycast.config.icecast_settings import Host
from pycast.config.icecast_xml import Imported, convert
from pycast.config.import_check import checked
from pycast.config.import_notes import ImportNote, NoteKind
from pycast.config.load import included_files, loads
from pycast.errors import ConfigError

NOT_READY = 3
"""The exit status if something is closed, or the result does not work as it is."""

_COLOURS = {NoteKind.REFUSED: "red", NoteKind.CLOSED: "red", NoteKind.TO_CORRECT: "red"}


@click.command(short_help="Convert an icecast.xml to a pycast.toml.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(file: Path) -> None:
    """Convert Icecast's configuration FILE, and print it as a pycast.toml.

    `pycast import-icecast /etc/icecast2/icecast.xml > pycast.toml` makes the file. What does not simply come over is
    listed on stderr with its line, and in comments at the head of the new file. ${VAR} is replaced by the variable.

    A mount that Icecast protects and pycast cannot is closed: nobody can listen to it. The exit status is then 3, as it
    is if the new file does not work yet; 0 if it does; 1 if FILE is no icecast.xml.
    """
    is_in_use = is_running(file)
    host = Host(
        random.SystemRandom(),
        os.environ,
        included_files,
        os.path.realpath(file),
        why_no_log=lambda name: why_no_log(name, is_in_use),
    )
    try:
        imported = checked(convert(file.read_bytes(), host))
    except ConfigError as error:
        raise ConfigError([f"{file}: {problem}" for problem in error.problems]) from error
    imported = imported.with_notes(list(problems(imported)))
    click.echo(imported.toml, nl=False)
    for note in imported.notes:
        click.echo(f"{click.style(f'{note.kind.value}:', fg=_COLOURS.get(note.kind, 'yellow'))} {note}", err=True)
    if any(note.kind in _COLOURS for note in imported.notes):
        click.echo("Look at the lines above before you run pycast; `pycast check` says what is wrong.", err=True)
        sys.exit(NOT_READY)


def problems(imported: Imported) -> Iterator[ImportNote]:
    """Yields what `pycast check` would say of the result, if it loads."""
    if any(note.kind is NoteKind.TO_CORRECT for note in imported.notes):
        return
    config = loads(imported.body, {}, "pycast.toml")
    files = (*missing_certificate(config), *missing_files(config), *unknown_fallbacks(config))
    for line in (*unusable_mounts(config), *files):
        yield ImportNote(NoteKind.TO_CORRECT, 0, line)


def why_no_log(name: str, is_running: bool) -> str:
    """Returns why pycast cannot write this log, empty if it can. `is_running`: Icecast writes it now."""
    if is_running:
        return "the Icecast that is running writes it"
    return "this user cannot write it" if unwritable(name) else ""


def is_running(file: Path, proc: Path = Path("/proc")) -> bool:
    """Whether an Icecast runs with this configuration."""
    for folder in proc.glob("[0-9]*"):
        try:
            program, *arguments = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            continue  # it has ended, or nobody else may look at it
        if os.path.basename(program).startswith(b"icecast") and any(_is_same(file, one) for one in arguments):
            return True
    return False


def _is_same(file: Path, argument: bytes) -> bool:
    # The folder in which a process of another user was started cannot be seen, so a relative name counts by its end.
    named = Path(os.fsdecode(argument))
    return named.resolve() == file.resolve() if named.is_absolute() else named.name == file.name
