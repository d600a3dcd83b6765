"""`pycast import-icecast icecast.xml`: the same settings as TOML on stdout; what has no equivalent also on stderr."""

from pathlib import Path

import click

from pycast.config.icecast_xml import convert
from pycast.errors import ConfigError


@click.command(short_help="Turn an icecast.xml into a pycast.toml.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(file: Path) -> None:
    """Print the settings of Icecast's configuration FILE as pycast.toml.

    pycast import-icecast /etc/icecast2/icecast.xml > pycast.toml
    """
    try:
        imported = convert(file.read_bytes())
    except ConfigError as error:
        raise ConfigError([f"{file}: {problem}" for problem in error.problems]) from error
    click.echo(imported.toml, nl=False)
    for line in imported.left_out:
        click.echo(f"{click.style('left out:', fg='yellow')} {line}", err=True)
