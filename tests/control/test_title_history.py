"""The last titles of a mount are kept over its end, and no more of them than it says."""

from itertools import count

import pytest

from pycast.control.title_history import MOST_MOUNTS, TitleHistory
from pycast.stats.merge import HISTORY
from pycast.stream.events import TitleChanged
from pycast.stream.timeline import Title


def play(history: TitleHistory, mount: str, *titles: str) -> None:
    for title in titles:
        history.on_title_changed(TitleChanged(mount, Title("A" if title else "", title, "", b""), 0))


def heard(history: TitleHistory, mount: str) -> list[str]:
    return [one.title for one in history.of(mount)]


def test_the_newest_title_comes_first_with_its_time() -> None:
    times = count(100)
    history = TitleHistory(lambda: next(times))
    play(history, "/a", "one", "two")
    assert [(one.at, one.artist, one.title) for one in history.of("/a")] == [(101, "A", "two"), (100, "A", "one")]
    assert history.of("/b") == ()


def test_a_title_that_comes_back_after_a_gap_is_the_same() -> None:
    history = TitleHistory()
    play(history, "/a", "one", "", "one", "two", "one")
    assert heard(history, "/a") == ["one", "two", "one"]


def test_it_is_bounded_in_titles_and_mounts() -> None:
    history = TitleHistory()
    play(history, "/old", "x")
    for number in range(MOST_MOUNTS):
        play(history, f"/{number}", "x")
    play(history, "/0", *map(str, range(100)))
    assert len(history.mounts()) == MOST_MOUNTS
    assert heard(history, "/old") == []
    assert heard(history, "/0") == [str(number) for number in range(99, 99 - HISTORY, -1)]


def test_long_titles_of_many_mounts_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycast.control.title_history.MOST_TEXT", 1000)
    history = TitleHistory()
    for number in range(10):
        play(history, f"/{number}", *(f"{number}.{song}".ljust(99) for song in range(2 * HISTORY)))
    assert history.mounts() == ["/9"]  # the newest one keeps all that it may
    assert len(history.of("/9")) == HISTORY
    play(history, "/short", *map(str, range(100)))
    assert history.mounts() == ["/short"]
    play(history, "/shorter", "x")
    assert history.mounts() == ["/short", "/shorter"]
