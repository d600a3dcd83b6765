"""A parent starts all its workers or says that it could not, hands signals down, and ends those that hang.

Its workers are played here. Living ones: tests/e2e/test_workers.py.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from gevent import socket
from gevent.event import AsyncResult, Event

from pycast.app import workers
from pycast.app.shared_notes import lines_of_note
from pycast.app.worker_process import News, Past
from pycast.app.worker_spec import WorkerSpec
from pycast.app.workers import STOP_S, Parent
from pycast.config.load import loads
from pycast.control.relay_desk import RelayOrders
from tests.conftest import WaitUntil

LISTEN = '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\nshoutcast_mount = "/sc"\n'
DRAINS = LISTEN + "[server]\ndrain = true\n[drain]\ndeadline = 60\n"


class PlayedWorker:
    """What a parent sees of a worker; `starts` is whether it gets so far that it accepts."""

    starts = True

    def __init__(
        self, index: int, orders: Callable[[int], bytes], sockets: tuple[int, ...], on_change: Callable[[], None]
    ) -> None:
        self.orders = orders
        self.sockets = sockets
        self.on_change = on_change
        self.first: AsyncResult[bool] = AsyncResult()
        self.heard: list[str] = []
        self.limits: list[float] = []
        self.told = News()
        self.relay_orders = RelayOrders()
        self.past = Past()
        self.serves = True
        self.stays = 0
        self._over = Event()

    def run(self) -> None:
        self.first.set(self.starts)
        self._over.wait()

    def look(self, passed_s: float, limit_s: float) -> None:
        self.limits.append(limit_s)

    def tell(self, news: News) -> None:
        self.told = news

    def reload(self) -> None:
        self.heard.append("reload")

    def end(self, number: signal.Signals) -> None:
        self.heard.append(number.name)

    def go_on(self) -> None:
        self.heard.append("go on")

    def kill(self) -> None:
        self.heard.append("kill")
        self._over.set()


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Parent]]:
    monkeypatch.setattr(workers, "WorkerProcess", PlayedWorker)
    made: list[Parent] = []

    def parent(text: str = LISTEN, path: Path | None = None, port: int | None = None, **more: Any) -> Parent:
        made.append(Parent(loads(text, {}, "test"), 2, text, path, port, **more))
        return made[-1]

    yield parent
    for one in made:
        one.close()


def played(parent: Parent) -> list[PlayedWorker]:
    found: list[PlayedWorker] = parent._workers  # type: ignore[assignment]
    return found


def spec(parent: Parent, index: int = 0) -> WorkerSpec:
    return WorkerSpec.from_json(played(parent)[index].orders(7))


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


def test_each_worker_inherits_sockets_of_its_own_and_its_sign_of_life(make: Callable[..., Parent]) -> None:
    parent = make()
    one, other = spec(parent, 0).worker, spec(parent, 1).worker
    assert (one.life, len(one.sockets), len({*one.sockets, *other.sockets})) == (7, 2, 4)
    assert played(parent)[0].sockets == one.sockets


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
    before = played(parent)[0].orders(7)
    parent.reload()
    assert played(parent)[0].orders(7) == before
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


def test_when_the_drain_of_a_sigterm_is_cancelled_all_goes_on(
    make: Callable[..., Parent], monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr(workers, "STOP_S", 0.3)
    told: list[str] = []
    parent = make(DRAINS, went_on=lambda: told.append("on"))
    parent.start()
    parent.end(signal.SIGTERM)
    limit = parent._limit
    played(parent)[1].stays += 1
    wait_until(lambda: told == ["on"], "the parent to notice it")
    assert limit is not None and not parent.is_ending
    wait_until(limit.ready, "the end of the limit")
    assert [worker.heard for worker in played(parent)] == [["SIGTERM", "go on"]] * 2
    assert parent.end(signal.SIGTERM) == 60.3
    parent.end(signal.SIGTERM)
    played(parent)[1].stays += 1
    wait_until(lambda: all(worker.heard[-1] == "kill" for worker in played(parent)), "the limit")
    assert told == ["on"], "a second signal is final"
    parent.wait()


def accepted(parent: Parent, index: int) -> int:
    """How many clients wait for a worker; they are taken out of its queue."""
    sock, count = parent._ports._ports[0].sockets[index][0], 0
    with suppress(BlockingIOError):
        while True:
            sock.accept()[0].close()
            count += 1
    return count


def connect(parent: Parent) -> socket.socket:
    return socket.create_connection(("127.0.0.1", parent._ports.public[0]), 5)


def test_it_looks_after_its_workers_with_the_limit_that_is_in_force(
    make: Callable[..., Parent], tmp_path: Path, wait_until: WaitUntil
) -> None:
    path = tmp_path / "pycast.toml"
    path.write_text(LISTEN + "[server]\nwatchdog = 3\n")
    parent = make(path=path)
    parent.start()
    wait_until(lambda: all(worker.limits == [10.0] for worker in played(parent)), "a first look")
    parent.reload()
    wait_until(lambda: all(worker.limits[-1] == 3.0 for worker in played(parent)), "the new limit")


def test_every_worker_is_told_what_became_of_all_of_them(make: Callable[..., Parent], wait_until: WaitUntil) -> None:
    parent = make()
    parent.start()
    first, second = played(parent)
    first.past, second.past = Past(2, 1), Past(1, 0)
    wait_until(lambda: first.told.past == second.told.past == Past(3, 1), "the sums")


def test_every_worker_is_told_the_last_orders_to_relays_and_the_parents_log(
    make: Callable[..., Parent], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = make()
    monkeypatch.setattr(workers, "recent_errors", lambda: [(1.0, b"a line\n")])
    parent.start()
    first, second = played(parent)
    first.relay_orders, second.relay_orders = RelayOrders(2.0, ("/a",)), RelayOrders(1.0, ("/b",))
    wait_until(lambda: first.told == second.told and "/a" in first.told.orders.decode(), "the later orders")
    assert RelayOrders.from_note(second.told.orders) == first.relay_orders
    assert lines_of_note(second.told.log) == [(1.0, b"a line\n")]


def test_new_clients_go_to_the_workers_that_serve(make: Callable[..., Parent]) -> None:
    parent = make()
    parent.start()
    played(parent)[0].serves = False
    played(parent)[0].on_change()
    for _ in range(20):
        connect(parent).close()
    assert (accepted(parent, 0), accepted(parent, 1)) == (0, 20)


def test_who_waits_too_long_for_a_worker_is_answered(
    make: Callable[..., Parent],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wait_until: WaitUntil,
) -> None:
    monkeypatch.setattr(workers, "REFUSE_S", 0.5)
    parent = make()
    parent.start()
    for worker in played(parent):
        worker.serves = False
    with connect(parent) as client:
        assert client.recv(1000).startswith(b"HTTP/1.0 503 ")
    wait_until(lambda: "1 clients that waited for worker" in caplog.text, "a line in the log")


def test_who_waits_when_the_server_has_stopped_is_answered(make: Callable[..., Parent], wait_until: WaitUntil) -> None:
    parent = make()
    parent.start()
    with connect(parent) as client:
        for worker in played(parent):
            worker.kill()
        assert client.recv(1000).startswith(b"HTTP/1.0 503 ")
    parent.wait()
    with pytest.raises(ConnectionRefusedError):
        connect(parent)
