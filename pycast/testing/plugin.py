"""The pytest fixtures: `pycast_server`, a new server for one test; `pycast_shared_server`, one for the whole run;
`pycast_cluster`, a new cluster of three nodes for one test.

pytest loads this file in every run where pycast is installed, so it is light (one millisecond: the standard library,
and no gevent), patches nothing, and adds one marker. The report of a failed test shows the server's log.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from pycast.testing.server import Server
from pycast.testing.server_cluster import Cluster


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker `pycast`."""
    config.addinivalue_line(
        "markers",
        "pycast(**settings): settings of the test's pycast_server or pycast_cluster, as pycast.testing.Server and "
        "pycast.testing.Cluster take them",
    )


@pytest.fixture
def pycast_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Yields a running server for this test alone; `@pytest.mark.pycast(burst_size=0)` sets its settings."""
    with Server(**_settings(request)) as server:
        yield server
        request.node.add_report_section("teardown", "pycast log", server.log())


@pytest.fixture(scope="session")
def pycast_shared_server() -> Iterator[Server]:
    """Yields a running server with default settings for all tests of the run; each should use a mount of its own."""
    with Server() as server:
        yield server


@pytest.fixture
def pycast_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Yields a running cluster for this test alone, of three nodes or of `@pytest.mark.pycast(size=2)`."""
    with Cluster(**_settings(request)) as cluster:
        yield cluster
        request.node.add_report_section("teardown", "pycast log", cluster.log())


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Returns the settings of all markers; those of the nearest one win."""
    settings: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("pycast"))):
        settings |= marker.kwargs
    return settings
