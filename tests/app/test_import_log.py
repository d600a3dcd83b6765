"""Tests of pycast.app.import_log: each line is told once."""

import pytest

from pycast.app.import_log import log_notes


def test_lines_that_were_told_are_not_told_again_wherever_they_are_now(caplog: pytest.LogCaptureFixture) -> None:
    first = ("/x.xml:3: left out: a = 1: why", "/x.xml:9: left out: b = 2: why")
    log_notes((), first)
    assert caplog.messages == list(first)
    caplog.clear()
    log_notes(first, ("/x.xml:4: left out: a = 1: why", "/x.xml:9: left out: b = 3: why"))
    assert caplog.messages == ["/x.xml:9: left out: b = 3: why"]
