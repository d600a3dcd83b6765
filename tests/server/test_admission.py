"""Admission keeps a reserve behind the client limit and behind the limit of open files."""

from pycast.server.admission import OWN_FILES, RESERVE, Admission, Ticket


def test_up_to_the_limit_everybody_gets_full_service() -> None:
    admission = Admission(3, 10_000)
    assert [admission.enter() for _ in range(3)] == [Ticket.FULL_SERVICE] * 3
    assert admission.is_full


def test_behind_the_limit_only_health_is_answered() -> None:
    admission = Admission(1, 10_000)
    admission.enter()
    assert {admission.enter() for _ in range(RESERVE + 1)} == {Ticket.HEALTH_ONLY}


def test_who_leaves_makes_room() -> None:
    admission = Admission(1, 10_000)
    admission.enter()
    admission.leave()
    assert not admission.is_full
    assert admission.enter() is Ticket.FULL_SERVICE


def test_the_limit_of_open_files_lowers_the_limit_of_clients() -> None:
    assert Admission(10_000, 1000).limit == 1000 - OWN_FILES - RESERVE
    assert Admission(10_000, 10).limit == 1
