"""The error log's lines become refusals, each once, and half a line none."""

from pathlib import Path

import pytest

from pycast.testing.refusals import LISTENER, SOURCE, TITLE, Refusal, RefusalLog, refusals

AT = "[2026-01-02  03:04:05] INFO handler/_refusal"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "! 127.0.0.1: PUT /live.mp3: 401 wrong source credentials for /live.mp3",
            Refusal(SOURCE, "/live.mp3", "401 wrong source credentials for /live.mp3", "PUT /live.mp3"),
        ),
        ("! ::1: SOURCE /a%20b?x=1: 403 no", Refusal(SOURCE, "/a b", "403 no", "SOURCE /a%20b?x=1")),
        ("! 127.0.0.1: GET /live.mp3: 404 none", Refusal(LISTENER, "/live.mp3", "404 none", "GET /live.mp3")),
        (
            "! 127.0.0.1: GET /admin/metadata?mode=updinfo&mount=/a.mp3&song=x: 400 why",
            Refusal(TITLE, "/a.mp3", "400 why", "GET /admin/metadata?mode=updinfo&mount=/a.mp3&song=x"),
        ),
        (
            "! 127.0.0.1: SHOUTcast source: wrong password for /sc.mp3",
            Refusal(SOURCE, "/sc.mp3", "wrong password for /sc.mp3", "a SHOUTcast source"),
        ),
        ("! 127.0.0.1: PUT /live.mp3: 401 no credentials were sent for /live.mp3", None),
        ("= /live.mp3: a source", None),
        ("! 127.0.0.1: no complete request head within 15 s", None),
    ],
)  # fmt: skip
def test_a_line_is_what_it_says(line: str, expected: Refusal | None) -> None:
    assert list(refusals(f"{AT} {line}\n")) == ([expected] if expected else [])


def test_a_log_that_grows_is_read_once_and_what_is_forgotten_does_not_come_again(tmp_path: Path) -> None:
    path, log = tmp_path / "error.log", RefusalLog()
    assert log.read(path) == []
    first, second = f"{AT} ! é: PUT /a: 401 wrong\n", f"{AT} ! ::1: PUT /b: 403 in use\n"
    path.write_text(first + second[:-20])
    assert [one.mount for one in log.read(path)] == ["/a"] == [one.mount for one in log.read(path)]
    path.write_text(first + second)
    assert [one.mount for one in log.read(path)] == ["/a", "/b"]
    log.forget(path)
    assert log.read(path) == []
