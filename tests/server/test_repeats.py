"""Tests of pycast.server.repeats: an answer is given again only while it is exactly what would be made."""

import pytest

from pycast.config.load import loads
from pycast.logs.access import AccessEntry
from pycast.server.connection import EVERYTHING
from pycast.server.repeats import LONGEST, MOST, Repeat, Repeats

HEAD = b"GET / HTTP/1.0\r\n\r\n"
CONFIG = loads("", {}, "test")
ENTRY = AccessEntry("127.0.0.1", "", 0.0, "GET", "/", "HTTP/1.0", 200, 0, "", "", 0.0)


class Page:
    """A page that is current or not."""

    def __init__(self) -> None:
        self.is_current, self.asked = True, 0

    def again(self) -> bool:
        self.asked += 1
        return self.is_current


def known(page: Page) -> tuple[Repeats, Repeat]:
    repeats, answer = Repeats(), Repeat(page.again, CONFIG, EVERYTHING, b"head", b"body", ENTRY, True)
    assert repeats.find(HEAD, CONFIG, EVERYTHING, 1) is None
    repeats.keep(HEAD, answer, 1)
    return repeats, answer


def test_the_same_bytes_get_the_same_answer_and_each_is_counted() -> None:
    page = Page()
    repeats, answer = known(page)
    assert [repeats.find(HEAD, CONFIG, EVERYTHING, 1) for _ in range(3)] == [answer] * 3
    assert page.asked == 3


@pytest.mark.parametrize("what", ["another request", "a new page", "a reload", "another port", "a second later"])
def test_an_answer_that_may_be_another_one_is_made_anew(what: str) -> None:
    page = Page()
    repeats, _ = known(page)
    page.is_current = what != "a new page"
    head = HEAD.replace(b"1.0", b"1.1") if what == "another request" else HEAD
    config = loads("", {}, "test") if what == "a reload" else CONFIG
    serves = frozenset({"health"}) if what == "another port" else EVERYTHING
    assert repeats.find(head, config, serves, 2 if what == "a second later" else 1) is None


def test_no_answer_is_held_longer_than_its_second() -> None:
    repeats, answer = known(Page())
    assert repeats.find(b"", CONFIG, EVERYTHING, 2) is None
    assert len(repeats) == 0
    repeats.keep(HEAD, answer, 1)  # it was made when the second ended
    assert len(repeats) == 0


def test_what_is_held_is_bounded() -> None:
    repeats, answer = known(Page())
    for number in range(2 * MOST):
        repeats.keep(b"%d" % number, answer, 1)
    assert len(repeats) == MOST
    repeats = Repeats()
    repeats.keep(bytes(LONGEST + 1), answer, 0)
    repeats.keep(HEAD, answer._replace(again=None), 0)
    assert len(repeats) == 0
