"""The command under Icecast's name: its options, its background, its version. What it runs is `pycast serve`.

A supervisor, an init script or a container that calls `icecast -c icecast.xml` needs no change if `icecast` is a link
to `pycast`. Options that Icecast does not know are ignored, as it does: some containers give one.

With -b the process that was called ends when the server accepts, with status 0, or when it has failed, with the
server's status. Icecast's ends at once, so that a script cannot know. From then on the server has no terminal, and what
it would write to stderr is lost, as with Icecast.
"""

import os
import sys
from pathlib import Path

import click

from pycast import __version__

_VERSION = f"Icecast 2.4.4 (pycast {__version__})"
"""Icecast's line, whose version is the one that pycast behaves like: scripts look for it."""

_USAGE = "usage: icecast [-b -v] -c <file>"


@click.command(hidden=True, add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.option("-c", "config_path", type=click.Path(path_type=Path))
@click.option("-b", "is_in_background", is_flag=True)
@click.option("-v", "--version", "is_version", is_flag=True)
@click.argument("ignored", nargs=-1, type=click.UNPROCESSED)
def command(config_path: Path | None, is_in_background: bool, is_version: bool, ignored: tuple[str, ...]) -> None:
    """Run the server as Icecast is run."""
    from pycast.cli.serve import run_server

    if is_version:
        click.echo(_VERSION)
        return
    if config_path is None:
        click.echo(f"{_VERSION}\n\n{_USAGE}\n")
        sys.exit(1)
    if not is_in_background:
        sys.exit(run_server(config_path))
    click.echo("Starting icecast2\nDetaching from the console")
    sys.stdout.flush()
    reading, writing = os.pipe()
    # Not gevent's `fork`, which would make a loop in this process, that ends here. There is none yet.
    if child := _fork():
        os.close(writing)
        sys.exit(_status(child, reading))
    os.close(reading)
    os.setsid()
    sys.exit(run_server(config_path, on_ready=lambda: _detach(writing)))


def _fork() -> int:
    from gevent import monkey

    child: int = monkey.get_original("os", "fork")()
    return child


def _status(child: int, reading: int) -> int:
    """Returns 0 when the child has said that it accepts, else its exit status when it has ended."""
    if os.read(reading, 1):
        return 0
    from gevent import monkey

    _, status = monkey.get_original("os", "waitpid")(child, 0)
    return os.waitstatus_to_exitcode(status) or 1


def _detach(writing: int) -> None:
    """Tells the parent that the server accepts, and lets the terminal go."""
    os.write(writing, b"1")
    os.close(writing)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.close(nothing)
