"""Files that stall cost no listener a byte. Logs, dump and standard error are full pipes that nobody reads."""

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest

from pycast import launch
from tests.e2e.steady import SteadyStream
from tests.e2e.wire import Wire, get

TOML = """
[[listen]]
bind_address = "127.0.0.1"
port = 0
[authentication]
source_password = "sourcepass"
admin_password = "adminpass"
[logging]
access_log = "{0}/access"
playlist_log = "{0}/playlist"
log_level = "debug"
[[mount]]
mount_name = "/steady.mp3"
dump_file = "{0}/dump"
"""
PIPE = 4096  # bytes: the smallest that Linux has


def full_pipe(path: Path) -> int:
    """Makes a pipe that has a reader, this process, but no room. Returns its reading end."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, PIPE)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"x" * PIPE)
    os.close(writer)
    return reader


def test_logs_dump_and_standard_error_may_all_stall(tmp_path: Path) -> None:
    readers = [full_pipe(tmp_path / name) for name in ("access", "playlist", "dump", "stderr")]
    stderr = os.open(tmp_path / "stderr", os.O_WRONLY)
    (tmp_path / "pycast.toml").write_text(TOML.format(tmp_path))
    process = launch.start("--config", str(tmp_path / "pycast.toml"), stderr=stderr)
    try:
        ready = launch.wait_until_ready(process, 20)
        assert ready is not None
        port = ready["port"]
        with SteadyStream(port, "sourcepass") as stream:
            longest = 0.0
            for number in range(300):
                began = time.monotonic()
                with Wire(port) as wire:
                    wire.send(b"GET /none HTTP/1.0\r\nUser-Agent: %b\r\n\r\n" % (b"x" * 900))
                    assert wire.read_all(5).startswith(b"HTTP/1.0 404")
                longest = max(longest, time.monotonic() - began)
                if number == 150:
                    process.send_signal(signal.SIGHUP)
            stream.verify()
            assert longest < 5
            assert b"pycast_log_lines_lost_total" in get(port, "/metrics").body
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 8
    finally:
        launch.kill(process)
        for fd in (*readers, stderr):
            os.close(fd)


@pytest.mark.parametrize("key", ["access_log", "error_log"])
def test_a_log_that_is_a_pipe_without_a_reader_is_an_error_at_the_start(tmp_path: Path, key: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "pycast.toml").write_text(f'[[listen]]\nport = 0\n[logging]\n{key} = "{tmp_path}/pipe"\n')
    with (tmp_path / "stderr").open("wb") as stderr:
        process = launch.start("--config", str(tmp_path / "pycast.toml"), stderr=stderr)
        assert launch.wait_until_ready(process, 20) is None
    assert process.returncode == 1
    launch.kill(process)
    assert "it is a pipe that nobody reads: start its reader first" in (tmp_path / "stderr").read_text()
