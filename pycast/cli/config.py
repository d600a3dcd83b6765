"""`pycast config`: prints the manual of all settings, which is also a file to start from."""

import click

from pycast.config.reference import default_toml, reference_markdown


@click.command(short_help="Print all settings, with their defaults.")
@click.option("--markdown", is_flag=True, help="Print the settings as tables in Markdown.")
def command(markdown: bool) -> None:
    """Print every setting with its default and its meaning, as a configuration file.

    `pycast config > pycast.toml` makes a file to start from.
    """
    click.echo(reference_markdown() if markdown else default_toml(), nl=False)
