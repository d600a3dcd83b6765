"""`pycast serve`: finds the configuration, runs a node or several workers with it, and prints the address on stderr."""

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from pycast.cli.banner import Ready, serve_banner, write
from pycast.config.load import (
    SEARCH_PATH,
    embedded_text,
    in_force,
    loads,
    made_up_passwords,
    read_text,
    with_port,
)
from pycast.config.schema import Config

Announce = Callable[[Ready], None]


@click.command(short_help="Run the server.")
@click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Overrides the port of the first [[listen]] section. 0: any free one."
)
@click.option("--worker", type=int, hidden=True, help="Run as this worker; reads its settings from stdin.")
@click.option(
    "--ready-file",
    metavar="FILE",
    help='Write a line of JSON (port, pid, passwords, URLs) there when the server accepts. "-": stdout.',
)
def command(config_path: Path | None, port: int | None, ready_file: str | None, worker: int | None) -> None:
    """Run the server in the foreground.

    Without --config it uses ./pycast.toml or /etc/pycast/pycast.toml, or else the defaults with new random passwords.
    An icecast.xml is a configuration file too. Logs go to stderr unless the configuration names files. SIGHUP reloads
    the configuration, SIGTERM stops the server.
    """
    if worker is not None:
        sys.exit(run_worker(sys.stdin.buffer.readline()))
    sys.exit(run_server(config_path or find_config(), port, ready_file))


def run_server(
    path: Path | None,
    port: int | None = None,
    ready_file: str | None = None,
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Runs the server with the configuration file `path`, or with the defaults, until a signal stops it. Calls
    `on_ready` when it accepts. Returns the exit status.
    """
    passwords = {} if path else make_up_passwords()
    text = read_text(path) if path else embedded_text(passwords)
    config = loads(text, os.environ, str(path) if path else "defaults")
    config = config if port is None else with_port(config, port)
    made_up = in_force(passwords, config)
    count = config.server.workers or len(os.sched_getaffinity(0))

    def announce(ready: Ready) -> None:
        write(serve_banner, config, path, made_up, ready)
        if on_ready:
            on_ready()

    if count > 1:
        return run_workers(config, count, text, path, port, ready_file, made_up, announce)
    return run_node(config, path, port, ready_file, made_up, announce)


def find_config() -> Path | None:
    """Returns the first configuration file of the search path that exists, or None."""
    return next((path for path in SEARCH_PATH if path.exists()), None)


def make_up_passwords() -> dict[str, str]:
    """Returns new passwords for a server without a configuration file, by their keys in [authentication]."""
    import random  # imported only if needed: every import delays the start

    return made_up_passwords(random.SystemRandom())


def load_node() -> Callable[..., int]:
    """Imports the server and returns what runs a node.

    The imported modules are never freed. The garbage collector would still scan them, which takes a twentieth of the
    start and later stops the loop for some 20 ms each time. So they are excluded from collection.
    """
    gc.disable()
    from pycast.app.node import run  # imported late: a wrong configuration is reported without loading the server
    from pycast.logs.stderr import queued_stderr

    gc.freeze()
    gc.enable()
    return queued_stderr()(run)


def run_node(
    config: Config,
    path: Path | None,
    port: int | None,
    ready_file: str | None,
    made_up: frozenset[str],
    announce: Announce,
) -> int:
    """Runs a node until a signal stops it. Returns the exit status."""
    run = load_node()
    return run(config, config_path=path, port=port, ready_file=ready_file, made_up=made_up, announce=announce)


def run_workers(
    config: Config,
    count: int,
    text: str,
    path: Path | None,
    port: int | None,
    ready_file: str | None,
    made_up: frozenset[str],
    announce: Announce,
) -> int:
    """Runs the parent of several workers until a signal stops it. Returns the exit status."""
    from pycast.app.workers import run
    from pycast.logs.stderr import queued_stderr

    with queued_stderr():
        return run(
            config, count, text, config_path=path, port=port, ready_file=ready_file, made_up=made_up, announce=announce
        )


def run_worker(line: bytes) -> int:
    """Runs one worker, as its parent's `line` describes it. Only the parent is told when it accepts."""
    from pycast.app.worker_spec import WorkerSpec

    run = load_node()
    spec = WorkerSpec.from_json(line)
    config = spec.config(os.environ)
    return run(config, config_path=spec.config_path, port=spec.port, ready_file="-", worker=spec.worker)
