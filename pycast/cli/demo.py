"""`pycast demo`: runs a server that plays a built-in stream. Needs no configuration and leaves no files behind."""

import os
import random
import sys
from functools import partial

import click

from pycast.cli.banner import demo_banner, write
from pycast.cli.serve import load_node
from pycast.config.load import embedded_config, with_port


@click.command(short_help="Play a built-in stream.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port to listen on. 0: any free one.",
)
@click.option("--ready-file", metavar="FILE", help='Write a line of JSON there when it is playing. "-": stdout.')
def command(port: int, ready_file: str | None) -> None:
    """Play a built-in stream on /demo.mp3, and print where to listen. Ctrl-C stops it."""
    config = with_port(embedded_config(random.SystemRandom(), os.environ), port)
    run = load_node()
    announce = partial(write, demo_banner, config, None)
    sys.exit(run(config, config_path=None, ready_file=ready_file, demo=True, announce=announce))
