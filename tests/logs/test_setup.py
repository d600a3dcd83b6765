"""The error log: Python's records in Icecast's format."""

import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.config.load import loads
from pycast.config.schema import Config
from pycast.errors import ExternalError
from pycast.logs.files import LogFile
from pycast.logs.setup import IcecastFormatter, LogFileHandler, recent_errors, set_up_again, setup_logging

log = logging.getLogger("pycast.test")


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [handler for handler in root.handlers if isinstance(handler, LogFileHandler)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.getLogger("urllib3").setLevel(logging.NOTSET)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "error.log"


def logged(level: str, file: object, more: str = "") -> Config:
    return loads(f'[logging]\nlog_level = "{level}"\nerror_log = "{file}"\n{more}\n', {}, "test")


def flush() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()


def record(text: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("pycast.stream.mount", level, "pycast/stream/mount.py", 1, text, None, None, "start")


def test_line_is_icecasts() -> None:
    line = IcecastFormatter().format(record("source is live"))
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d  \d\d:\d\d:\d\d\] INFO mount/start source is live", line)


def test_the_tag_stands_before_the_text() -> None:
    line = IcecastFormatter("[3] ").format(record("source is live"))
    assert line.endswith(" INFO mount/start [3] source is live")


@pytest.mark.parametrize(
    ("level", "mark"),
    [
        (logging.DEBUG, "DBUG"),
        (logging.INFO, "INFO"),
        (logging.WARNING, "WARN"),
        (logging.ERROR, "EROR"),
        (logging.CRITICAL, "EROR"),
    ],
)
def test_levels_have_icecasts_names(level: int, mark: str) -> None:
    assert f"] {mark} " in IcecastFormatter().format(record("x", level))


@pytest.mark.parametrize(
    ("level", "texts"),
    [
        ("debug", "dbg inf wrn err"),
        ("INFO", "inf wrn err"),
        ("warn", "wrn err"),
        ("warning", "wrn err"),
        ("error", "err"),
    ],
)
def test_level_decides_what_is_written(path: Path, level: str, texts: str) -> None:
    file = setup_logging(logged(level, path))
    log.debug("dbg")
    log.info("inf")
    log.warning("wrn")
    log.error("err")
    file.close()
    assert [line.split()[-1] for line in path.read_text().splitlines()] == texts.split()


def test_shutdown_of_logging_writes_queued_lines(path: Path) -> None:
    setup_logging(logged("info", path))
    log.info("first")
    log.warning("last")
    flush()
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["first", "last"]


def test_a_traceback_follows_its_line(path: Path) -> None:
    file = setup_logging(logged("info", path))
    try:
        raise ValueError("forged\r\x1b[2J")
    except ValueError:
        log.exception("it broke")
    file.close()
    lines = path.read_text().split("\n")
    assert " EROR test_setup/test_a_traceback_follows_its_line it broke" in lines[0]
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-2] == r"ValueError: forged\r\x1b[2J"


def test_whoever_logs_it_a_password_is_not_written(path: Path) -> None:
    file = setup_logging(logged("info", path))
    log.info("! 10.0.0.1: GET /admin.cgi?mode=updinfo&pass=%s: 401", "s3cr3t-W0rd")
    try:
        raise ValueError("http://user:s3cr3t-W0rd@host/ cannot be opened")
    except ValueError:
        log.exception("it broke")
    file.close()
    assert "s3cr3t-W0rd" not in path.read_text()
    assert path.read_text().count("***") == 3, "the text, the exception, and the line of code that raised it"


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_record_that_cannot_be_formatted_raises_nothing_and_leaves_a_line(path: Path) -> None:
    handler = LogFileHandler(LogFile(str(path)), IcecastFormatter())
    for text, value in (("%s", Broken()), ("%d", "text"), ("%s", "next")):
        # pytest's own handlers would raise, so this does not go through a logger.
        handler.emit(logging.LogRecord("x", logging.INFO, "some/file.py", 7, text, (value,), None))
    handler.close()
    lines = path.read_text().splitlines()
    assert [line.partition(": ")[2] for line in lines[:2]] == [
        "cannot be logged: RuntimeError",
        "cannot be logged: TypeError",
    ]
    assert lines[0].startswith("some/file.py:7: ") and lines[2].endswith("next")


