"""Tests of benchmarks.servers: a server accepts after its start, and is gone with its files after its stop."""

import os
from pathlib import Path

import pytest

from benchmarks.procfs import pick_cores
from benchmarks.servers import Child, Pycast, ServerError, accepts, get


def test_pycast_accepts_after_the_start_and_is_gone_after_the_stop() -> None:
    server = Pycast(pick_cores().server)
    try:
        server.start()
        assert accepts(server.port)
        assert get(server.port, "/admin/stats", user="admin")[0] == 200
        assert os.sched_getaffinity(server.pid) == {pick_cores().server}
        assert server.worker_pids() == [server.pid]
    finally:
        server.stop()
    server.stop()
    assert not accepts(server.port)
    assert not Path(f"/proc/{server.pid}").exists()


def test_settings_of_the_environment_do_not_change_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCAST_AUTHENTICATION__ADMIN_PASSWORD", "another")
    server = Pycast(pick_cores().server)
    try:
        server.start()
        assert get(server.port, "/admin/stats", user="admin")[0] == 200
    finally:
        server.stop()


def test_a_server_that_does_not_start_is_told_with_its_last_words() -> None:
    child = Child(pick_cores().server)
    with pytest.raises(ServerError, match=r"(?s)did not start.*none\.toml"):
        child.serve("--config", str(child.folder / "none.toml"))
    assert not child.folder.exists()


def test_a_program_that_is_not_installed_is_told() -> None:
    child = Child(pick_cores().server)
    try:
        with pytest.raises(ServerError, match="no-such-program"):
            child.spawn(["no-such-program"])
    finally:
        child.stop()
    assert not child.folder.exists()


def test_one_that_was_killed_can_be_started_again_in_its_folder() -> None:
    child = Child(pick_cores().server)
    try:
        child.spawn(["sleep", "60"])
        first = child.pid
        child.kill()
        child.spawn(["sleep", "60"])
        assert child.pid != first
        assert child.folder.exists()
    finally:
        child.stop()
