"""The node's weight follows from what is measured: connections at once, everything else once a second."""

import os

from pycast.balance.admission import Admission
from pycast.balance.load_monitor import LoadMonitor, count_open_files
from pycast.config.live import Live
from pycast.config.load import loads

PLENTY = 100_000


class Totals:
    """The bytes sent so far."""

    sent = 0


def monitor(toml: str = "", *, clients: int = 100, relay_health: float = 1.0) -> tuple[LoadMonitor, Admission, Totals]:
    settings, admission, totals = Live(loads(toml, {}, "test")), Admission(clients, PLENTY), Totals()
    return LoadMonitor(settings, admission, lambda: totals.sent, lambda: relay_health), admission, totals


def test_an_idle_node_has_all_its_weight() -> None:
    assert monitor()[0].percent == 100


def test_the_weight_shows_at_once_that_the_node_is_full_and_that_it_is_not() -> None:
    watched, admission, _ = monitor(clients=2)
    admission.enter()
    admission.enter()
    assert watched.percent == 0
    admission.leave()
    assert watched.percent == 50


def test_egress_is_what_was_sent_between_two_measurements() -> None:
    watched, _, totals = monitor('[balancer]\negress = "1M"\n')
    watched.measure(10.0)
    totals.sent = 100_000
    watched.measure(11.0)
    assert watched.egress_bps == 800_000
    assert watched.load().egress_bps == 800_000


def test_egress_near_its_limit_lowers_the_weight() -> None:
    watched, _, totals = monitor("[balancer]\negress = 1000000\n")
    limit = watched.load().egress_limit
    watched.measure(10.0)
    totals.sent = limit * 9 // 80
    watched.measure(11.0)
    assert watched.percent == 10


def test_a_node_that_starts_has_sent_nothing_in_no_time() -> None:
    watched, _, totals = monitor()
    totals.sent = 5_000_000
    watched.measure(10.0)
    assert watched.egress_bps == 0.0


def test_mirrors_that_do_not_work_lower_the_weight() -> None:
    assert monitor(relay_health=0.25)[0].percent == 25


def test_a_reload_of_the_egress_limit_holds_from_the_next_measurement() -> None:
    settings = Live(loads("", {}, "test"))
    watched = LoadMonitor(settings, Admission(100, PLENTY), lambda: 0)
    assert watched.load().egress_limit == 0
    settings.replace(loads("[balancer]\negress = 5000\n", {}, "test"))
    assert watched.load().egress_limit == settings.now.balancer.egress > 0


def test_open_files_are_those_of_this_process() -> None:
    before = count_open_files()
    fd = os.open("/dev/null", os.O_RDONLY)
    try:
        assert count_open_files() == before + 1
        watched = monitor()[0]
        watched.measure(0.0)
        assert watched.load().open_files == before + 1
    finally:
        os.close(fd)
