"""What makes pytest fixtures of servers, and adds to the report of a failed test what its servers logged meanwhile.

`server_fixture(scope="module", burst_size=0)` is a fixture for a conftest.py; the plugin's own are made here as well.
The one invariant: a report has the lines of that test only, also those of a server that many tests share.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from pycast.testing.server import Server

if TYPE_CHECKING:
    import pytest

__tracebackhide__ = True

Scope = Literal["function", "class", "module", "package", "session"]


class Logged(Protocol):
    """A server or a cluster."""

    def mark_log(self) -> str: ...
    def log_since(self, mark: str) -> str: ...


OneLogged = TypeVar("OneLogged", bound=Logged)


class LogWatch:
    """The running servers of fixtures, each with a mark in its log where the present test began."""

    def __init__(self) -> None:
        self._servers: dict[str, Logged] = {}
        self._marks: dict[str, str] = {}

    @contextmanager
    def watching(self, name: str, server: OneLogged) -> Iterator[OneLogged]:
        """Watches a server as long as the block runs, under the name of its fixture."""
        number = 1
        while (unique := name if number == 1 else f"{name} {number}") in self._servers:
            number += 1
        self._servers[unique] = server
        try:
            yield server
        finally:
            del self._servers[unique]
            self._marks.pop(unique, None)

    def begin_test(self) -> None:
        """Marks the logs of servers that many tests share."""
        self._marks = {name: server.mark_log() for name, server in self._servers.items()}

    def sections(self) -> list[tuple[str, str]]:
        """Returns the title and the text of the part of each log that the present test has caused, if there is any."""
        parts = {name: server.log_since(self._marks.get(name, "")) for name, server in self._servers.items()}
        return [(f"pycast log ({name})", text) for name, text in parts.items() if text.strip()]


LOGS = LogWatch()


class MakeServer:
    """The value of `make_pycast_server`: call it with settings, as often as you like, to get a running server."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self._name = name
        self._settings = settings
        self._servers = ExitStack()

    def __call__(self, **settings: Any) -> Server:
        """Starts a server with the settings of the test's markers and these. It is stopped after the test."""
        server = self._servers.enter_context(Server(**self._settings | settings))
        return self._servers.enter_context(LOGS.watching(self._name, server))

    def close(self) -> None:
        """Stops all servers."""
        self._servers.close()


def server_fixture(*, scope: Scope = "function", **settings: Any) -> Any:
    """Returns a fixture that is a running server: `radio = server_fixture(scope="module", burst_size=0)`.

    Markers of the test, or of its class or module if the scope is as wide, override the settings.
    """
    import pytest

    @pytest.fixture(scope=scope)
    def running(request: "pytest.FixtureRequest") -> Iterator[Server]:
        """A running server, a `pycast.testing.Server`."""
        with Server(**settings | marked(request)) as server, LOGS.watching(request.fixturename or "", server):
            yield server

    return running


def marked(request: "pytest.FixtureRequest") -> dict[str, Any]:
    """Returns the settings of all markers `pycast`; those of the nearest one win."""
    settings: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("pycast"))):
        settings |= marker.kwargs
    return settings
