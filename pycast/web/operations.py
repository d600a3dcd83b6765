"""Handlers for operators: health, metrics, the drain, the cluster.

`/livez` and `/readyz` look at this process only; `/metrics` has all workers of this server, as any of them may be
asked. A full server is still ready: it refuses further clients with 503 and `Retry-After`. If it reported that it is
not ready, a balancer would take it for broken; with all servers full, none would be left to answer. How much a server
can still take is reported by its weight (`balance/haproxy_agent.py`) and in the metrics.

The names and addresses of a cluster's nodes are for the admin only; the public page shows how many there are. Each node
is asked for its load when a page needs it; of a node that does not answer, the page shows its last report.
"""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from pycast.auth.known_passwords import password_advice
from pycast.errors import Refused
from pycast.http.response import HTML, PLAIN, Response
from pycast.stats.icestats import visible_mounts
from pycast.web.metrics import CONTENT_TYPE as METRICS
from pycast.web.metrics import render_metrics
from pycast.web.route import Call

if TYPE_CHECKING:
    from pycast.stats.snapshot import ClusterSnapshot, MemberSnapshot

JSON = "application/json"

# The admin's metrics have more than everybody's.
BY_PASSWORD = (("Vary", "Authorization"),)


def livez(call: Call) -> Response:
    """Answers `/livez` with 200: whatever can answer is alive."""
    return Response(200, b"alive\n", PLAIN)


def readyz(call: Call) -> Response:
    """Answers `/readyz` with 200 while the server takes new listeners, else 503; with `?mount=/x` also 503 while that
    mount has no source.
    """
    name = call.request.query.text("mount")
    if not call.site.readiness.is_ready:
        return Response(503, b"not ready: draining or stopping\n", PLAIN)
    if name and not call.site.finder.has_source(name):
        return Response(503, b"not ready: the mount has no source\n", PLAIN)
    return Response(200, b"ready\n", PLAIN)


def metrics(call: Call) -> Response:
    """Answers `/metrics` for the admin: with hidden mounts."""
    return Response(200, render_metrics(call.site.cluster_wide.workers()), METRICS, BY_PASSWORD)


def public_metrics(call: Call) -> Response:
    """Answers `/metrics` for all others: without hidden mounts."""

    def render() -> bytes:
        workers = call.site.cluster_wide.workers()
        return render_metrics([replace(one, mounts=visible_mounts(one)) for one in workers])

    return call.site.pages.get("metrics", None, render).answer(call.request, METRICS, BY_PASSWORD)


def drain(call: Call) -> Response:
    """Answers `/admin/drain` with the drain's progress as JSON. A POST starts a drain first (`?now=1`: without its
    lead) or cancels it (`?cancel=1`). May switch.

    Icecast's commands act on a GET. This one does not: a browser that prefetches a link must not take a server out of
    service.
    """
    worker_drain = call.site.drain
    if call.request.method == "POST":
        if call.parameters.get("cancel", b"0") != b"0":
            worker_drain.cancel()
        else:
            worker_drain.begin(now=call.parameters.get("now", b"0") != b"0")
    progress = worker_drain.progress()._asdict()
    return _json(progress | {"state": progress["state"].value})


def cluster_json(call: Call) -> Response:
    """Answers `/admin/cluster` with the cluster as JSON. Raises Refused without one. May switch."""
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
    """Answers `/admin/nodes` with a page. Raises Refused without a cluster. May switch."""
    from pycast.web.nodes_page import render_nodes  # not before it is needed, as in public.py
    from pycast.web.page_templates import headers

    warnings = tuple(password_advice(call.config))
    return Response(200, render_nodes(_cluster(call), call.config.server.server_id, warnings), HTML, headers())


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
    """Returns the cluster as this node sees it. Raises Refused if there is none. May switch."""
    cluster = call.site.cluster_wide.snapshot().cluster
    if cluster is None:
        raise Refused("This server is not in a cluster", status=404)
    return cluster
