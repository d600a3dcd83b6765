"""`/livez` and `/readyz`, for balancers and orchestrators. They look at this process only and ask nobody else.

A full server is ready all the same: it refuses with 503 and `Retry-After` whom it cannot take. If it called itself not
ready, a balancer would take it for broken, and one server after the other: with all of them full nobody would be left
to answer at all. How much a server can still take is said by its weight
(`balance/haproxy_agent.py`) and in the metrics.
"""

from pycast.http.request import Request
from pycast.http.response import PLAIN, Response
from pycast.web.site import Site


def livez(site: Site, request: Request) -> Response:
    """200 while the loop turns: this answer is the proof."""
    return Response(200, b"alive\n", PLAIN)


def readyz(site: Site, request: Request) -> Response:
    """200 while new listeners are welcome, else 503; with `?mount=/x` also 503 while that mount has no source."""
    name = request.query.text("mount")
    if not site.readiness.is_ready:
        return Response(503, b"not ready: draining or stopping\n", PLAIN)
    if name and not site.finder.has_source(name):
        return Response(503, b"not ready: the mount has no source\n", PLAIN)
    return Response(200, b"ready\n", PLAIN)
