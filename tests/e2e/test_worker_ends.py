"""However a worker or the whole server ends, no client is reset but those that a killed process had accepted, and a
worker that hangs is noticed and replaced.
"""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pycast.testing import Server
from tests.e2e.connects import Connects
from tests.e2e.deadline import until
from tests.e2e.processes import accepted, children, go_on, suspend
from tests.e2e.wire import Wire, get

LIVEZ = "GET /livez HTTP/1.0\r\n\r\n"
MANY = 40

# What a process imports by itself when it is in PYTHONPATH: a signal puts it into an endless loop, in its hub's thread.
STUCK = """
import signal

def stand_still(number, frame):
    while True:
        pass

signal.signal(signal.SIGUSR2, stand_still)
"""


def one_of(server: Server) -> int:
    return children(server.pid)[0]


def starts(server: Server) -> int:
    return server.log().count(" accepts (pid ")


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Processes that do not run; those that are still stopped at the end go on."""
    for pid in pids:
        suspend(pid)
    try:
        yield
    finally:
        for pid in pids:
            go_on(pid)


def waiting(server: Server, request: str, stack: ExitStack) -> list[Wire]:
    """So many clients that have sent their request and are not accepted yet."""
    wires = [stack.enter_context(Wire(server.port)) for _ in range(MANY)]
    for wire in wires:
        wire.send(request)
    return wires


def told(server: Server, what: str) -> dict[str, float]:
    """Returns how often workers were replaced, by the worker that says so."""
    page = get(server.port, "/metrics").body.decode()
    found = re.findall(rf'^pycast_worker_{what}_total{{worker="(.)"}} (.+)$', page, re.MULTILINE)
    return {worker: float(number) for worker, number in found}


@pytest.mark.parametrize("how", ["stopped", "endless loop"])
def test_a_worker_that_hangs_is_replaced_and_the_log_says_where_it_hung(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(STUCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Server(workers=2, watchdog=1) as server:
        hung, other = children(server.pid)
        os.kill(hung, signal.SIGSTOP if how == "stopped" else signal.SIGUSR2)
        until(lambda: starts(server) == 3, "another start", 20)
        log = server.log()
        (silent_s,) = re.findall(r"has given no sign of life for ([\d.]+) s: it is killed", log)
        assert float(silent_s) >= 1.0
        assert "Fatal Python error: Aborted" in log
        assert ("in stand_still" in log) == (how == "endless loop")
        fresh = children(server.pid)
        assert other in fresh
        assert hung not in fresh
        for _ in range(10):  # whichever of them answers has the figures of both
            until(lambda: told(server, "hangs") == told(server, "restarts") == {"0": 1.0, "1": 1.0}, "the figures", 20)


@pytest.mark.pycast(workers=2, watchdog=1)
def test_a_group_that_was_stopped_as_a_whole_goes_on(pycast_server: Server) -> None:
    everybody = [pycast_server.pid, *children(pycast_server.pid)]
    for pid in everybody:
        suspend(pid)
    with Wire(pycast_server.port) as wire:
        wire.send(LIVEZ)
        with pytest.raises(AssertionError, match="nothing in time"):
            wire.read_some(2.5)
        for pid in everybody:
            go_on(pid)
        assert b" 200 OK" in wire.read_to(b"alive\n")
    assert children(pycast_server.pid) == everybody[1:]
    assert "sign of life" not in pycast_server.log()


@pytest.mark.pycast(workers=2, watchdog=0)
def test_new_clients_are_not_given_to_a_worker_that_hangs(pycast_server: Server) -> None:
    hung = one_of(pycast_server)
    suspend(hung)
    until(lambda: "gives no sign of life" in pycast_server.log(), "the doubt")
    assert {get(pycast_server.port, "/livez").status for _ in range(MANY)} == {200}
    go_on(hung)
    until(lambda: "gives signs of life again" in pycast_server.log(), "its return")


@pytest.mark.pycast(workers=2)
def test_clients_that_wait_for_a_worker_survive_it(pycast_server: Server) -> None:
    for begun, number in ((2, signal.SIGKILL), (4, signal.SIGTERM)):
        until(lambda begun=begun: starts(pycast_server) == begun, "both to accept", 20)  # type: ignore[misc]
        pids = children(pycast_server.pid)
        with stopped(pids), ExitStack() as stack:
            wires = waiting(pycast_server, LIVEZ, stack)
            for pid in pids:
                os.kill(pid, number)
                go_on(pid)
            for wire in wires:  # 503 if the machine is so busy that the next process takes seconds
                assert wire.read_head().status in (200, 503)


@pytest.mark.parametrize("workers", [1, 2])
def test_clients_that_wait_when_the_server_stops_are_answered(workers: int) -> None:
    with Server(workers=workers) as server:
        pids = children(server.pid) if workers > 1 else [server.pid]
        with stopped(pids), ExitStack() as stack:
            wires = waiting(server, "GET /none HTTP/1.0\r\n\r\n", stack)
            os.kill(server.pid, signal.SIGTERM)
            for pid in pids:
                go_on(pid)
            for wire in wires:
                assert wire.read_head().status in (404, 503)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.pycast(workers=2)
def test_workers_that_end_one_after_the_other_refuse_nobody(number: signal.Signals, pycast_server: Server) -> None:
    clients, lost = Connects(pycast_server.port, 200, 2.5), 0
    for count in (3, 4):
        pid = one_of(pycast_server)
        if number == signal.SIGKILL:
            suspend(pid)
            lost += accepted(pid, pycast_server.port)
        os.kill(pid, number)
        until(lambda count=count: starts(pycast_server) == count, "another start", 20)  # type: ignore[misc]
    counts = clients.counts()
    had_accepted = counts.pop("reset", 0) + counts.pop("empty", 0)
    assert had_accepted <= lost
    assert set(counts) <= {"200", "503"}


@pytest.mark.parametrize("settings", [{}, {"workers": 2}, {"server": {"drain": True}, "drain": {"lead": 0}}])
def test_a_stop_under_load_resets_nobody(settings: dict[str, object]) -> None:
    with Server(**settings) as server:
        clients = Connects(server.port, 300, 1.5, "/none")
        server.wait_until(lambda: "/none" in "".join(server.access_log()), 10, "the first of them")
        os.kill(server.pid, signal.SIGTERM)
        counts = clients.counts()
    assert set(counts) <= {"404", "503", "refused"}
