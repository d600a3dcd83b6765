"""`/livez` and `/readyz`, for balancers and orchestrators. They look at this process only and ask nobody else."""

from pycast.http.request import Request
from pycast.http.response import PLAIN, Response
from pycast.stream.mount import State
from pycast.web.site import Site


def livez(site: Site, request: Request) -> Response:
    """200 while the loop turns: this answer is the proof."""
    return Response(200, b"alive\n", PLAIN)


def readyz(site: Site, request: Request) -> Response:
    """200 while new listeners are welcome, else 503; with `?mount=/x` also 503 while that mount has no source."""
    name = request.query.text("mount")
    if not site.is_ready:
        return Response(503, b"not ready: full or stopping\n", PLAIN)
    if name:
        mount = site.mounts.get(name)
        if mount is None or mount.state is not State.LIVE:
            return Response(503, b"not ready: the mount has no source\n", PLAIN)
    return Response(200, b"ready\n", PLAIN)