def test_a_second_set_up_replaces_the_first(tmp_path: Path) -> None:
    setup_logging(logged("info", tmp_path / "a"))
    setup_logging(logged("error", tmp_path / "b"))
    log.info("nowhere")
    log.error("in b")
    flush()
    assert (tmp_path / "a").read_text() == ""
    assert (tmp_path / "b").read_text().count("\n") == 1


def test_an_unknown_file_is_refused_and_the_old_log_stays(path: Path) -> None:
    file = setup_logging(logged("info", path))
    with pytest.raises(ExternalError):
        setup_logging(logged("info", path / "below a file"))
    assert set_up_again(file, logged("info", path / "below a file")) is file
    log.info("still here")
    flush()
    lines = path.read_text().splitlines()
    assert "the old error log stays: cannot open log file" in lines[0]
    assert "still here" in lines[1]


def test_lines_of_json_have_the_traceback_in_them(path: Path) -> None:
    file = setup_logging(logged("info", path, 'format = "json"'), "[2] ")
    log.info("listening on %d\n", 8000)
    try:
        raise ValueError("wrong")
    except ValueError:
        log.exception("it broke")
    file.close()
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["level"], first["text"]) == ("INFO", r"[2] listening on 8000\n")
    assert first["where"] == "test_setup/test_lines_of_json_have_the_traceback_in_them"
    assert (second["level"], second["traceback"].splitlines()[-1]) == ("EROR", "ValueError: wrong")
    assert "traceback" not in first


def test_no_address_is_written_whoever_logs_it(path: Path) -> None:
    file = setup_logging(logged("info", path, 'addresses = "truncate"'))
    log.info("! %s: GET /live.mp3: 404", "203.0.113.77")
    try:
        raise ValueError("connection from 203.0.113.78:4711 failed")
    except ValueError:
        log.exception("2001:db8:1:2::7: it broke")
    file.close()
    text = path.read_text()
    assert "! 203.0.113.0: GET /live.mp3: 404" in text and "203.0.113.0:4711 failed" in text
    assert "2001:db8:1::: it broke" in text
    assert "203.0.113.7" not in text


def test_a_log_that_is_off_prints_nothing_anywhere(capfd: pytest.CaptureFixture[str]) -> None:
    setup_logging(logged("info", ""))
    log.error("nobody hears")
    sys.stderr.flush()
    assert capfd.readouterr() == ("", "")


@given(st.text(st.characters(exclude_categories=()), max_size=60))
@settings(deadline=None, max_examples=200)
def test_no_text_makes_a_second_line(text: str) -> None:
    line = IcecastFormatter().format(record(text.replace("%", "%%")))
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", line)
    assert len(line.splitlines()) == 1


def test_last_lines_of_standard_error_are_kept_over_a_reload(path: Path) -> None:
    for _ in range(2):
        setup_logging(logged("info", "-"))
        log.info("a line")
    assert [line.endswith(b" a line\n") for _, line in recent_errors()] == [True, True]
    setup_logging(logged("info", path))
    assert recent_errors() == []


@pytest.mark.parametrize("level", ["debug", "info", "error"])
def test_addresses_of_calls_are_not_written_at_any_level(path: Path, level: str) -> None:
    setup_logging(logged(level, path))
    library = logging.getLogger("urllib3.connectionpool")
    library.debug('http://127.0.0.1:80 "POST /auth?t=%s HTTP/1.1" 200 0', "geheim")
    library.warning("a warning")
    log.error("an error")
    flush()
    text = path.read_text()
    assert "geheim" not in text
    assert "an error" in text
    assert ("a warning" in text) == (level != "error")
