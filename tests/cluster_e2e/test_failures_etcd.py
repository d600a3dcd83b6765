"""Failure cases of a registry in etcd: it does not answer, is cut off, older than it was, or empty. Streams continue.

Each test carries the number of its case. The etcd is real; accidents are made through its HTTP gateway, as with
etcdctl. A lease is 10 s long, and renewed every 3.
"""

import base64
import json
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pycast.testing import Cluster, Server, ServerDied
from pycast.testing.server_cluster import SECRET
from tests.cluster.etcd_server import Etcd
from tests.cluster_e2e.chaos import Chaos
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.nodes import MOUNT, at, metric
from tests.e2e.deadline import until

OTHER = "/other.mp3"
PREFIX = "/pycast/radio/v1/"
ACCEPT_S = 1.5
"""How long a source waits at most for a registry that does not answer."""
NOTICED_S = 8.0
"""How long a node takes to notice: it renews its lease every 3 s, and waits for an answer."""
LEASE_GONE_S = 15.0


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with Crowd() as listeners:
        yield listeners


@pytest.fixture
def etcd(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Etcd]:
    with Etcd(tmp_path, getattr(request, "param", 1)) as running:
        yield running


def nodes_of(etcd: Etcd, size: int = 3, **settings: Any) -> Cluster:
    return Cluster(size, registry="etcd", etcd=etcd.urls, **settings)


