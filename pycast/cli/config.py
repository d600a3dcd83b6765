"""`pycast config`: the manual of all settings, as a file to start from."""

import click

from pycast.config.reference import default_toml, reference_markdown


@click.command(short_help="Print all settings with comments.")
@click.option("--markdown", is_flag=True, help="As tables for a documentation page.")
def command(markdown: bool) -> None:
    """Print the whole default configuration with comments.

    pycast config > pycast.toml makes a file to start from.
    """
    click.echo(reference_markdown() if markdown else default_toml(), nl=False)
