"""The names of pycast's metrics, and which of them an expression speaks of."""

import re

from pycast.stats.counters import Counters, LinkCounters, MirrorCounters, OwnershipCounters
from pycast.stats.metric import declared_metrics
from pycast.stats.snapshot import ClusterSnapshot, MountSnapshot, NodeSnapshot

KINDS = (NodeSnapshot, Counters, ClusterSnapshot, LinkCounters, MirrorCounters, OwnershipCounters, MountSnapshot)

EXPORTED = {
    "pycast_build_info",
    "pycast_cluster_nodes",
    "pycast_mount_info",
    *(info.name for kind in KINDS for info in declared_metrics(kind)),
}


def metrics_in(expression: str) -> set[str]:
    """Names of pycast's metrics; what stands in quotes is no name."""
    return set(re.findall(r"\bpycast_\w+", re.sub(r'"[^"]*"', "", expression)))
