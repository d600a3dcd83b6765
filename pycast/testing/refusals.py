"""What the server has refused, as its error log says: a wait for what was refused need not go on.

Each refusal is one line (`server/handler.py`), at the level "info", which is the default. A request that sent no
password at all is none here: some clients ask like that first, and come again with it. The one invariant: a line is
used once all of it is there.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

# `! 127.0.0.1: PUT /live.mp3: 401 wrong source credentials for /live.mp3`
_REQUEST = re.compile(r" ! \S+: ([A-Z]+) (\S+): (\d{3} .+)\n")
# `! 127.0.0.1: SHOUTcast source: wrong password for /live.mp3`
_SHOUTCAST = re.compile(r" ! \S+: SHOUTcast source: (.+)\n")

_NOTHING_SENT = "no credentials were sent"

SOURCE, LISTENER, TITLE = "source", "listener", "title"


class Refusal(NamedTuple):
    """One refused client."""

    kind: str
    """SOURCE, LISTENER, TITLE."""
    mount: str
    reason: str
    """The status, if it was told one, and why."""
    request: str


def refusals(log: str) -> Iterator[Refusal]:
    """Yields what the lines of an error log say was refused, oldest first."""
    for line in log.splitlines(keepends=True):
        if found := _REQUEST.search(line):
            method, target, reason = found.groups()
            if _NOTHING_SENT not in reason:
                yield Refusal(*_aim(method, target), reason, f"{method} {target}")
        elif found := _SHOUTCAST.search(line):
            yield Refusal(SOURCE, _mount_in(found[1]), found[1], "a SHOUTcast source")


def _aim(method: str, target: str) -> tuple[str, str]:
    """Returns what a request was for, and on which mount."""
    url = urlsplit(target)
    path = unquote(url.path)
    if path == "/admin/metadata":
        return TITLE, parse_qs(url.query).get("mount", [""])[0]
    return (SOURCE if method in ("SOURCE", "PUT", "POST") else LISTENER), path


def _mount_in(reason: str) -> str:
    found = re.search(r"/[^\s:]+", reason)
    return found[0] if found else ""


class RefusalLog:
    """The refusals in a log file that grows."""

    def __init__(self) -> None:
        self._read_to = 0
        self._found: list[Refusal] = []

    def read(self, path: Path) -> list[Refusal]:
        """Returns the refusals since `forget`, oldest first."""
        with suppress(FileNotFoundError), path.open("rb") as file:
            file.seek(self._read_to)
            lines, newline, _ = file.read().rpartition(b"\n")
            self._read_to += len(lines + newline)
            self._found += refusals((lines + newline).decode("utf-8", "replace"))
        return self._found

    def forget(self, path: Path) -> None:
        """Forgets all that are in the file now."""
        self.read(path)
        self._found = []
