"""`pycast import-icecast FILE`: prints the settings of an icecast.xml as TOML; what has no equivalent, on stderr."""

from pathlib import Path

import click

from pycast.config.icecast_xml import convert
from pycast.errors import ConfigError


@click.command(short_help="Convert an icecast.xml to a pycast.toml.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(file: Path) -> None:
    """Convert Icecast's configuration FILE, and print it as a pycast.toml.

    `pycast import-icecast /etc/icecast2/icecast.xml > pycast.toml` makes the file. Settings that have no equivalent
    are listed on stderr, and in comments at the head of the file.
    """
    try:
        imported = convert(file.read_bytes())
    except ConfigError as error:
        raise ConfigError([f"{file}: {problem}" for problem in error.problems]) from error
    click.echo(imported.toml, nl=False)
    for line in imported.left_out:
        click.echo(f"{click.style('left out:', fg='yellow')} {line}", err=True)
