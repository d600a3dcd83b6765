"""pytest's fixtures: `pycast_server`, a fresh server for one test, and `pycast_shared_server`, one for the whole run.

Loaded into every pytest run of whoever has pycast installed, so it is light (one millisecond: the standard library, and
no gevent), patches nothing, and adds one marker. A failed test's report shows the server's log.
"""

from collections.abc import Iterator

import pytest

from pycast.testing.server import Server


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line(
        "markers", "pycast(**settings): settings of the test's pycast_server, as pycast.testing.Server takes them"
    )


@pytest.fixture
def pycast_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server for this test alone; `@pytest.mark.pycast(burst_size=0)` gives it settings."""
    settings: dict[str, object] = {}
    for marker in reversed(list(request.node.iter_markers("pycast"))):  # the nearest has the last word
        settings |= marker.kwargs
    with Server(**settings) as server:
        yield server
        request.node.add_report_section("teardown", "pycast log", server.log())


@pytest.fixture(scope="session")
def pycast_shared_server() -> Iterator[Server]:
    """A running server with default settings for all tests of the run: each should use a mount of its own."""
    with Server() as server:
        yield server
