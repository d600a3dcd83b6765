"""Listeners without room are sent to servers that are there, in turn, and no longer than these say so."""

import pytest

from pycast.balance.slaves import GRACE_S, Slaves
from pycast.config.live import Live
from pycast.config.load import loads


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def slaves(toml: str) -> tuple[Slaves, Clock, Live]:
    clock, settings = Clock(), Live(loads(toml, {}, "x"))
    return Slaves(settings, clock), clock, settings


def test_without_servers_nobody_is_sent_away() -> None:
    made, _, _ = slaves("")
    assert made.next() is None and not made.add("s", 8000, 60) and made.next() is None


def test_listeners_go_to_each_server_in_turn() -> None:
    made, _, _ = slaves('[server]\nmax_redirect_slaves = 2\n[[redirect]]\nhost = "fixed"\nport = 9000\n')
    assert [made.add(name, 8000, 60) for name in ("a", "[2001:db8::1]", "a", "c")] == [True, True, True, False]
    assert sorted(made.next() or () for _ in range(6)) == sorted(
        2 * [("fixed", 9000), ("a", 8000), ("2001:db8::1", 8000)]
    )


def test_slave_is_forgotten_when_it_asks_no_more() -> None:
    made, clock, _ = slaves("[server]\nmax_redirect_slaves = 1\n")
    made.add("a", 8000, 60)
    clock.now += 60
    made.add("a", 8000, 60)
    clock.now += 60 + GRACE_S
    assert made.next() == ("a", 8000)
    clock.now += 1
    assert made.next() is None and made.add("b", 8000, 60)


@pytest.mark.parametrize(
    ("host", "port", "interval"),
    [("", 1, 60), ("a b", 1, 60), ("a/b", 1, 60), ("u@a", 1, 60), ("a\r\nb", 1, 60), ("-", 1, 60), ("a" * 300, 1, 60),
     ("a", 0, 60), ("a", 65536, 60), ("a", 1, 4), ("a", 1, 1 << 30)],
)  # fmt: skip
def test_what_is_no_server_is_not_remembered(host: str, port: int, interval: int) -> None:
    made, _, _ = slaves("[server]\nmax_redirect_slaves = 5\n")
    assert not made.add(host, port, interval) and made.next() is None


def test_reload_takes_slaves_away() -> None:
    made, _, settings = slaves("[server]\nmax_redirect_slaves = 5\n")
    made.add("a", 8000, 60)
    settings.replace(loads("", {}, "x"))
    assert made.next() is None
