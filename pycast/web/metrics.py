"""`/metrics`: the snapshot as Prometheus reads it.

A fresh private registry for each scrape, filled from one snapshot: nothing is counted here, so nothing can drift from
the other stats pages, and no global registry is touched. Totals of the node and of the mounts have separate names: a
mount that is gone takes its counters along, the node's go on. Only short, stable values are labels; titles and
players' names would make endless series. The process's CPU, memory and descriptors come from `/proc` by the library's
own collector.

`prometheus_client` is imported at the first scrape, not at the start of the server, which must be quick.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pycast.stats.snapshot import ClusterSnapshot, MountSnapshot, NodeSnapshot

if TYPE_CHECKING:
    from prometheus_client.core import Metric

S = TypeVar("S")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Series(Generic[S]):
    """One metric. A name that ends in `_total` is a counter, any other a gauge; a value of None gives no sample."""

    name: str
    meaning: str
    value: Callable[[S], float | None]


_NODE: tuple[_Series[NodeSnapshot], ...] = (
    _Series("pycast_start_time_seconds", "When the server started, seconds since the epoch.", lambda s: s.server_start),
    _Series("pycast_clients", "Connections open now, of every kind.", lambda s: s.clients),
    _Series("pycast_clients_limit", "Connections taken at the same time.", lambda s: s.clients_limit),
    _Series("pycast_listeners", "Listeners connected now, on all mounts.", lambda s: s.listeners),
    _Series("pycast_sources", "Sources connected now.", lambda s: s.sources),
    _Series("pycast_connections_total", "TCP connections accepted.", lambda s: s.connections),
    _Series("pycast_requests_total", "GET requests.", lambda s: s.client_connections),
    _Series(
        "pycast_listener_connections_total", "Listeners accepted, on all mounts.", lambda s: s.listener_connections
    ),
    _Series("pycast_source_connections_total", "Sources accepted.", lambda s: s.source_client_connections),
    _Series("pycast_file_requests_total", "Static files given out.", lambda s: s.file_connections),
    _Series(
        "pycast_slow_listeners_total", "Listeners dropped because they fell too far behind.", lambda s: s.slow_listeners
    ),
    _Series(
        "pycast_refused_connections_total",
        "Connections refused because the server was full.",
        lambda s: s.refused_connections,
    ),
    _Series("pycast_bad_requests_total", "Requests and sources answered with an error.", lambda s: s.bad_requests),
    _Series("pycast_received_bytes_total", "Audio bytes read from sources.", lambda s: s.bytes_read),
    _Series("pycast_sent_bytes_total", "Bytes sent to listeners.", lambda s: s.bytes_sent),
    _Series(
        "pycast_fanout_round_seconds",
        "Duration of the last complete round of the fan-out, the wait before it included.",
        lambda s: s.fanout_lag_s,
    ),
    _Series("pycast_ready", "1 while new listeners are welcome, else 0.", lambda s: s.is_ready),
    _Series("pycast_draining", "1 while the server empties itself, else 0.", lambda s: s.is_draining),
    _Series(
        "pycast_headroom_percent",
        "What is free of the scarcest of connections, descriptors, egress and time; 0 only if full.",
        lambda s: s.headroom_percent,
    ),
    _Series("pycast_loop_lag_seconds", "How late the event loop is, smoothed.", lambda s: s.loop_lag_s),
    _Series("pycast_open_files", "Descriptors in use.", lambda s: s.open_files),
    _Series("pycast_open_files_limit", "Descriptors the process may have.", lambda s: s.open_files_limit),
    _Series("pycast_egress_bits_per_second", "Sent to clients over the last 5 seconds.", lambda s: s.egress_bps),
)

_CLUSTER: tuple[_Series[ClusterSnapshot], ...] = (
    _Series("pycast_registry_up", "1 while the registry answers, else 0.", lambda c: c.is_registry_up),
    _Series("pycast_cluster_origins", "Mounts of the cluster that have an owner.", lambda c: c.origins),
    _Series("pycast_cluster_mounts_waiting", "Of these, the ones that wait for their source.", lambda c: c.waiting),
    _Series("pycast_mirrors", "Mounts copied from other nodes now.", lambda c: c.mirrors),
    _Series("pycast_mirror_bytes_total", "Bytes that came from other nodes.", lambda c: c.mirror_bytes),
    _Series("pycast_mirror_reconnects_total", "Lines to other nodes that were opened.", lambda c: c.mirror_connections),
    _Series("pycast_mirror_gap_bytes_total", "Audio that no other node had any more.", lambda c: c.mirror_gap_bytes),
    _Series("pycast_mirror_refused_epochs_total", "Owners from before that were refused.", lambda c: c.refused_epochs),
    _Series("pycast_stepdowns_total", "Mounts given up because another node had claimed them.", lambda c: c.stepdowns),
    _Series("pycast_standbys", "Sources that stand by here.", lambda c: c.standbys),
)

_MOUNT: tuple[_Series[MountSnapshot], ...] = (
    _Series(
        "pycast_mount_live", "1 while a source feeds the mount, 0 while the mount waits for one.", lambda m: m.is_live
    ),
    _Series("pycast_mount_listeners", "Listeners connected now.", lambda m: m.listeners),
    _Series("pycast_mount_listeners_peak", "Most listeners at one time.", lambda m: m.listener_peak),
    _Series(
        "pycast_mount_listeners_limit",
        "Most listeners allowed; absent without a limit.",
        lambda m: m.max_listeners if m.max_listeners >= 0 else None,
    ),
    _Series("pycast_mount_listener_connections_total", "Listeners accepted.", lambda m: m.listener_connections),
    _Series(
        "pycast_mount_slow_listeners_total",
        "Listeners dropped because they fell too far behind.",
        lambda m: m.slow_listeners,
    ),
    _Series("pycast_mount_source_connections_total", "Sources the mount has had.", lambda m: m.sources),
    _Series(
        "pycast_mount_source_connected_seconds", "How long the present source is connected.", lambda m: m.connected_s
    ),
    _Series(
        "pycast_mount_stream_start_time_seconds",
        "When the stream started, seconds since the epoch.",
        lambda m: m.stream_start or None,
    ),
    _Series(
        "pycast_mount_received_bytes_total", "Audio bytes read from the mount's sources.", lambda m: m.total_bytes_read
    ),
    _Series("pycast_mount_sent_bytes_total", "Bytes sent to the mount's listeners.", lambda m: m.total_bytes_sent),
)


def render_metrics(snapshot: NodeSnapshot) -> tuple[bytes, str]:
    """The text exposition format and its content type. Hidden mounts are in it too: it is the operator's view."""
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import Collector

    class SnapshotCollector(Collector):
        def collect(self) -> Iterator["Metric"]:
            return _families(snapshot)

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(SnapshotCollector())
    return generate_latest(registry), CONTENT_TYPE


