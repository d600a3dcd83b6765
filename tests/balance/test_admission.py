"""Admission keeps a reserve beyond the client limit and within the limit of open files."""

import pytest

from pycast.balance.admission import MOST_RESERVED, OWN_FILES, RESERVE, SLACK, Admission, Slot


def test_up_to_the_limit_all_connections_are_clients() -> None:
    admission = Admission(3, 10_000)
    assert [admission.enter() for _ in range(3)] == [Slot.CLIENT] * 3
    assert admission.open == admission.limit


def test_beyond_the_limit_connections_are_on_the_reserve() -> None:
    admission = Admission(1, 10_000)
    admission.enter()
    assert {admission.enter() for _ in range(RESERVE + 1)} == {Slot.RESERVED}


def test_a_connection_that_ends_makes_room() -> None:
    admission = Admission(1, 10_000)
    admission.enter()
    admission.leave()
    assert admission.enter() is Slot.CLIENT


@pytest.mark.parametrize(
    ("open_files", "mirrors", "limit"),
    [(1000, 0, 1000 - 200 - 50), (1000, 10, 1000 - 200 - 20 - 50), (10, 0, 1), (100_000, 10, 10_000)],
)
def test_lb_18_descriptors_are_reserved_for_the_node_its_mirrors_and_slack(
    open_files: int, mirrors: int, limit: int
) -> None:
    admission = Admission(10_000, open_files)
    admission.set_mirrors(mirrors)
    assert admission.limit == limit


def test_the_limit_of_a_reload_holds_beside_that_of_open_files() -> None:
    admission = Admission(10_000, 1000)
    admission.set_clients(7)
    assert admission.limit == 7


def test_the_reserve_is_larger_only_with_descriptors_that_clients_cannot_have() -> None:
    assert Admission(1_000, 200_000).reserve == MOST_RESERVED
    assert Admission(1_000, 1_000).reserve == RESERVE
    some = Admission(1_000, 1_500)
    kept = OWN_FILES + int(SLACK * 1_500)
    assert some.reserve == RESERVE + 1_500 - kept - 1_000
    some.set_mirrors(100)
    assert some.reserve == RESERVE + 1_500 - kept - 1_000 - 200
