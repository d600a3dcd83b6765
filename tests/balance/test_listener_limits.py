"""Tests of pycast.balance.listener_limits: how many are let in, from where, and for how much."""

import logging
import time
from collections.abc import Iterator

import pytest

from pycast.balance.listener_limits import ListenerLimits
from pycast.config.live import Live
from pycast.config.load import loads
from pycast.net.group import Group
from pycast.stats.counters import Counters
from pycast.stream.events import StreamEvents
from pycast.stream.fanout import Reason
from pycast.stream.mount import Mount
from pycast.stream.mount_limits import NoRoom
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from tests.control.stage import StageSource
from tests.stream.memory import WHO, MemoryTransport


class Hall:
    """Mounts whose listeners go through the limits, as at a node."""

    def __init__(self) -> None:
        self.elsewhere = 0
        self.settings, self.counters, self.group = Live(loads("", {}, "test")), Counters(), Group()
        events = StreamEvents()
        self.mounts = Mounts(self.settings, Pacer(0.5, lambda: 0.0), self.group, events, time.monotonic)
        self.limits = ListenerLimits(self.settings, self.mounts, self.counters, lambda: 0.0, lambda: self.elsewhere)
        events.listener_left.subscribe(self.limits.on_listener_left)
        self.count = 0

    def set(self, limits: str) -> None:
        self.settings.replace(loads(f"[limits]\n{limits}", {}, "test"))

    def mount(self, name: str = "/a") -> Mount:
        return self.mounts.get(name) or self.mounts.attach_source(name, StageSource("text/plain"))

    def listen(self, ip: str = "192.0.2.7", name: str = "/a", *, is_exempt: bool = False) -> int:
        self.limits.admit(ip, self.mount(name), is_exempt=is_exempt)
        self.count += 1
        self.mount(name).join(self.count, MemoryTransport(), WHO._replace(ip=ip), b"", 0, time.monotonic())
        return self.count

    def leave(self, id: int, name: str = "/a") -> None:
        listener = self.mount(name).fanout.get(id)
        assert listener is not None
        self.mount(name).fanout.drop(listener, Reason.CLOSED)


@pytest.fixture
def hall() -> Iterator[Hall]:
    made = Hall()
    yield made
    made.mounts.stop()
    made.group.kill()


def test_without_limits_everybody_gets_in(hall: Hall) -> None:
    for _ in range(50):
        hall.listen()


def test_the_listeners_of_all_mounts_and_nodes_are_counted_together(hall: Hall) -> None:
    hall.set("max_listeners = 4")
    hall.elsewhere = 1
    first = hall.listen()
    hall.listen(name="/b")
    hall.listen(name="/b")
    with pytest.raises(NoRoom, match="the server has its 4 listeners") as caught:
        hall.listen()
    assert (caught.value.status, caught.value.headers) == (503, (("Retry-After", "30"),))
    hall.leave(first)
    hall.listen()
    hall.set("max_listeners = 0")
    with pytest.raises(NoRoom):
        hall.listen()
    hall.set("max_listeners = -1")
    hall.listen()


def test_an_address_has_its_share_and_gets_it_back(hall: Hall) -> None:
    hall.set("listeners_per_ip = 2")
    first = hall.listen()
    hall.listen(name="/b")
    with pytest.raises(NoRoom, match=r"2 listeners from 192\.0\.2\.7"):
        hall.listen()
    hall.listen("192.0.2.8")
    hall.leave(first)
    hall.listen()


def test_a_customer_of_ipv6_is_one_address(hall: Hall) -> None:
    hall.set("listeners_per_ip = 1")
    hall.listen("2001:db8:1:2::1")
    with pytest.raises(NoRoom, match="2001:db8:1:2::/64"):
        hall.listen("2001:db8:1:2:ffff::9")
    hall.listen("2001:db8:1:3::1")


def test_a_limit_that_comes_later_counts_those_who_are_there(hall: Hall) -> None:
    first, second = hall.listen(), hall.listen()
    hall.set("listeners_per_ip = 2")
    with pytest.raises(NoRoom):
        hall.listen()
    hall.leave(first)
    hall.listen()
    hall.set("")
    third = hall.listen()  # not counted
    hall.set("listeners_per_ip = 3")
    with pytest.raises(NoRoom):
        hall.listen()
    for id in (second, third):
        hall.leave(id)
    hall.listen()
    hall.listen()
    with pytest.raises(NoRoom):
        hall.listen()


def test_addresses_of_those_who_have_left_are_forgotten(hall: Hall) -> None:
    hall.set("listeners_per_ip = 5")
    for id in [hall.listen(f"192.0.2.{number}") for number in range(100)]:
        hall.leave(id)
    assert hall.limits._by_address == {}


def test_bandwidth_is_what_the_listeners_need_and_counts_at_once(hall: Hall) -> None:
    hall.set("max_bandwidth = '400k'")  # the streams are of unknown bitrate, which counts as 128 kbit/s
    for name in ("/a", "/b", "/a"):
        hall.listen(name=name)
    with pytest.raises(NoRoom, match="400000 bit/s") as caught:
        hall.listen()
    assert caught.value.status == 503
    hall.leave(1)
    hall.listen()


def test_refusals_are_counted_and_have_one_line_for_many(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(100):
        hall.limits.note("192.0.2.7", NoRoom("max listeners reached", cause="the server has its 4 listeners"))
    assert hall.counters.listeners_over_limit == 100
    assert caplog.messages == [
        "! 192.0.2.7: no room for a listener: the server has its 4 listeners; refused since the last such line: 1"
    ]


def test_another_server_is_not_refused_and_counts_for_its_address(hall: Hall) -> None:
    hall.set("max_listeners = 1\nlisteners_per_ip = 1\nmax_bandwidth = 1")
    first = hall.listen(is_exempt=True)
    second = hall.listen(is_exempt=True)
    hall.set("listeners_per_ip = 2")
    with pytest.raises(NoRoom):
        hall.listen()
    hall.leave(first)
    hall.leave(second)
    hall.listen()
    hall.listen()
