"""`pycast demo`: runs a server that plays a built-in stream. Needs no configuration and leaves no files behind."""

import os
import random
import sys
from functools import partial

import click

from pycast.cli.banner import demo_banner, write
from pycast.cli.serve import load_node
from pycast.config.load import embedded_text, in_force, loads, made_up_passwords, with_port


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
    passwords = made_up_passwords(random.SystemRandom())
    config = with_port(loads(embedded_text(passwords), os.environ, "defaults"), port)
    made_up = in_force(passwords, config)
    run = load_node()
    announce = partial(write, demo_banner, config, None, made_up)
    sys.exit(run(config, config_path=None, ready_file=ready_file, demo=True, made_up=made_up, announce=announce))
