"""The names of pycast's metrics, and which of them an expression speaks of."""

import re

from pycast.web import metrics

EXPORTED = {
    "pycast_build_info",
    "pycast_claims_total",
    "pycast_cluster_nodes",
    "pycast_mount_info",
    *(series.name for series in metrics._NODE),
    *(series.name for series in metrics._CLUSTER),
    *(series.name for series in metrics._MOUNT),
}


def metrics_in(expression: str) -> set[str]:
    """Names of pycast's metrics; what stands in quotes is no name."""
    return set(re.findall(r"\bpycast_\w+", re.sub(r'"[^"]*"', "", expression)))
