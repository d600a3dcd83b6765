"""`/metrics`: the snapshot in Prometheus' text format.

Each scrape makes its families anew from one snapshot. Nothing is counted here, so the metrics agree with the other
statistics, and no global registry is used. Names and meanings are given at the fields of the snapshots
(`stats/metric.py`). Totals of the node and of the mounts have separate names: the counters of a mount end with it,
those of the node go on. Only short, stable values are labels; titles and players' names would make endless series. The
process's CPU, memory and descriptors come from `/proc` by the library's own collector. Of several workers each has its
own series, with its number as a label: one that is replaced begins at 0, which in a sum would look as if all had.

`prometheus_client` is imported at the first scrape, not at the start of the server, which must be quick.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from pycast.net.turns import in_turns
from pycast.patterns import pattern
from pycast.stats.metric import metrics_of

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from pycast.stats.snapshot import ClusterSnapshot, NodeSnapshot

# Samples that are rendered at once: less than a millisecond.
AT_ONCE = 100

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SURROGATE = pattern("[\ud800-\udfff]")


def render_metrics(snapshots: "Sequence[NodeSnapshot]") -> bytes:
    """Returns the metrics of a server: of its one process, or of each worker on this machine. All mounts of the
    snapshots are included, hidden ones too. May switch.
    """
    return b"".join(in_turns(_exposition(chain(_processes(snapshots), _families(snapshots)))))


def _processes(snapshots: "Sequence[NodeSnapshot]") -> "Iterable[Metric]":
    families: dict[str, Metric] = {}
    for one in snapshots:
        labels = {"worker": one.worker} if one.worker else {}
        for family in _process(one.pid):
            samples = [sample._replace(labels=labels) for sample in family.samples]
            family.samples = []
            families.setdefault(family.name, family).samples += samples
    return families.values()


def _process(pid: int) -> "Iterable[Metric]":
    from prometheus_client import CollectorRegistry, ProcessCollector

    return ProcessCollector(pid=lambda: pid or "self", registry=CollectorRegistry()).collect()


def _exposition(families: "Iterable[Metric]") -> Iterator[bytes]:
    """Yields the text of the families, `AT_ONCE` samples at a time: a node may have thousands of mounts."""
    from prometheus_client.core import Metric
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import Collector

    class Only(Collector):
        def __init__(self, family: Metric) -> None:
            self._family = family

        def collect(self) -> Iterable[Metric]:
            return [self._family]

    for family in families:
        for at in range(0, max(len(family.samples), 1), AT_ONCE):
            part = Metric(family.name, family.documentation, family.type)
            part.samples = family.samples[at : at + AT_ONCE]
            text = generate_latest(Only(part))
            # Only the first part has the lines of the family, HELP and TYPE.
            yield text if not at else text.split(b"\n", 2)[2]


def _families(snapshots: "Sequence[NodeSnapshot]") -> Iterator["Metric"]:
    which = ["worker"] if snapshots[0].worker else []
    workers = [(dict.fromkeys(which, one.worker), one) for one in snapshots]
    mounts = [(labels, mount) for labels, one in workers for mount in one.mounts]
    yield _info(
        "pycast_build_info",
        "The server's name and version.",
        [{**labels, "server_id": one.server_id} for labels, one in workers],
    )
    yield _info(
        "pycast_mount_info",
        "What a mount streams.",
        [{**labels, "mount": m.name, "content_type": m.content_type, "subtype": m.subtype} for labels, m in mounts],
    )
    yield from _families_of([([*labels.values()], one) for labels, one in workers], which)
    clusters = [(labels, one.cluster) for labels, one in workers if one.cluster]
    yield from _families_of([([*labels.values()], cluster) for labels, cluster in clusters], which)
    if clusters:
        yield _nodes_by_status(clusters, which)
    yield from _families_of(
        [([*labels.values(), _label(mount.name)], mount) for labels, mount in mounts], [*which, "mount"]
    )


def _families_of(parts: list[tuple[list[str], object]], labels: list[str]) -> Iterator["Metric"]:
    """Yields one family for each metric of `parts`, which are snapshots of one kind, each with its labels' values."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for values, part in in_turns(parts):
        for info, value in metrics_of(part):
            family = families.get(info.name)
            if family is None:
                make = CounterMetricFamily if info.name.endswith("_total") else GaugeMetricFamily
                family = families[info.name] = make(info.name, info.meaning, labels=[*labels, *info.labels])
            family.add_metric([*values, *info.labels.values()], value)
    yield from families.values()


def _nodes_by_status(clusters: "Sequence[tuple[dict[str, str], ClusterSnapshot]]", which: list[str]) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    nodes = GaugeMetricFamily(
        "pycast_cluster_nodes", "Nodes of the cluster as this one sees them.", labels=[*which, "status"]
    )
    for labels, cluster in clusters:
        for status in ("up", "suspect", "dead"):
            count = sum(1 for member in cluster.members if member.status == status)
            nodes.add_metric([*labels.values(), status], count)
    return nodes


def _info(name: str, meaning: str, rows: list[dict[str, str]]) -> "Metric":
    """Returns an info metric: a constant 1 for each row of labels, which Prometheus users join with other series."""
    from prometheus_client.core import GaugeMetricFamily

    names = list(rows[0]) if rows else []
    family = GaugeMetricFamily(name, meaning, labels=names)
    for row in rows:
        family.add_metric([_label(value) for value in row.values()], 1)
    return family


def _label(text: str) -> str:
    # Label values are sent as UTF-8, which has no lone surrogates.
    return _SURROGATE.sub("\ufffd", text)
