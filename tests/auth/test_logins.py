"""Tests of pycast.auth.logins: guesses become slow and few, and nobody else notices."""

import logging
from collections.abc import Callable

import pytest

from pycast.auth import logins as limits
from pycast.auth.logins import (
    DELAY_S,
    FREE,
    MOST,
    MOST_WAITING,
    MOST_WAITING_FOR_ONE,
    Logins,
    TooManyLogins,
)
from pycast.stats.counters import Counters

WRONG, RIGHT = ("admin", "guess"), ("admin", "right")
HERE, THERE = "203.0.113.7", "198.51.100.1"


class Stage:
    """Logins with a clock that stands still, and delays that a test can look into."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.delays: list[float] = []
        self.during: Callable[[], None] = lambda: None
        self.counters = Counters()
        self.logins = Logins(self.counters, lambda: self.now, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        self.during()

    def guess(self, ip: str = HERE) -> str:
        """Returns what a guess from there is answered with."""
        before = len(self.delays)
        try:
            assert not self.logins.check(ip, WRONG, False)
        except TooManyLogins as refused:
            assert refused.status == 429
            return f"refused for {dict(refused.headers)['Retry-After']} s"
        return "late" if len(self.delays) > before else "at once"


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_failures_are_answered_at_once_then_late_then_not_at_all(stage: Stage) -> None:
    answers = [stage.guess() for _ in range(MOST + 3)]
    assert answers == ["at once"] * FREE + ["late"] * (MOST - FREE) + ["refused for 60 s"] * 3
    assert set(stage.delays) == {DELAY_S}
    assert (stage.counters.failed_logins, stage.counters.refused_logins) == (MOST, 3)


def test_a_guesser_never_has_more_than_ten_tries_in_a_minute(stage: Stage) -> None:
    tries: list[float] = []
    for _ in range(6000):
        stage.now += 0.05
        if not stage.guess().startswith("refused"):
            tries.append(stage.now)
    assert len(tries) == 5 * MOST
    assert all(later - earlier >= 60 for earlier, later in zip(tries, tries[MOST:], strict=False))


def test_many_guesses_at_once_wait_in_a_few_greenlets_only(stage: Stage) -> None:
    answers: list[str] = []
    stage.during = lambda: answers.extend([stage.guess() for _ in range(20)])
    for _ in range(FREE + 1):
        stage.guess()
    assert len(stage.delays) == MOST_WAITING_FOR_ONE
    assert [one for one in answers if not one.startswith("refused")] == ["late"] * (MOST_WAITING_FOR_ONE - 1)
    assert len(answers) == 20 * MOST_WAITING_FOR_ONE


def test_guesses_from_many_addresses_hold_a_bounded_number_of_greenlets(stage: Stage) -> None:
    def guess_from_the_next() -> None:
        number = len(stage.delays)
        for _ in range(FREE + 1):
            stage.guess(f"10.0.{number // 256}.{number % 256}")

    stage.during = guess_from_the_next
    guess_from_the_next()
    assert len(stage.delays) == MOST_WAITING
    stage.delays.clear()
    stage.during = lambda: None
    assert [stage.guess(THERE) for _ in range(FREE + 1)][-1] == "late", "and they come back"


def test_others_are_not_slowed(stage: Stage) -> None:
    for _ in range(20):
        stage.guess(HERE)
    assert stage.logins.check(THERE, RIGHT, True)
    assert stage.guess(THERE) == "at once"


def test_a_right_password_is_refused_too_so_that_a_guess_is_not_known_to_be_right(stage: Stage) -> None:
    for _ in range(MOST):
        stage.guess()
    with pytest.raises(TooManyLogins):
        stage.logins.check(HERE, RIGHT, True)
    stage.now += 61
    assert stage.logins.check(HERE, RIGHT, True)


def test_what_was_right_from_an_address_before_is_right_there_whatever_its_neighbours_do(stage: Stage) -> None:
    assert stage.logins.check(HERE, RIGHT, True)
    for _ in range(20):
        stage.guess()
    assert stage.logins.check(HERE, RIGHT, True)
    assert stage.delays == [DELAY_S] * (MOST - FREE)
    with pytest.raises(TooManyLogins):
        stage.logins.check(HERE, ("source", "right"), True)
    with pytest.raises(TooManyLogins):
        stage.logins.check(HERE, RIGHT, False)  # it has been changed since


def test_a_few_mistakes_do_not_slow_a_right_password(stage: Stage) -> None:
    for _ in range(MOST - 1):
        stage.guess()
    stage.delays.clear()
    assert stage.logins.check(HERE, RIGHT, True)
    assert stage.delays == []


def test_a_login_that_is_right_elsewhere_is_no_guess(stage: Stage) -> None:
    source = ("source", "known")
    stage.logins = Logins(stage.counters, lambda: stage.now, opens_something=lambda given: given == source)
    assert not any(stage.logins.check(HERE, source, False) for _ in range(50))
    assert stage.logins.check(HERE, RIGHT, True)
    assert not any(stage.logins.check(HERE, RIGHT, False) for _ in range(50))  # a listener's, at another mount
    assert (stage.counters.failed_logins, stage.delays) == (0, [])


def test_who_is_refused_is_not_told_that_a_login_is_right_elsewhere(stage: Stage) -> None:
    source = ("source", "known")
    stage.logins = Logins(
        stage.counters, lambda: stage.now, lambda seconds: None, opens_something=lambda given: given == source
    )
    for _ in range(MOST):
        stage.logins.check(HERE, WRONG, False)
    with pytest.raises(TooManyLogins):
        stage.logins.check(HERE, source, False)


def test_a_request_without_credentials_is_no_login(stage: Stage) -> None:
    assert not any(stage.logins.check(HERE, None, False) for _ in range(50))
    assert (stage.counters.failed_logins, stage.delays) == (0, [])


def test_the_log_has_one_line_for_an_address_and_minute(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(200):
        stage.now += 0.5
        stage.guess()
    assert len(caplog.messages) == 2
    assert HERE in caplog.messages[0]
    assert "guess" not in caplog.text


def test_the_tables_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_ADDRESSES", 10)
    for number in range(100):
        stage.guess(f"10.0.0.{number}")
        assert stage.logins.check(f"10.1.0.{number}", RIGHT, True)
        assert stage.logins.check("10.2.0.0", ("source", str(number)), True)
    assert len(stage.logins._failures) == len(stage.logins._right) == 10
    assert len(stage.logins._right["10.2.0.0"]) == limits.MOST_LOGINS


def test_no_password_is_kept(stage: Stage) -> None:
    stage.logins.check(HERE, ("admin", "very secret"), True)
    stage.logins.check(HERE, ("admin", "a guess"), False)
    assert "secret" not in repr(vars(stage.logins)) and "a guess" not in repr(vars(stage.logins))