def _families(snapshot: NodeSnapshot) -> Iterator["Metric"]:
    yield _info("pycast_build_info", "The server's name and version.", [{"server_id": snapshot.server_id}])
    yield _info(
        "pycast_mount_info",
        "What a mount streams.",
        [{"mount": m.name, "content_type": m.content_type, "subtype": m.subtype} for m in snapshot.mounts],
    )
    for node_series in _NODE:
        yield _family(node_series, [], [([], snapshot)])
    if snapshot.cluster:
        yield from _cluster_families(snapshot.cluster)
    for mount_series in _MOUNT:
        yield _family(mount_series, ["mount"], [([_label(mount.name)], mount) for mount in snapshot.mounts])


def _cluster_families(cluster: ClusterSnapshot) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for series in _CLUSTER:
        yield _family(series, [], [([], cluster)])
    nodes = GaugeMetricFamily("pycast_cluster_nodes", "Nodes of the cluster as this one sees them.", labels=["status"])
    for status in ("up", "suspect", "dead"):
        nodes.add_metric([status], sum(1 for member in cluster.members if member.status == status))
    yield nodes
    claims = CounterMetricFamily("pycast_claims_total", "Claims of mounts, by what came of them.", labels=["result"])
    for result, count in (
        ("won", cluster.claims_won),
        ("held", cluster.claims_held),
        ("provisional", cluster.claims_provisional),
    ):
        claims.add_metric([result], count)
    yield claims


def _family(series: _Series[S], labels: list[str], of: list[tuple[list[str], S]]) -> "Metric":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    make = CounterMetricFamily if series.name.endswith("_total") else GaugeMetricFamily
    family = make(series.name, series.meaning, labels=labels)
    for values, one in of:
        value = series.value(one)
        if value is not None:
            family.add_metric(values, value)
    return family


def _info(name: str, meaning: str, rows: list[dict[str, str]]) -> "Metric":
    """A constant 1 with labels: what Prometheus users join other series with."""
    from prometheus_client.core import GaugeMetricFamily

    names = list(rows[0]) if rows else []
    family = GaugeMetricFamily(name, meaning, labels=names)
    for row in rows:
        family.add_metric([_label(value) for value in row.values()], 1)
    return family


def _label(text: str) -> str:
    """Label values are sent as UTF-8, which has no lone surrogates."""
    return _SURROGATE.sub("\ufffd", text)
