"""`pycast serve`: finds the configuration, runs a node with it, and says on stderr where it can be reached."""

import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from pycast.cli.banner import serve_banner, write
from pycast.config.load import SEARCH_PATH, embedded_text, loads, read_text, with_port
from pycast.config.schema import Config


@click.command(short_help="Run the server.")
@click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), help="The configuration to use.")
@click.option("--port", type=click.IntRange(0, 65535), help="Overrides the first port to listen on; 0: any free one.")
@click.option("--worker", type=int, hidden=True, help="Be this one of several; told what to do on stdin.")
@click.option(
    "--ready-file",
    metavar="FILE",
    help='Where to write a line of JSON (port, pid, passwords, URLs) once the server accepts; "-": stdout.',
)
def command(config_path: Path | None, port: int | None, ready_file: str | None, worker: int | None) -> None:
    """Run the server in the foreground.

    Without --config it takes ./pycast.toml or /etc/pycast/pycast.toml, or else its defaults with new random passwords.
    Logs go to stderr unless the configuration names files. SIGHUP reads the configuration again, SIGTERM stops.
    """
    if worker is not None:
        sys.exit(run_worker(sys.stdin.buffer.readline()))
    path = config_path or find_config()
    text = read_text(path) if path else made_up_text()
    config = loads(text, os.environ, str(path) if path else "defaults")
    config = config if port is None else with_port(config, port)
    count = config.server.workers or len(os.sched_getaffinity(0))
    if count > 1:
        sys.exit(run_workers(config, count, text, path, port, ready_file))
    sys.exit(run_node(config, path, port, ready_file))


def find_config() -> Path | None:
    """The first configuration file of the search path that exists, or None."""
    return next((path for path in SEARCH_PATH if path.exists()), None)


def made_up_text() -> str:
    """The configuration of a server without one: new random passwords."""
    import random  # only for who has no configuration: every import delays the start

    return embedded_text(random.SystemRandom())


def load_node() -> Callable[..., int]:
    """Imports the server and returns what runs a node.

    Whatever is imported stays. The garbage collector would look through it again and again, which takes a twentieth of
    the start and later stops the loop for some 20 ms each time; so it is told to leave it alone for good.
    """
    gc.disable()
    from pycast.app.node import run  # here, not above: a wrong configuration is told without loading the server

    gc.freeze()
    gc.enable()
    return run


def run_node(config: Config, path: Path | None, port: int | None, ready_file: str | None) -> int:
    """Runs a node until it is told to stop. Returns the exit status."""
    run = load_node()
    announce = partial(write, serve_banner, config, path)
    return run(config, config_path=path, port=port, ready_file=ready_file, announce=announce)


def run_workers(
    config: Config, count: int, text: str, path: Path | None, port: int | None, ready_file: str | None
) -> int:
    """Runs the parent of several workers, in the same way."""
    from pycast.app.workers import run

    announce = partial(write, serve_banner, config, path)
    return run(config, count, text, config_path=path, port=port, ready_file=ready_file, announce=announce)


def run_worker(line: bytes) -> int:
    """Runs one worker, as its parent's `line` says. Nothing is announced but to the parent."""
    from pycast.app.worker_spec import WorkerSpec

    run = load_node()
    spec = WorkerSpec.from_json(line)
    config = spec.config(os.environ)
    return run(config, config_path=spec.config_path, port=spec.port, ready_file="-", worker=spec.worker)
