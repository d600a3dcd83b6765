"""What systemd hears from a node: each message on a real datagram socket, and the silence of a loop that is stuck."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import gevent
import pytest

from pycast.app.systemd import SystemdNotifier
from tests.conftest import WaitUntil


class Manager:
    """The service manager's end: a socket that was there before the node, and what came through it."""

    def __init__(self, address: str | bytes, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def received(self) -> list[str]:
        """The messages since the last call."""
        messages = []
        with suppress(BlockingIOError):
            while True:
                messages.append(self._socket.recv(4096).decode())
        return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    path = str(tmp_path / "notify")
    address, name = (path, path) if request.param == "path" else (b"\0" + path.encode(), "@" + path)
    with closing(Manager(address, name)) as one:
        yield one


def test_ready_says_so_with_a_status(manager: Manager) -> None:
    with closing(SystemdNotifier.from_environment({"NOTIFY_SOCKET": manager.name})) as notifier:
        notifier.ready("listening on 8000")
    assert manager.received() == ["READY=1\nSTATUS=listening on 8000"]


def test_a_reload_carries_the_monotonic_time(manager: Manager) -> None:
    with closing(SystemdNotifier(manager_address(manager), 0, lambda: 5_000_001)) as notifier:
        notifier.reloading()
    assert manager.received() == ["RELOADING=1\nMONOTONIC_USEC=5000"]


def test_a_stop_asks_for_the_time_that_a_drain_takes(manager: Manager) -> None:
    with closing(SystemdNotifier.from_environment({"NOTIFY_SOCKET": manager.name})) as notifier:
        notifier.stopping(304.5)
        notifier.status("draining: 12 listeners")
    assert manager.received() == ["STOPPING=1\nEXTEND_TIMEOUT_USEC=304500000", "STATUS=draining: 12 listeners"]


def test_a_status_cannot_be_taken_for_another_message(manager: Manager) -> None:
    with closing(SystemdNotifier.from_environment({"NOTIFY_SOCKET": manager.name})) as notifier:
        notifier.status("one\nREADY=1")
    assert manager.received() == ["STATUS=one READY=1"]


def test_signs_of_life_come_twice_per_timeout_once_the_node_is_ready(manager: Manager, wait_until: WaitUntil) -> None:
    notifier = SystemdNotifier.from_environment({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "200000"})
    signs: list[str] = []
    with closing(notifier):
        before = time.monotonic()
        notifier.ready("up")
        notifier.ready("up, settings read again")

        def received_three() -> bool:
            signs.extend(manager.received())
            return signs.count("WATCHDOG=1") >= 3

        wait_until(received_three, "three signs of life")
        assert time.monotonic() - before >= 0.29


def test_a_stuck_loop_gives_no_sign_of_life(manager: Manager, wait_until: WaitUntil) -> None:
    with closing(
        SystemdNotifier.from_environment({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "40000"})
    ) as notifier:
        notifier.ready("up")
        wait_until(lambda: "WATCHDOG=1" in manager.received(), "a keep-alive")
        time.sleep(0.2)  # the thread sleeps, and the hub in it
        assert manager.received() == []
        wait_until(lambda: "WATCHDOG=1" in manager.received(), "a keep-alive when the loop turns again")


def test_signs_of_life_end_with_the_node(manager: Manager, wait_until: WaitUntil) -> None:
    notifier = SystemdNotifier.from_environment({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000"})
    notifier.ready("up")
    wait_until(lambda: "WATCHDOG=1" in manager.received(), "a keep-alive")
    notifier.close()
    notifier.close()
    manager.received()
    gevent.sleep(0.1)  # the time of ten
    assert manager.received() == []


@pytest.mark.parametrize(
    ("process", "is_for_us"), [("", True), (str(os.getpid()), True), ("1", False)], ids=["no", "our own", "another"]
)
def test_the_watchdog_is_kept_by_the_process_it_is_for(
    process: str, is_for_us: bool, manager: Manager, wait_until: WaitUntil
) -> None:
    environ = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": process}
    with closing(SystemdNotifier.from_environment(environ)) as notifier:
        notifier.ready("up")
        if is_for_us:
            wait_until(lambda: "WATCHDOG=1" in manager.received(), "a keep-alive")
        else:
            gevent.sleep(0.1)  # the time of ten
            assert "WATCHDOG=1" not in manager.received()


def test_programs_that_the_node_starts_do_not_inherit_its_voice(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1", "HOME": "/"}
    SystemdNotifier.from_environment(environ).close()
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize("name", ["", "vsock:2:1234"])
def test_without_a_service_manager_nothing_happens(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with closing(SystemdNotifier.from_environment({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000"})) as notifier:
        notifier.ready("up")
        notifier.reloading()
        notifier.stopping(4)
    assert not caplog.records


def test_a_service_manager_that_is_away_costs_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(SystemdNotifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "none")})) as notifier:
        notifier.ready("up")
    assert "could not send READY=1 to the service manager" in caplog.text


def test_a_service_manager_that_does_not_read_holds_nothing_up(
    manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(SystemdNotifier.from_environment({"NOTIFY_SOCKET": manager.name})) as notifier:
        for _ in range(1000):
            notifier.status("x" * 1000)
    assert "to the service manager" in caplog.text


def manager_address(manager: Manager) -> str | bytes:
    return manager.name if manager.name.startswith("/") else b"\0" + manager.name[1:].encode()
