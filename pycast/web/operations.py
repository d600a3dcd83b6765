"""Handlers for those who run the server: health, metrics, the drain, the cluster.

`/livez` and `/readyz` look at this process only and ask nobody else. A full server is ready all the same: it refuses
with 503 and `Retry-After` whom it cannot take. If it called itself not ready, a balancer would take it for broken, and
one server after the other: with all of them full nobody would be left to answer at all. How much a server can still
take is said by its weight (`balance/haproxy_agent.py`) and in the metrics.

Which machines a cluster has, and where, is for the admin only; the public page says how many. Loads are what the nodes
say when they are asked; of one that does not answer, what it said last.
"""

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from pycast.errors import Refused
from pycast.http.response import HTML, PLAIN, Response
from pycast.stats.icestats import visible_mounts
from pycast.web.metrics import render_metrics
from pycast.web.route import Call

if TYPE_CHECKING:
    from pycast.stats.snapshot import ClusterSnapshot, MemberSnapshot, NodeSnapshot

JSON = "application/json"


def livez(call: Call) -> Response:
    """`/livez`: 200 while the loop turns; this answer is the proof."""
    return Response(200, b"alive\n", PLAIN)


def readyz(call: Call) -> Response:
    """`/readyz`: 200 while new listeners are welcome, else 503; with `?mount=/x` also 503 while that mount has no
    source.
    """
    name = call.request.query.text("mount")
    if not call.site.readiness.is_ready:
        return Response(503, b"not ready: draining or stopping\n", PLAIN)
    if name and not call.site.finder.has_source(name):
        return Response(503, b"not ready: the mount has no source\n", PLAIN)
    return Response(200, b"ready\n", PLAIN)


def metrics(call: Call) -> Response:
    """`/metrics` for the admin: with hidden mounts."""
    return _metrics(call.site.local.snapshot())


def public_metrics(call: Call) -> Response:
    """`/metrics` for everybody else."""
    snapshot = call.site.local.snapshot()
    return _metrics(replace(snapshot, mounts=visible_mounts(snapshot)))


def drain(call: Call) -> Response:
    """`/admin/drain`: POST begins to empty the server (`?now=1`: without the lead, `?cancel=1`: serves again), GET only
    looks; both answer with where it is, as JSON.

    Icecast's commands act on a GET; this one would take a server out of service because a browser fetched a link ahead
    of time.
    """
    worker_drain = call.site.drain
    if call.request.method == "POST":
        if call.parameters.get("cancel", b"0") != b"0":
            worker_drain.cancel()
        else:
            worker_drain.begin(now=call.parameters.get("now", b"0") != b"0")
    progress = asdict(worker_drain.progress())
    return _json(progress | {"state": progress["state"].value})


def cluster_json(call: Call) -> Response:
    """`/admin/cluster`. Raises Refused."""
    cluster = _cluster(call)
    return _json(
        {
            "name": cluster.name,
            "node": cluster.node,
            "registry": cluster.registry,
            "registry_up": cluster.is_registry_up,
            "nodes": [_member(member) for member in cluster.members],
            "origins": {mount: member.node for member in cluster.members for mount in member.origins},
            "waiting": cluster.waiting,
            "mirrors": [mount.name for mount in call.site.local.snapshot().mounts if mount.is_mirror],
        }
    )


def nodes_page(call: Call) -> Response:
    """`/admin/nodes`. Raises Refused."""
    from pycast.web.nodes_page import render_nodes  # not before it is needed, as in public.py

    return Response(200, render_nodes(_cluster(call), call.config.server.server_id), HTML)


def _metrics(snapshot: "NodeSnapshot") -> Response:
    body, content_type = render_metrics(snapshot)
    return Response(200, body, content_type)


def _json(values: dict[str, object]) -> Response:
    return Response(200, f"{json.dumps(values)}\n".encode(), JSON)


def _member(member: "MemberSnapshot") -> dict[str, object]:
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


def _cluster(call: Call) -> "ClusterSnapshot":
    """Returns the cluster as this node sees it. May switch."""
    cluster = call.site.cluster_wide.snapshot().cluster
    if cluster is None:
        raise Refused("This server is not in a cluster", status=404)
    return cluster
