"""`/admin/cluster` (JSON) and `/admin/nodes` (a page): the cluster as this node sees it, for its admin.

Which machines there are, and where, is the operator's business: the public page says only how many. Loads are what the
nodes say when they are asked; of one that does not answer, what it said last.
"""

import json

from pycast.auth.credentials import is_admin
from pycast.errors import Refused
from pycast.http.headers import basic_credentials
from pycast.http.request import Request
from pycast.http.response import Response
from pycast.stats.snapshot import ClusterSnapshot, MemberSnapshot
from pycast.web.nodes_page import render_nodes
from pycast.web.site import Site

HTML = "text/html; charset=utf-8"
JSON = "application/json"


def cluster_json(site: Site, request: Request) -> Response:
    """`/admin/cluster`. Raises Refused."""
    _admin_only(site, request)
    cluster = _seen_from(site)
    text = json.dumps(
        {
            "name": cluster.name,
            "node": cluster.node,
            "registry": cluster.registry,
            "registry_up": cluster.is_registry_up,
            "nodes": [_member(member) for member in cluster.members],
            "origins": {mount: member.node for member in cluster.members for mount in member.origins},
            "waiting": cluster.waiting,
            "mirrors": [mount.name for mount in site.local.snapshot().mounts if mount.is_mirror],
        }
    )
    return Response(200, f"{text}\n".encode(), JSON)


def nodes_page(site: Site, request: Request) -> Response:
    """`/admin/nodes`. Raises Refused."""
    _admin_only(site, request)
    return Response(200, render_nodes(_seen_from(site), site.settings.now.server.server_id), HTML)


def _member(member: MemberSnapshot) -> dict[str, object]:
    return {
        "node": member.node,
        "address": member.address,
        "zone": member.zone,
        "status": member.status,
        "state": member.state,
        "listeners": member.listeners,
        "used": member.used,
        "slots": member.slots,
        "headroom_percent": member.weight,
        "version": member.version,
        "origins": list(member.origins),
    }


def _admin_only(site: Site, request: Request) -> None:
    if not is_admin(site.settings.now, basic_credentials(request.headers)):
        raise Refused("You need to authenticate", status=401, cause=f"wrong credentials for {request.path}")


def _seen_from(site: Site) -> ClusterSnapshot:
    """May switch."""
    cluster = site.cluster_wide.snapshot().cluster
    if cluster is None:
        raise Refused("This server is not in a cluster", status=404)
    return cluster
