"""The weight: the scarcest resource decides, small changes are not announced, and 0 means full."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.balance.headroom import EGRESS_SPAN_S, HYSTERESIS, WORST_LAG_S, Egress, Load, Weight, headroom

IDLE = Load(clients=0, clients_limit=1000, open_files=0, open_files_limit=2000, egress_limit=10**9)

loads = st.builds(
    Load,
    clients=st.integers(0, 1100),
    clients_limit=st.integers(0, 1000),
    open_files=st.integers(0, 1100),
    open_files_limit=st.integers(0, 1000),
    egress_bps=st.floats(0, 1e10),
    egress_limit=st.integers(0, 10**10),
    loop_lag_s=st.floats(0, 10),
    relay_health=st.floats(0, 1),
)


@pytest.mark.parametrize(
    ("changes", "free"),
    [
        ({}, 1.0),
        ({"clients": 250}, 0.75),
        ({"open_files": 1000}, 0.5),
        ({"egress_bps": 9e8}, 0.1),
        ({"loop_lag_s": WORST_LAG_S / 2}, 0.5),
        ({"loop_lag_s": 3.0}, 0.0),
        ({"relay_health": 0.3}, 0.3),
        ({"clients": 250, "open_files": 1000, "egress_bps": 9e8}, 0.1),
        ({"egress_bps": 9e8, "egress_limit": 0}, 1.0),
    ],
)
def test_lb_15_headroom_is_that_of_the_scarcest_resource(changes: dict[str, float], free: float) -> None:
    assert headroom(IDLE._replace(**changes)) == pytest.approx(free)  # type: ignore[arg-type]


@given(st.lists(loads, min_size=1, max_size=20))
def test_lb_15_weight_is_0_if_and_only_if_the_node_is_full(some: list[Load]) -> None:
    weight = Weight()
    for load in some:
        assert (weight.update(load) == 0) == load.is_full
        assert 0 <= weight.percent <= 100


def test_lb_15_weight_changes_by_five_points_or_not_at_all() -> None:
    rng, weight, heard = random.Random(15), Weight(), [100]
    for clients in range(999):  # it fills up, and every measurement is off by a little
        load = IDLE._replace(clients=clients, loop_lag_s=rng.uniform(0, 0.004))
        if weight.update(load) != heard[-1]:
            heard.append(weight.percent)
        assert abs(weight.percent - 100 * headroom(load)) <= HYSTERESIS + 1
    assert all(before - after >= HYSTERESIS for before, after in pairwise(heard))
    assert len(heard) <= 21


def test_lb_15_full_and_no_longer_full_change_the_weight_at_once() -> None:
    weight = Weight()
    assert [weight.update(IDLE._replace(clients=clients)) for clients in (1000, 999, 1000, 0)] == [0, 1, 0, 100]


def test_egress_is_that_of_the_last_seconds() -> None:
    egress, sent = Egress(), 0
    assert egress.measure(100.0, 10**9) == 0.0
    rates = []
    for second in range(1, 21):
        sent += 1000 if second <= 10 else 3000
        rates.append(egress.measure(100.0 + second, 10**9 + sent))
    assert rates[:10] == [8000.0] * 10
    assert rates[10:15] == sorted(rates[10:15])
    assert rates[9 + int(EGRESS_SPAN_S) :] == [24000.0] * (11 - int(EGRESS_SPAN_S))
