"""The pages of a cluster in a real browser: any node shows all mounts and how the others are."""

from collections.abc import Iterator

import pytest

from pycast.testing import Cluster
from tests.e2e.browser import Browser
from tests.e2e.deadline import until
from tests.e2e.wire import get

MOUNT = "/live.mp3"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(3, zones=["x", "x", "y"]) as cluster:
        cluster.wait_until(lambda: b"3 nodes, all up" in get(cluster["a"].port, "/").body, 10, "nodes to meet")
        yield cluster


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


def test_any_node_shows_the_mounts_of_all_and_how_many_nodes_there_are(browser: Browser, cluster: Cluster) -> None:
    a, b = cluster["a"], cluster["b"]
    with a.stream(MOUNT, headers={"Ice-Name": "ClusterControl FM"}, speed=0) as stream:
        stream.send(100)
        cluster.wait_for_mount(MOUNT)
        browser.open(f"{b.url}/")
        assert "ClusterControl FM" in browser.text(".name")
        assert "3 nodes, all up" in browser.text(".foot")
        assert str(b.port) not in browser.text(".foot")


def test_nodes_page_follows_a_node_that_dies(browser: Browser, cluster: Cluster) -> None:
    server = cluster["a"]
    browser.open(f"http://{server.admin_user}:{server.admin_password}@127.0.0.1:{server.port}/admin/nodes")
    assert [browser.text(f".node:nth-child({row}) .condition") for row in (1, 2, 3)] == ["up"] * 3
    cluster.kill("c")
    # The page loads itself again: for a moment there is none.
    until(lambda: browser.text(".node:nth-child(3) .condition") == "dead", "the page to show it", 25)
    assert "2 of 3 nodes up" in browser.text(".tally")
