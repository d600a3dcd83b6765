"""Reloads: everything that should change does, and nothing else is affected."""

import os
import signal
from pathlib import Path

import pytest

from pycast.testing import Server
from tests.e2e.steady import SteadyStream
from tests.e2e.test_signals import logged, reload
from tests.e2e.wire import get


@pytest.mark.pycast(log_level="info")
def test_sighup_changes_the_log_level(pycast_server: Server) -> None:
    reload(pycast_server, '"log_level" = "info"', '"log_level" = "debug"')
    logged(pycast_server, "again")
    with SteadyStream(pycast_server.port, pycast_server.source_password):
        logged(pycast_server, "DBUG")


def test_sighup_moves_the_error_log(pycast_server: Server, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.log"
    reload(pycast_server, '"error_log" = "-"', f'"error_log" = "{fresh}"')
    pycast_server.wait_until(fresh.exists, 5, "the new log")
    get(pycast_server.port, "/none")
    pycast_server.wait_until(lambda: "/none" in fresh.read_text(), 5, "a line in it")


def test_an_error_log_that_cannot_be_opened_leaves_the_old_one(pycast_server: Server, tmp_path: Path) -> None:
    reload(pycast_server, '"error_log" = "-"', f'"error_log" = "{tmp_path}/none/x.log"')
    logged(pycast_server, "the old error log stays")


def test_a_storm_of_signals_costs_nobody_a_byte(pycast_server: Server) -> None:
    with SteadyStream(pycast_server.port, pycast_server.source_password) as stream:
        for _ in range(200):
            os.kill(pycast_server.pid, signal.SIGHUP)
        stream.verify()
    assert "Traceback" not in pycast_server.log()
