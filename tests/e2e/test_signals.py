"""What an operator does with signals: reload, rotate logs, stop."""

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from pycast.testing import Server, ServerDied
from tests.e2e.steady import SteadyStream
from tests.e2e.wire import get

MOUNT = "/live.mp3"


def reload(server: Server, old: str, new: str) -> None:
    text = server.config_path.read_text()
    assert old in text
    server.config_path.write_text(text.replace(old, new))
    os.kill(server.pid, signal.SIGHUP)


def logged(server: Server, text: str) -> None:
    server.wait_until(lambda: text in server.log(), 5, f"{text!r} in the log")


@pytest.mark.pycast(location="Here")
def test_sighup_takes_a_changed_config_and_costs_nobody_a_byte(pycast_server: Server) -> None:
    with SteadyStream(pycast_server.port, pycast_server.source_password) as stream:
        reload(pycast_server, '"Here"', '"There"')
        pycast_server.wait_until(
            lambda: b'"location":"There"' in get(pycast_server.port, "/status-json.xsl").body, 5, "the new config"
        )
        stream.verify()


@pytest.mark.pycast(max_listeners=1)
def test_sighup_changes_a_running_mount(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0), pycast_server.listen(MOUNT) as first:
        assert (first.status, get(pycast_server.port, MOUNT).status) == (200, 403)
        reload(pycast_server, '"max_listeners" = 1', '"max_listeners" = 2')
        logged(pycast_server, "again")
        with pycast_server.listen(MOUNT) as second:
            assert second.status == 200


@pytest.mark.pycast(location="Here")
def test_sighup_with_a_bad_config_says_what_is_wrong_and_keeps_the_old_one(pycast_server: Server) -> None:
    with SteadyStream(pycast_server.port, pycast_server.source_password) as stream:
        reload(pycast_server, '"location"', '"locatoin"')
        logged(pycast_server, "locatoin")
        assert "location" in pycast_server.log().split("locatoin", 1)[1]  # the nearest key that there is
        assert b'"location":"Here"' in get(pycast_server.port, "/status-json.xsl").body
        stream.verify()


def test_sighup_opens_the_logs_anew(pycast_server: Server) -> None:
    log = pycast_server.directory / "access.log"
    get(pycast_server.port, "/before")
    pycast_server.wait_until(lambda: "/before" in log.read_text(), 5, "the line")
    rotated = log.rename(Path(f"{log}.1"))
    os.kill(pycast_server.pid, signal.SIGHUP)
    pycast_server.wait_until(log.exists, 5, "the new log")
    get(pycast_server.port, "/after")
    pycast_server.wait_until(lambda: "/after" in log.read_text(), 5, "the line")
    assert "/after" not in rotated.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_stops_within_five_seconds_with_everybody_connected(
    number: signal.Signals, pycast_server: Server
) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream, ExitStack() as stack:
        stream.send(10)
        listeners = [stack.enter_context(pycast_server.listen(MOUNT)) for _ in range(20)]
        stack.enter_context(pycast_server.listen(MOUNT, bytes_per_s=1))
        began = time.monotonic()
        os.kill(pycast_server.pid, number)
        for listener in listeners:
            assert listener.wait_for_end() == "the server closed the connection"
            assert listener.frames.is_exactly(range(10))
        with pytest.raises(ServerDied, match="status 0"):
            pycast_server.wait_until(lambda: False, 5, "the end")
        assert time.monotonic() - began < 5


def test_access_log_has_a_line_for_each_client_in_icecasts_format(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream:
        stream.send(10)
        agent = {"User-Agent": 'A "quoted" agent'}
        with pycast_server.listen(f"{MOUNT}?token=secret", headers=agent) as heard:
            heard.wait_for_frames(10)
    pycast_server.wait_until(
        lambda: any("GET" in line for line in pycast_server.access_log()), 5, "the listener's line"
    )
    line = next(line for line in pycast_server.access_log() if "GET" in line)
    assert line.startswith("127.0.0.1 - - [")
    assert f'"GET {MOUNT} HTTP/1.0" 200 ' in line
    assert '"-" "A .quoted. agent" 0' in line
