"""Marks part a log, are never shown, and a server without them costs no test."""

import pytest

from pycast.testing import log_marks
from pycast.testing.log_marks import leave_mark, since, without_marks


def test_lines_between_two_marks_are_there_once_the_later_one_is() -> None:
    log = "before\n"

    def ask(path: str, timeout: float) -> None:
        nonlocal log
        log += f"INFO ! 127.0.0.1: GET {path}: 404\n"

    first = leave_mark(ask)
    log += "one\ntwo\n"
    second = leave_mark(ask)
    late = iter([log[: log.index("two")]] * 3)
    assert since(first, second, lambda: next(late, log)) == "one\ntwo\n"
    assert since("", second, lambda: log) == "before\none\ntwo\n" == without_marks(log)
    assert since(second, "", lambda: log) == ""


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionRefusedError(), RuntimeError()])
def test_a_server_that_does_not_answer_has_no_mark(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str, timeout: float) -> None:
        raise error

    assert leave_mark(fail) == ""
    monkeypatch.setattr(log_marks, "WRITTEN_S", 0.0)
    assert since("", "a mark that is not logged", lambda: "one\n") == "one\n"
