"""The pytest fixtures: `pycast_server`, a new server for one test; `make_pycast_server`, as many as a test asks for;
`pycast_shared_server`, one for the whole run; `pycast_cluster`, a new cluster of three nodes for one test.

pytest loads this file in every run where pycast is installed, so it is light (one millisecond: the standard library,
and no gevent), patches nothing, and adds one marker. The report of a failed test shows what its servers logged.
"""

from collections.abc import Iterator

import pytest

from pycast.testing import forked
from pycast.testing.fixtures import LOGS, MakeServer, marked, server_fixture
from pycast.testing.server_cluster import Cluster

__tracebackhide__ = True

_FIXTURES = frozenset({"pycast_server", "make_pycast_server", "pycast_shared_server", "pycast_cluster"})


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker `pycast`."""
    config.addinivalue_line(
        "markers",
        "pycast(**settings): settings of the test's pycast_server, make_pycast_server or pycast_cluster, as "
        "pycast.testing.Server and pycast.testing.Cluster take them",
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Has the server loaded while pytest looks for more tests."""
    if _FIXTURES.intersection(getattr(item, "fixturenames", ())) and not item.config.option.collectonly:
        forked.prepare()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Notes where the logs of shared servers are, before the test's fixtures are made."""
    LOGS.begin_test()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Adds to the report of a failure what the servers of fixtures have logged in this test."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy sends its result into the generator
    if report.failed:
        report.sections += LOGS.sections()


pycast_server = server_fixture()
"""A running server for this test alone; `@pytest.mark.pycast(burst_size=0)` sets its settings."""

pycast_shared_server = server_fixture(scope="session")
"""A running server with default settings for all tests of the run; each should use a mount of its own."""


@pytest.fixture
def make_pycast_server(request: pytest.FixtureRequest) -> Iterator[MakeServer]:
    """A function that starts a server: `make_pycast_server(burst_size=0)`. All are stopped after the test."""
    make = MakeServer("make_pycast_server", marked(request))
    yield make
    make.close()


@pytest.fixture
def pycast_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A running cluster for this test alone, of three nodes or of `@pytest.mark.pycast(size=2)`."""
    with Cluster(**marked(request)) as cluster, LOGS.watching("pycast_cluster", cluster):
        yield cluster
