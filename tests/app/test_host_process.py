"""Tests of pycast.app.host_process: what needs root is opened as root, and the pidfile is there meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pycast.app import process_owner
from pycast.app.host_process import HostProcess
from pycast.config.load import loads


def test_pidfile_is_there_from_the_opening_of_the_ports_to_the_end(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    process = HostProcess(loads(f'[paths]\npidfile = "{pidfile}"\n', {}, "test"), None)
    with process.opening():
        assert not pidfile.exists()
    assert pidfile.read_text() == f"{os.getpid()}\n"
    process.end()
    assert not pidfile.exists()


def test_server_whose_ports_cannot_be_opened_writes_no_pidfile(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    process = HostProcess(loads(f'[paths]\npidfile = "{pidfile}"\n', {}, "test"), None)
    with pytest.raises(OSError, match="in use"), process.opening():
        raise OSError("in use")
    assert not pidfile.exists()


class Owner:
    """A user to go on as, whose steps are noted."""

    def __init__(self) -> None:
        self.steps: list[object] = []

    def act(self) -> None:
        self.steps.append("act")

    def unreadable(self, names: tuple[str, ...]) -> Iterator[str]:
        yield from (f"cannot read {name}" for name in names if name)

    @contextmanager
    def as_root(self) -> Iterator[None]:
        self.steps.append("root")
        yield
        self.steps.append("user")

    def give_up(self, sockets: list[int]) -> None:
        self.steps.append(sockets)


def test_ports_and_pidfile_are_opened_as_root_which_is_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    owner = Owner()
    monkeypatch.setattr(process_owner, "owner_of", lambda config: owner)
    config = loads(f'[security]\nuser = "nobody"\n[paths]\npidfile = "{tmp_path}/pid"\n', {}, "test")
    process = HostProcess(config, Path("/etc/pycast.toml"))
    with process.opening() as sockets:
        owner.steps.append("opens")
        sockets.append(7)
    assert owner.steps == ["act", "root", "opens", "user", [7]]
    assert "cannot read /etc/pycast.toml" in caplog.text
