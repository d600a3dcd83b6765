"""Tests of pycast.web.cluster: who may see the cluster's nodes, and what programs are told of them."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pycast.config.live import Live
from pycast.config.load import loads
from pycast.errors import Refused
from pycast.stats.snapshot import ClusterSnapshot
from pycast.web.cluster import cluster_json, nodes_page
from tests.stats.snapshots import mount, node
from tests.web.test_nodes_page import CLUSTER

CONFIG = loads('[authentication]\nadmin_password = "pw"', {}, "test")
ADMIN, SOURCE = "Basic YWRtaW46cHc=", "Basic c291cmNlOmhhY2ttZQ=="  # admin:pw, source:hackme


def site(cluster: ClusterSnapshot | None) -> Any:
    local = node(mount(is_mirror=True), mount(name="/own"))
    return SimpleNamespace(
        settings=Live(CONFIG),
        local=SimpleNamespace(snapshot=lambda: local),
        cluster_wide=SimpleNamespace(snapshot=lambda: replace(local, cluster=cluster)),
    )


def request(authorization: str) -> Any:
    return SimpleNamespace(path="/admin/cluster", headers={"authorization": authorization})


def test_programs_are_told_members_origins_and_mirrors() -> None:
    answer = json.loads(cluster_json(site(CLUSTER), request(ADMIN)).body)
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


def test_people_get_a_page() -> None:
    assert b"<article" in nodes_page(site(CLUSTER), request(ADMIN)).body


@pytest.mark.parametrize("handler", [cluster_json, nodes_page])
@pytest.mark.parametrize("authorization", ["", SOURCE])
def test_nobody_but_the_admin_learns_which_nodes_there_are(handler: Any, authorization: str) -> None:
    with pytest.raises(Refused) as refused:
        handler(site(CLUSTER), request(authorization))
    assert refused.value.status == 401


@pytest.mark.parametrize("handler", [cluster_json, nodes_page])
def test_a_server_alone_has_none(handler: Any) -> None:
    with pytest.raises(Refused) as refused:
        handler(site(None), request(ADMIN))
    assert refused.value.status == 404
