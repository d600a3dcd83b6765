"""Nodes that use TLS between each other and with etcd: certificates of one authority, for 127.0.0.1."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pycast.testing import Cluster, Server
from tests.cluster.etcd_server import Etcd
from tests.cluster_e2e.certificates import make_authority, make_certificate
from tests.cluster_e2e.nodes import MOUNT, metric
from tests.e2e.deadline import until
from tests.e2e.wire import ask, get


@contextmanager
def tls_cluster(authority: Path, certificates: Mapping[str, dict[str, str]]) -> Iterator[Cluster]:
    """Yields a cluster with a node for each certificate, whose only port uses TLS."""

    def build(name: str, settings: Mapping[str, Any]) -> Server:
        listen = [{**settings["listen"][0], "tls": True}]
        links = {**settings["cluster"], "tls": True, "tls_ca": str(authority)}
        return Server(**{**settings, "listen": listen, "cluster": links, "tls": certificates[name]})

    with Cluster(len(certificates), build=build) as nodes:
        yield nodes


def test_a_source_on_one_node_is_heard_on_the_other_by_tls(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "authority")
    with tls_cluster(authority, {name: make_certificate(tmp_path, name, authority) for name in "ab"}) as nodes:
        a, b = nodes
        until(lambda: metric(a, "pycast_cluster_nodes", status="up") == 2, "two nodes")
        with a.stream(MOUNT, speed=0) as stream:
            stream.send(200)
            nodes.wait_for_mount(MOUNT)
            with b.listen(MOUNT) as heard:
                stream.send(50)
                heard.wait_for_frame(249)
                assert heard.frames.is_whole and len(heard.frames) >= 150
            assert metric(b, "pycast_mirror_bytes_total") > 40_000


@pytest.mark.parametrize("is_known", [True, False], ids=["signed by the authority", "signed by somebody else"])
def test_a_node_whose_certificate_the_authority_has_not_signed_is_refused_and_the_log_says_why(
    tmp_path: Path, is_known: bool
) -> None:
    authority = make_authority(tmp_path, "authority")
    signer = authority if is_known else make_authority(tmp_path, "somebody")
    certificates = {
        "a": make_certificate(tmp_path, "a", authority),
        "b": make_certificate(tmp_path, "b", signer),
    }
    with tls_cluster(authority, certificates) as nodes:
        a, b = nodes
        with b.stream(MOUNT, speed=0) as stream:
            stream.send(100)
            if is_known:
                nodes.wait_for_mount(MOUNT)
                return
            refused = f"cannot reach the node at 127.0.0.1:{b.port}"
            until(
                lambda: refused in a.log() and "its certificate cannot be trusted" in a.log(), "the refusal in the log"
            )
            assert ask(a.port, f"GET {MOUNT} HTTP/1.0\r\n\r\n", tls=True).status == 404
            assert metric(a, "pycast_mirror_bytes_total") == 0, "a stranger's audio is taken"


def test_a_node_without_tls_does_not_join_the_cluster(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "authority")
    with tls_cluster(authority, {"a": make_certificate(tmp_path, "a", authority)}) as nodes:
        (a,) = nodes
        with Server(cluster={"secret": "x", "node": "z", "peers": [f"127.0.0.1:{a.port}"]}) as plain:
            until(lambda: f"not connected to 127.0.0.1:{a.port}" in plain.log(), "the failure in the log")
            assert "takes TLS only, and cluster.tls is false here" in plain.log()
            assert metric(plain, "pycast_cluster_nodes", status="up") == 1
            assert get(plain.port, MOUNT).status == 404


def test_etcd_is_reached_by_tls(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "authority")
    with (
        Etcd(tmp_path, authority=authority, tls=make_certificate(tmp_path, "etcd", authority)) as etcd,
        Cluster(2, registry="etcd", etcd=etcd.urls, cluster={"tls_ca": str(authority)}) as nodes,
        nodes["a"].stream(MOUNT, speed=0),
    ):
        nodes.wait_for_mount(MOUNT)
        assert all(metric(node, "pycast_registry_up") == 1 for node in nodes)


def test_an_etcd_whose_certificate_the_authority_has_not_signed_is_refused_and_the_log_says_why(tmp_path: Path) -> None:
    authority, somebody = make_authority(tmp_path, "authority"), make_authority(tmp_path, "somebody")
    with (
        Etcd(tmp_path, authority=somebody, tls=make_certificate(tmp_path, "etcd", somebody)) as etcd,
        Cluster(1, registry="etcd", etcd=etcd.urls, cluster={"tls_ca": str(authority)}) as nodes,
    ):
        (node,) = nodes
        until(lambda: "certificate verify failed" in node.log(), "the refusal in the log")
        assert metric(node, "pycast_registry_up") == 0
