"""A parent starts all its workers or says that it could not, hands signals down, and ends those that hang.

Its workers are played here. Living ones: tests/e2e/test_workers.py.
"""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gevent.event import AsyncResult, Event

from pycast.app import workers
from pycast.app.worker_spec import WorkerSpec
from pycast.app.workers import STOP_S, Parent
from pycast.config.load import loads
from tests.conftest import WaitUntil

LISTEN = '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\nshoutcast_mount = "/sc"\n'
DRAINS = LISTEN + "[server]\ndrain = true\n[drain]\ndeadline = 60\n"


class PlayedWorker:
    """What a parent sees of a worker; `starts` is whether it gets so far that it accepts."""

    starts = True

    def __init__(self, index: int, orders: Callable[[], bytes]) -> None:
        self.orders = orders
        self.first: AsyncResult[bool] = AsyncResult()
        self.heard: list[str] = []
        self._over = Event()

    def run(self) -> None:
        self.first.set(self.starts)
        self._over.wait()

    def reload(self) -> None:
        self.heard.append("reload")

    def end(self, number: signal.Signals) -> None:
        self.heard.append(number.name)

    def kill(self) -> None:
        self.heard.append("kill")
        self._over.set()


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Parent]]:
    monkeypatch.setattr(workers, "WorkerProcess", PlayedWorker)
    made: list[Parent] = []

    def parent(text: str = LISTEN, path: Path | None = None, port: int | None = None) -> Parent:
        made.append(Parent(loads(text, {}, "test"), 2, text, path, port))
        return made[-1]

    yield parent
    for one in made:
        one.close()


def played(parent: Parent) -> list[PlayedWorker]:
    found: list[PlayedWorker] = parent._workers  # type: ignore[assignment]
    return found


def spec(parent: Parent, index: int = 0) -> WorkerSpec:
    return WorkerSpec.from_json(played(parent)[index].orders())


def test_when_all_workers_accept_it_says_on_which_ports(make: Callable[..., Parent]) -> None:
    ready = make().start()
    assert ready is not None
    (port, tls, shoutcast), (other, _, is_shoutcast) = ready.ports
    assert (ready.port, tls, shoutcast, other, is_shoutcast) == (port, False, False, port + 1, True)


def test_a_worker_that_cannot_start_is_a_start_that_failed(
    make: Callable[..., Parent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PlayedWorker, "starts", False)
    assert make().start() is None


def test_all_workers_share_the_ports_and_a_secret(make: Callable[..., Parent]) -> None:
    parent = make()
    one, other = spec(parent, 0).worker, spec(parent, 1).worker
    assert (one.index, other.index) == (0, 1)
    assert (one.ports, one.links, one.secret) == (other.ports, other.links, other.secret)
    assert len(one.secret) == 64


def test_a_reload_is_told_to_all_and_those_that_start_later_get_the_new_text(
    make: Callable[..., Parent], tmp_path: Path
) -> None:
    path = tmp_path / "pycast.toml"
    path.write_text(LISTEN + "[limits]\nclients = 7\n")
    parent = make(path=path)
    parent.reload()
    assert [worker.heard for worker in played(parent)] == [["reload"]] * 2
    assert parent.config.limits.clients == 7
    assert spec(parent).text == path.read_text()


def test_a_wrong_configuration_is_told_by_the_workers_and_not_kept(make: Callable[..., Parent], tmp_path: Path) -> None:
    path = tmp_path / "pycast.toml"
    path.write_text("[limits]\nclients = 'many'\n")
    parent = make(path=path)
    before = played(parent)[0].orders()
    parent.reload()
    assert played(parent)[0].orders() == before
    assert [worker.heard for worker in played(parent)] == [["reload"]] * 2


def test_the_port_of_the_command_line_holds_after_a_reload(make: Callable[..., Parent], tmp_path: Path) -> None:
    path = tmp_path / "pycast.toml"
    path.write_text(LISTEN.replace("port = 0", "port = 9"))
    parent = make(path=path, port=0)
    parent.reload()
    assert parent.config.listen[0].port == 0


def test_only_the_first_sigterm_may_take_as_long_as_a_drain(make: Callable[..., Parent]) -> None:
    parent = make(DRAINS)
    limits = [parent.end(number) for number in (signal.SIGTERM, signal.SIGTERM)]
    assert limits == [STOP_S + 60, STOP_S]
    assert make(DRAINS).end(signal.SIGINT) == STOP_S
    assert make(LISTEN).end(signal.SIGTERM) == STOP_S
    assert [worker.heard for worker in played(parent)] == [["SIGTERM", "SIGTERM"]] * 2


def test_who_does_not_stop_in_time_is_killed(
    make: Callable[..., Parent], monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr(workers, "STOP_S", 0.01)
    parent = make()
    parent.start()
    parent.end(signal.SIGINT)
    wait_until(lambda: all(worker.heard == ["SIGINT", "kill"] for worker in played(parent)), "the limit")
    parent.wait()
