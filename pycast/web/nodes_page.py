"""The page of `/admin/nodes`: every node of the cluster, how it is, what it carries.

From a snapshot to HTML, as `pages.py`. It works without JavaScript: the browser loads it again every few seconds.
"""

from dataclasses import dataclass
from urllib.parse import quote

from pycast.stats.snapshot import ClusterSnapshot, MemberSnapshot
from pycast.web.pages import PATH_CHARACTERS, clean, nodes_in_words, render

REFRESH_S = 5


@dataclass(frozen=True, slots=True)
class _Node:
    """One node as the template shows it; every text is clean, not escaped."""

    name: str
    is_here: bool
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
    """Names of mounts, and where they are, relative to the page."""


def render_nodes(cluster: ClusterSnapshot, server_id: str) -> bytes:
    """The page, UTF-8 `text/html`."""
    return render(
        "nodes.html",
        refresh_s=REFRESH_S,
        brand=clean(cluster.name),
        server_id=clean(server_id),
        cluster=cluster,
        here=clean(cluster.node),
        tally=nodes_in_words(cluster),
        nodes=[_node(member, cluster.node) for member in cluster.members],
        listening=sum(member.listeners for member in cluster.members if member.status != "dead"),
    )


def _node(member: MemberSnapshot, local: str) -> _Node:
    return _Node(
        name=clean(member.node),
        is_here=member.node == local,
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
