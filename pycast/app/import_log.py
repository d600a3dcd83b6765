"""Logs what of an icecast.xml did not simply come over: once, and after a reload only what is new."""

import logging
from collections.abc import Sequence

from pycast.patterns import pattern

log = logging.getLogger(__name__)

_LINE = pattern(r":\d+: ")


def log_notes(before: Sequence[str], after: Sequence[str]) -> None:
    """Logs the lines of `after` that were not in `before`, wherever in the file they were."""
    known = {_without_number(line) for line in before}
    for line in after:
        if _without_number(line) not in known:
            log.warning("%s", line)


def _without_number(line: str) -> str:
    return _LINE.sub(": ", line, count=1)
