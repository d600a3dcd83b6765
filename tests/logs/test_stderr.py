"""What is printed to standard error while the server runs is queued, and nothing of it is lost at the end."""

import io
import sys
import time

import click
import gevent
import pytest

from pycast.logs.files import LOG_WRITERS
from pycast.logs.stderr import QueuedStderr, queued_stderr


def test_what_is_printed_comes_in_order_and_the_old_one_is_back_after_it(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stderr
    with queued_stderr():
        for number in range(100):
            print(number, file=sys.stderr)
        click.echo(click.style("styled", bold=True), err=True)
        print("careful \ud800", file=sys.stderr)
    assert sys.stderr is before
    err = capfd.readouterr().err
    assert err.split()[:100] == [str(number) for number in range(100)]
    assert "\nstyled\n" in err and "careful \\ud800" in err


def test_what_is_flushed_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    with queued_stderr():
        click.echo("is ready", err=True)  # click flushes
        assert capfd.readouterr().err == "is ready\n"


def test_an_error_that_gevent_reports_goes_there(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError("a bug in a timer")

    with queued_stderr():
        gevent.get_hub().loop.run_callback(lambda: sys.stderr.flush())
        gevent.get_hub().loop.run_callback(fail)
        gevent.sleep(0.01)
    assert "a bug in a timer" in capfd.readouterr().err


def test_writing_never_waits(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    stalls = QueuedStderr()
    began = time.monotonic()
    for _ in range(1000):
        stalls.write("x" * 1000)
    assert time.monotonic() - began < 1
    assert LOG_WRITERS.settle(10)
    assert len(capfd.readouterr().err) == 1_000_000
    assert stalls.writable() and stalls.fileno() == 2 and stalls.encoding == "utf-8"


def test_one_that_is_no_file_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    collected = io.StringIO()
    monkeypatch.setattr(sys, "stderr", collected)
    with queued_stderr():
        print("said", file=sys.stderr)
    assert collected.getvalue() == "said\n"
