"""Tests of pycast.web.operations: health, metrics, the drain, and what is shown of a cluster's nodes."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pycast.stats.snapshot import ClusterSnapshot, NodeSnapshot
from pycast.web.site import Site
from tests.stats.snapshots import mount, node
from tests.web.sites import ADMIN, SOURCE, FakeControl, FakeDrain, ask, make_site, refusal, text_of
from tests.web.test_nodes_page import CLUSTER


def cluster_site(cluster: ClusterSnapshot | None = CLUSTER) -> Site:
    local = node(mount(is_mirror=True), mount(name="/own"))
    return make_site(FakeControl(local), FakeControl(replace(local, cluster=cluster)))


def drain_of(site: Site) -> FakeDrain:
    drain: Any = site.drain
    assert isinstance(drain, FakeDrain)
    return drain


def test_livez_is_alive_also_while_the_server_stops() -> None:
    site = make_site()
    site.readiness.is_stopping = True
    assert (ask(site, "/livez").status, text_of(ask(site, "/livez"))) == (200, "alive\n")


def test_readyz_follows_the_readiness() -> None:
    site = make_site()
    assert ask(site, "/readyz").status == 200
    site.readiness.is_stopping = True
    assert ask(site, "/readyz").status == 503


@pytest.mark.parametrize("has_source", [True, False])
def test_readyz_for_a_mount_asks_for_its_source(has_source: bool) -> None:
    assert ask(make_site(has_source=has_source), "/readyz?mount=/x").status == (200 if has_source else 503)


@pytest.mark.parametrize(("authorization", "is_shown"), [("", False), (SOURCE, False), (ADMIN, True)])
def test_metrics_are_for_everybody_and_hidden_mounts_for_the_admin(authorization: str, is_shown: bool) -> None:
    site = make_site(FakeControl(node(mount(), mount(name="/secret", hidden=True))))
    text = text_of(ask(site, "/metrics", authorization=authorization))
    assert 'mount="/live.mp3"' in text
    assert ('mount="/secret"' in text) is is_shown


@pytest.mark.parametrize("authorization", ["", ADMIN])
def test_metrics_are_those_of_all_workers_of_this_server(authorization: str) -> None:
    class Workers(FakeControl):
        def workers(self) -> list[NodeSnapshot]:
            return [replace(node(mount(), clients=5 + index), worker=str(index)) for index in range(2)]

    text = text_of(ask(make_site(cluster_wide=Workers(node())), "/metrics", authorization=authorization))
    assert 'pycast_clients{worker="0"} 5.0\n' in text and 'pycast_clients{worker="1"} 6.0\n' in text


@pytest.mark.parametrize(
    ("target", "body", "orders"),
    [
        ("/admin/drain", b"", ["begin"]),
        ("/admin/drain?now=1", b"", ["now"]),
        ("/admin/drain", b"now=1", ["now"]),
        ("/admin/drain?now=0", b"", ["begin"]),
        ("/admin/drain", b"cancel=1", ["cancel"]),
    ],
)
def test_a_post_begins_or_cancels_the_drain(target: str, body: bytes, orders: list[str]) -> None:
    site = make_site()
    answer = ask(site, target, method="POST", body=body, authorization=ADMIN)
    assert drain_of(site).orders == orders
    assert json.loads(text_of(answer))["state"] == "serving"


def test_a_get_does_not_change_the_drain() -> None:
    site = make_site()
    assert json.loads(text_of(ask(site, "/admin/drain?now=1", authorization=ADMIN)))["listeners"] == 3
    assert drain_of(site).orders == []


def test_cluster_json_has_members_origins_and_mirrors() -> None:
    answer = json.loads(text_of(ask(cluster_site(), "/admin/cluster", authorization=ADMIN)))
    assert answer["origins"] == {"/live.mp3": "a", "/night shift.ogg": "c"}
    assert answer["mirrors"] == ["/live.mp3"]
    assert (answer["name"], answer["node"], answer["registry"], answer["registry_up"]) == ("radio", "a", "mesh", True)
    assert answer["nodes"][0] == {
        "node": "a",
        "address": "10.0.0.1:8000",
        "zone": "eu-west-1a",
        "status": "up",
        "state": "up",
        "listeners": 4200,
        "used": 4210,
        "slots": 10000,
        "headroom_percent": 57,
        "version": "1.2.3",
        "origins": ["/live.mp3"],
    }


def test_the_nodes_page_is_html() -> None:
    assert "<article" in text_of(ask(cluster_site(), "/admin/nodes", authorization=ADMIN))


@pytest.mark.parametrize("path", ["/admin/cluster", "/admin/nodes", "/admin/drain"])
@pytest.mark.parametrize("authorization", ["", SOURCE])
def test_only_the_admin_sees_which_nodes_there_are(path: str, authorization: str) -> None:
    site = cluster_site()
    assert refusal(site, path, method="POST", authorization=authorization)[0] == 401
    assert drain_of(site).orders == []


@pytest.mark.parametrize("path", ["/admin/cluster", "/admin/nodes"])
def test_a_server_without_a_cluster_answers_404(path: str) -> None:
    assert refusal(cluster_site(None), path, authorization=ADMIN)[0] == 404
