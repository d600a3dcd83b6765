"""The page of `/admin/nodes`: every node of the cluster, its state, its load and its sources.

It is rendered from a snapshot, as in `pages.py`, and works without JavaScript: the browser loads it again every
`REFRESH_S` seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pycast.stats.snapshot import ClusterSnapshot, MemberSnapshot
from pycast.web.page_templates import PATH_CHARACTERS, clean, render
from pycast.web.pages import nodes_in_words

REFRESH_S = 5


@dataclass(frozen=True, slots=True)
class _Node:
    """One node as the template shows it. Its texts have gone through `clean`, and are not escaped."""

    name: str
    is_this_node: bool
    address: str
    zone: str
    version: str
    condition: str
    """"up", "draining", "suspect" or "dead"."""
    listeners: int
    used: int
    slots: int
    headroom: int
    sources: tuple[tuple[str, str], ...]
    """Names of mounts, and their links, relative to the page."""


def render_nodes(cluster: ClusterSnapshot, server_id: str, warnings: Sequence[str] = ()) -> bytes:
    """Returns the page, UTF-8 `text/html`. `warnings` are for the admin, who alone sees it."""
    return render(
        "nodes.html",
        refresh_s=REFRESH_S,
        brand=clean(cluster.name),
        server_id=clean(server_id),
        cluster=cluster,
        warnings=warnings,
        this_node=clean(cluster.node),
        tally=nodes_in_words(cluster),
        nodes=[_node(member, cluster.node) for member in cluster.members],
        listening=sum(member.listeners for member in cluster.members if member.status != "dead"),
    )


def _node(member: MemberSnapshot, local: str) -> _Node:
    return _Node(
        name=clean(member.node),
        is_this_node=member.node == local,
        address=clean(member.address),
        zone=clean(member.zone),
        version=clean(member.version),
        condition=member.state if member.status == "up" else member.status,
        listeners=member.listeners,
        used=member.used,
        slots=member.slots,
        headroom=min(max(member.weight, 0), 100),
        sources=tuple((clean(mount), f"../{_path(mount)}") for mount in member.origins),
    )


def _path(mount: str) -> str:
    return quote(mount.lstrip("/"), safe=PATH_CHARACTERS, errors="replace")
