"""A stop is the end of every source: their programs hear of it, and none that runs is hurt."""

from pathlib import Path

from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from tests.conftest import WaitUntil

TOML = '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n[logging]\naccess_log = ""\n[[mount]]\nmount_name = "/x"\n'
SOURCE = b"SOURCE /x HTTP/1.0\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\nContent-Type: text/plain\r\n\r\n"


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def run_and_stop(setting: str, program: str, started: Path, wait_until: WaitUntil) -> None:
    """A node with a source, from its start to its stop."""
    node = Node(loads(TOML + f'{setting} = "{program}"\n', {}, "test"), None, None, 1000)
    with socket.create_connection(("127.0.0.1", node.start().port), 5) as source:
        source.sendall(SOURCE)
        assert source.recv(100) == b"HTTP/1.0 200 OK\r\n\r\n"
        if setting == "on_connect":
            wait_until(started.exists, "the program")
        node.stop()


def test_on_disconnect_runs_when_the_server_stops(tmp_path: Path, wait_until: WaitUntil) -> None:
    seen = tmp_path / "seen"
    run_and_stop("on_disconnect", script(tmp_path / "off", f"touch {seen}"), seen, wait_until)
    wait_until(seen.exists, "the program")


def test_a_program_that_runs_when_the_server_stops_is_left_alone(tmp_path: Path, wait_until: WaitUntil) -> None:
    begun, go, done = tmp_path / "begun", tmp_path / "go", tmp_path / "done"
    text = f"touch {begun}; while ! test -e {go}; do sleep 0.05; done; touch {done}"
    run_and_stop("on_connect", script(tmp_path / "on", text), begun, wait_until)
    go.touch()
    wait_until(done.exists, "the end of the program")
