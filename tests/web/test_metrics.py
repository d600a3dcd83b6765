"""Tests of pycast.web.metrics: Prometheus reads the values of the snapshot."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from pycast.stats.snapshot import NodeSnapshot
from pycast.web.metrics import AT_ONCE, CONTENT_TYPE, render_metrics
from tests.stats.snapshots import CLUSTER, MP3, mount, node, nodes

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(snapshot: NodeSnapshot) -> Samples:
    families = text_string_to_metric_families(render_metrics([snapshot]).decode("utf-8"))
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def value(snapshot: NodeSnapshot, name: str, **labels: str) -> float | None:
    return samples(snapshot).get((name, tuple(sorted(labels.items()))))


def test_content_type_is_the_text_format() -> None:
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("pycast_clients", "clients"),
        ("pycast_listeners", "listeners"),
        ("pycast_sources", "sources"),
        ("pycast_connections_total", "connections"),
        ("pycast_requests_total", "client_connections"),
        ("pycast_listener_connections_total", "listener_connections"),
        ("pycast_source_connections_total", "source_client_connections"),
        ("pycast_broken_sources_total", "broken_sources"),
        ("pycast_file_requests_total", "file_connections"),
        ("pycast_slow_listeners_total", "slow_listeners"),
        ("pycast_refused_connections_total", "refused_connections"),
        ("pycast_received_bytes_total", "bytes_read"),
        ("pycast_dropped_bytes_total", "bytes_dropped"),
        ("pycast_dropped_marks_total", "marks_dropped"),
        ("pycast_sent_bytes_total", "bytes_sent"),
        ("pycast_fanout_round_seconds", "fanout_lag_s"),
        ("pycast_start_time_seconds", "server_start"),
        ("pycast_clients_limit", "clients_limit"),
        ("pycast_headroom_percent", "headroom_percent"),
        ("pycast_loop_lag_seconds", "loop_lag_s"),
        ("pycast_open_files", "open_files"),
        ("pycast_open_files_limit", "open_files_limit"),
        ("pycast_greenlets", "greenlets"),
        ("pycast_egress_bits_per_second", "egress_bps"),
    ],
)
def test_the_node_is_counted(name: str, field: str) -> None:
    assert value(node(**{field: 4711}), name) == 4711


@pytest.mark.parametrize(("name", "field"), [("pycast_ready", "is_ready"), ("pycast_draining", "is_draining")])
@pytest.mark.parametrize("flag", [True, False])
def test_yes_is_1_and_no_is_0(name: str, field: str, flag: bool) -> None:
    assert value(node(**{field: flag}), name) == int(flag)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("pycast_mount_live", "is_live"),
        ("pycast_mount_listeners", "listeners"),
        ("pycast_mount_listeners_peak", "listener_peak"),
        ("pycast_mount_listeners_limit", "max_listeners"),
        ("pycast_mount_listener_connections_total", "listener_connections"),
        ("pycast_mount_slow_listeners_total", "slow_listeners"),
        ("pycast_mount_source_connections_total", "sources"),
        ("pycast_mount_source_connected_seconds", "connected_s"),
        ("pycast_mount_stream_start_time_seconds", "stream_start"),
        ("pycast_mount_received_bytes_total", "total_bytes_read"),
        ("pycast_mount_sent_bytes_total", "total_bytes_sent"),
    ],
)
def test_each_mount_is_counted_under_its_name(name: str, field: str) -> None:
    changes: dict[str, Any] = {field: True if field == "is_live" else 4711}
    assert value(node(MP3, mount(name="/b", **changes)), name, mount="/b") == changes[field]


def test_a_limit_that_does_not_exist_gives_no_sample() -> None:
    assert value(node(mount(max_listeners=-1)), "pycast_mount_listeners_limit", mount="/live.mp3") is None


def test_info_series_carry_the_text() -> None:
    assert value(node(), "pycast_build_info", server_id="Icecast 2.4.4") == 1
    labels = {"mount": "/live.mp3", "content_type": "audio/mpeg", "subtype": ""}
    assert value(node(MP3), "pycast_mount_info", **labels) == 1


@pytest.mark.parametrize("name", ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"])
def test_the_process_is_measured(name: str) -> None:
    measured = value(node(), name)
    assert measured is not None and measured > 0


def test_each_worker_has_its_own_series() -> None:
    workers = [replace(node(MP3, connections=10 + index), worker=str(index), pid=os.getpid()) for index in range(2)]
    text = render_metrics([replace(one, cluster=CLUSTER) for one in workers]).decode()
    families = text_string_to_metric_families(text)
    found = {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}
    for index in range(2):
        worker = ("worker", str(index))
        assert found["pycast_connections_total", worker] == 10 + index
        assert found["pycast_mount_listeners", ("mount", "/live.mp3"), worker] == 2
        assert found["pycast_registry_up", worker] == 1
        assert ("pycast_cluster_nodes", ("status", "dead"), worker) in found
        assert found["process_resident_memory_bytes", worker] > 0
    for name in ("pycast_connections", "process_cpu_seconds", "pycast_mount_info"):
        assert len(re.findall(f"^# TYPE {name}(_total)? ", text, re.MULTILINE)) == 1
    assert not any(len(key) == 1 for key in found), "all have the label"


def test_scrapes_leave_the_global_registry_alone() -> None:
    before = [family.name for family in REGISTRY.collect()]
    render_metrics([node(MP3)])
    assert [family.name for family in REGISTRY.collect()] == before


def test_the_server_starts_without_the_library() -> None:
    code = "import sys, pycast.web.metrics; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@given(nodes)
@settings(deadline=None, max_examples=50)
def test_prometheus_can_read_it_whatever_is_in_it(snapshot: NodeSnapshot) -> None:
    names = [labels for name, labels in samples(snapshot) if name == "pycast_mount_listeners"]
    assert len(names) == len({one.name.encode("utf-8", "replace") for one in snapshot.mounts})


def test_a_family_of_many_mounts_is_one_family() -> None:
    mounts = [mount(name=f"/{number}") for number in range(2 * AT_ONCE + 1)]
    text = render_metrics([node(*mounts)]).decode()
    assert text.count("# TYPE pycast_mount_listeners gauge") == 1
    assert len(re.findall("^pycast_mount_listeners{", text, re.MULTILINE)) == len(mounts)