def call(etcd: Etcd, what: str, **values: str) -> dict[str, Any]:
    """Calls etcd's gateway, whose keys and values are base64, and returns its answer."""
    body = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    request = urllib.request.Request(f"{etcd.urls[0]}/v3/kv/{what}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def count_keys(etcd: Etcd, prefix: str) -> int:
    return len(call(etcd, "range", key=prefix, range_end=end_of(prefix)).get("kvs", ()))


def has_keys(etcd: Etcd, which: str, count: int) -> bool:
    return count_keys(etcd, PREFIX + which) == count


def end_of(prefix: str) -> str:
    """Returns the key after all that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def put_generation(etcd: Etcd, generation: int) -> None:
    call(etcd, "put", key=f"{PREFIX}meta", value=json.dumps({"schema": 1, "generation": generation}))


def says_registry(server: Server, up: bool) -> bool:
    return metric(server, "pycast_registry_up") == up


def wait_registry(servers: Iterable[Server], *, up: bool) -> None:
    for server in servers:
        what = f"the registry to be {'up' if up else 'down'} at {server.url}"
        until(partial(says_registry, server, up), what, NOTICED_S)


def assert_healthy(servers: Iterable[Server]) -> None:
    for server in servers:
        assert [server.get(path)[0] for path in ("/livez", "/readyz", f"/readyz?mount={MOUNT}")] == [200, 200, 200]


def is_alarmed(server: Server) -> bool:
    return "EROR session/_complain the registry went backward" in server.log()


def assert_flawless(crowd: Crowd) -> None:
    for report in crowd.reports():
        assert report.is_flawless, report


@pytest.mark.parametrize("etcd", [3], indirect=True)
def test_f04_registry_is_down_and_no_client_notices(etcd: Etcd, crowd: Crowd) -> None:
    with nodes_of(etcd) as cluster, Encoder(at(cluster["a"]), MOUNT, retry_s=None) as encoder, ExitStack() as later:
        a, b, c = cluster
        cluster.wait_for_mount(MOUNT)
        crowd.add(at(a, b), MOUNT, 4)
        crowd.wait_playing(4)
        etcd.kill()
        wait_registry(cluster, up=False)
        assert_healthy(cluster)
        crowd.add(at(c), MOUNT, 2)  # c has mirrored nothing before
        new = later.enter_context(Encoder(at(b), OTHER, retry_s=None))
        assert new.sessions[0].accepted - new.sessions[0].began < ACCEPT_S
        cluster.wait_for_mount(OTHER, timeout=2.0)
        crowd.add(at(a, b, c), OTHER, 3)
        crowd.wait_playing(9)
        assert metric(b, "pycast_claims_total", result="provisional") == 1
        etcd.start()
        wait_registry(cluster, up=True)
        cluster.wait_until(lambda: f"mount {OTHER}: confirmed" in b.log(), 5, "the new source's claim to be confirmed")
        encoder.wait_sent(2.0)
        assert_healthy(cluster)
        assert crowd.playing() == 9
        assert sum(metric(server, "pycast_stepdowns_total") for server in cluster) == 0
        assert_flawless(crowd)


@pytest.mark.parametrize("etcd", [3], indirect=True)
def test_f05_quorum_is_lost_and_back_and_nothing_changes(etcd: Etcd, crowd: Crowd) -> None:
    with nodes_of(etcd) as cluster, Encoder(at(cluster["a"]), MOUNT, retry_s=None) as encoder:
        cluster.wait_for_mount(MOUNT)
        crowd.add(at(*cluster), MOUNT, 6)
        crowd.wait_playing(6)
        etcd.kill(0, 1)
        wait_registry(cluster, up=False)
        assert_healthy(cluster)
        etcd.start()
        wait_registry(cluster, up=True)
        encoder.wait_sent(2.0)
        assert_healthy(cluster)
        assert_flawless(crowd)
        assert sum(metric(server, "pycast_claims_total") for server in cluster) == 1
        assert "confirmed" not in cluster.log(), "a claim was made anew"


@pytest.mark.parametrize("etcd", [1], indirect=True)
def test_f06_node_is_cut_off_from_the_registry_only_and_keeps_its_source(etcd: Etcd, crowd: Crowd) -> None:
    with Chaos() as way:
        cut_off = f"http://{way.aim(etcd.urls[0].removeprefix('http://'))}"

        def build(name: str, settings: Mapping[str, Any]) -> Server:
            theirs = {"etcd": [cut_off]} if name == "a" else {}
            return Server(**{**settings, "cluster": settings["cluster"] | theirs})

        strict = {"mount_name": OTHER, "on_conflict": "reject"}
        with nodes_of(etcd, build=build, mount=[strict]) as cluster, ExitStack() as sources:
            a, b, c = cluster
            first, other = [sources.enter_context(Encoder(at(a), mount, retry_s=None)) for mount in (MOUNT, OTHER)]
            for mount in (MOUNT, OTHER):
                cluster.wait_for_mount(mount)
                crowd.add(at(a, b, c), mount, 3)
            crowd.wait_playing(6)
            way.black_hole()
            until(lambda: count_keys(etcd, f"{PREFIX}nodes/") == 2, "the lease of a to expire", LEASE_GONE_S)
            assert [metric(server, "pycast_registry_up") for server in cluster] == [0, 1, 1]
            second = sources.enter_context(Encoder(at(b), MOUNT, programme=2, retry_s=None))
            refused = Encoder(at(c), OTHER, programme=2, retry_s=None)
            refused.start()
            until(lambda: refused.sessions and refused.sessions[0].ended, "an answer")
            assert refused.sessions[0].status == 403
            second.wait_sent(3.0)  # longer than the time between two probes
            assert metric(b, "pycast_standbys") == 1 and first.is_on_air and other.is_on_air
            assert_healthy(cluster)
            way.passing()
            wait_registry([a], up=True)
            first.wait_sent(2.0)
            assert_flawless(crowd)
            assert metric(a, "pycast_stepdowns_total") == 0


def test_f15_old_backup_is_refused_until_its_generation_is_raised(etcd: Etcd, crowd: Crowd, tmp_path: Path) -> None:
    with nodes_of(etcd) as cluster:
        etcd.save(tmp_path / "backup")
        for number in range(100):  # more than the leases in the backup can make up for when they expire
            call(etcd, "put", key="/of/others", value=str(number))
        wait_registry(cluster, up=True)
        with Encoder(at(cluster["a"]), MOUNT, retry_s=None) as encoder:
            cluster.wait_for_mount(MOUNT)
            crowd.add(at(*cluster), MOUNT, 3)
            crowd.wait_playing(3)
            etcd.restore(tmp_path / "backup")
            for server in cluster:
                server.wait_until(partial(is_alarmed, server), NOTICED_S, "an alarm")
            wait_registry(cluster, up=False)
            crowd.add(at(*cluster), MOUNT, 3)
            crowd.wait_playing(6)
            assert_healthy(cluster)
            put_generation(etcd, 2)
            wait_registry(cluster, up=True)
            cluster.wait_until(lambda: f"mount {MOUNT}: confirmed" in cluster["a"].log(), 5, "a claim of generation 2")
            encoder.wait_sent(2.0)
            assert_flawless(crowd)


@pytest.mark.parametrize("gone", ["", "mounts/", "nodes/"])
def test_f16_empty_registry_removes_nothing_while_the_nodes_answer(etcd: Etcd, crowd: Crowd, gone: str) -> None:
    with nodes_of(etcd) as cluster, ExitStack() as sources:
        mounts = [f"/{number}.mp3" for number in range(3)] + [MOUNT]
        encoders = [
            sources.enter_context(Encoder(at(cluster["ab"[turn % 2]]), mount, retry_s=None))
            for turn, mount in enumerate(mounts)
        ]
        for mount in mounts:
            cluster.wait_for_mount(mount)
            crowd.add(at(cluster["a"], cluster["b"]), mount, 2)
        crowd.wait_playing(8)
        call(etcd, "deleterange", key=PREFIX + gone, range_end=end_of(PREFIX + gone))
        if not gone:
            wait_registry(cluster, up=False)
            encoders[0].wait_sent(1.0)  # the nodes have asked each other by then
            assert_healthy(cluster)
            crowd.add(at(cluster["c"]), MOUNT, 2)  # c has mirrored nothing before
            crowd.wait_playing(10)
            put_generation(etcd, 1)
        for keys, count in (("nodes/", 3), ("mounts/", len(mounts))):
            are_back = partial(has_keys, etcd, keys, count)
            until(are_back, f"all of {keys} to be put back", NOTICED_S)
        wait_registry(cluster, up=True)
        encoders[0].wait_sent(2.0)
        for mount in mounts:
            cluster.wait_for_mount(mount, timeout=1.0)
        assert_flawless(crowd)
        assert all(metric(server, "pycast_cluster_nodes", status="up") == 3 for server in cluster)


def test_f18_second_node_of_a_name_in_etcd_refuses_to_start(etcd: Etcd) -> None:
    with nodes_of(etcd, 1):
        twin = Server(cluster={"secret": SECRET, "node": "a", "registry": "etcd", "etcd": etcd.urls})
        with pytest.raises(ServerDied, match=r"(?s)status 1.*cluster\.node = 'a'.*a name of its own"):
            twin.start()
