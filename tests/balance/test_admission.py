"""Admission keeps a reserve behind the client limit and behind the limit of open files."""

import pytest

from pycast.balance.admission import RESERVE, Admission, Slot


def test_up_to_the_limit_everybody_gets_full_service() -> None:
    admission = Admission(3, 10_000)
    assert [admission.enter() for _ in range(3)] == [Slot.CLIENT] * 3
    assert admission.open == admission.limit


def test_behind_the_limit_only_health_is_answered() -> None:
    admission = Admission(1, 10_000)
    admission.enter()
    assert {admission.enter() for _ in range(RESERVE + 1)} == {Slot.RESERVED}


def test_who_leaves_makes_room() -> None:
    admission = Admission(1, 10_000)
    admission.enter()
    admission.leave()
    assert admission.enter() is Slot.CLIENT


@pytest.mark.parametrize(
    ("open_files", "mirrors", "limit"),
    [(1000, 0, 1000 - 200 - 50), (1000, 10, 1000 - 200 - 20 - 50), (10, 0, 1), (100_000, 10, 10_000)],
)
def test_lb_18_descriptors_are_kept_back_for_the_node_its_mirrors_and_surprises(
    open_files: int, mirrors: int, limit: int
) -> None:
    admission = Admission(10_000, open_files)
    admission.set_mirrors(mirrors)
    assert admission.limit == limit


def test_the_limit_of_a_reload_holds_beside_that_of_open_files() -> None:
    admission = Admission(10_000, 1000)
    admission.set_clients(7)
    assert admission.limit == 7
