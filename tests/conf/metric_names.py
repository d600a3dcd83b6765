"""The names of pycast's metrics, and which of them an expression speaks of."""

import re

from pycast.web import metrics

# Those of a cluster and of the node's headroom.
OF_A_CLUSTER = frozenset(
    {
        "pycast_claims_total",
        "pycast_clients_limit",
        "pycast_cluster_mounts_waiting",
        "pycast_cluster_nodes",
        "pycast_cluster_origins",
        "pycast_draining",
        "pycast_egress_bits_per_second",
        "pycast_headroom_percent",
        "pycast_loop_lag_seconds",
        "pycast_mirror_bytes_total",
        "pycast_mirror_gap_bytes_total",
        "pycast_mirror_reconnects_total",
        "pycast_mirror_refused_epochs_total",
        "pycast_mirrors",
        "pycast_open_files",
        "pycast_open_files_limit",
        "pycast_ready",
        "pycast_registry_up",
        "pycast_standbys",
        "pycast_stepdowns_total",
    }
)
EXPORTED = OF_A_CLUSTER | {
    "pycast_build_info",
    "pycast_mount_info",
    *(series.name for series in metrics._NODE),
    *(series.name for series in metrics._MOUNT),
}


def metrics_in(expression: str) -> set[str]:
    """Names of pycast's metrics; what stands in quotes is no name."""
    return set(re.findall(r"\bpycast_\w+", re.sub(r'"[^"]*"', "", expression)))
