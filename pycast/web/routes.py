"""Every URL that is not a mount, in one table, and the answers to methods that are about no URL."""

from collections.abc import Callable

from pycast.errors import Refused
from pycast.http.mount_names import is_mount_name, playlist_target
from pycast.http.request import Request
from pycast.http.response import Response, options_response
from pycast.web import admin, cluster, drain, health, public
from pycast.web.site import Site

DRAIN_PATH = "/admin/drain"

# Served from the reserve too: what keeps a full server in touch with those who direct its traffic.
HEALTH_PATHS = frozenset({"/livez", "/readyz", DRAIN_PATH})

ROUTES: dict[str, Callable[[Site, Request], Response]] = {
    "/": public.status_page,
    "/status.xsl": public.status_page,
    "/server_version.xsl": public.server_version,
    "/status-json.xsl": public.status_json_page,
    "/livez": health.livez,
    "/readyz": health.readyz,
    "/metrics": public.metrics,
}

FOR_CLUSTER: dict[str, Callable[[Site, Request], Response]] = {
    "/admin/cluster": cluster.cluster_json,
    "/admin/nodes": cluster.nodes_page,
}

# libshout uses PUT if it is listed, and SOURCE otherwise.
ALLOW = "GET, HEAD, OPTIONS, PUT, SOURCE"

# A player in a page asks for titles with `Icy-MetaData`, which the browser lets through only after this.
PREFLIGHT = (
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
    ("Access-Control-Allow-Headers", "Accept, Authorization, Icy-MetaData, Origin, Range"),
    ("Access-Control-Max-Age", "86400"),
)


def may_be_mount(path: str) -> bool:
    """Whether a source may have this name: not that of a page, which the mount would hide."""
    return is_mount_name(path) and path not in ROUTES


def answer(site: Site, request: Request, body: bytes) -> Response:
    """The answer to a request that is neither a source's nor a listener's. Raises Refused."""
    path = request.path
    if request.method == "OPTIONS":
        return options_response(ALLOW, PREFLIGHT if request.headers.get("origin") else ())
    if request.method in ("GET", "HEAD", "POST"):
        if path == "/admin.cgi":
            return admin.admin_cgi(site, request, body)
        if path == DRAIN_PATH:
            return drain.drain(site, request, body)
        if path in FOR_CLUSTER:
            return FOR_CLUSTER[path](site, request)
        if path.startswith("/admin/"):
            return admin.admin(site, request, body)
    if request.method not in ("GET", "HEAD"):
        raise Refused(
            f"{request.method} is not possible here: players use GET, sources PUT or SOURCE",
            status=405,
            headers=(("Allow", ALLOW),),
        )
    site.counters.file_connections += 1
    if path in ROUTES:
        return ROUTES[path](site, request)
    target = playlist_target(path)
    if target is not None:
        return public.playlist(site, request, *target)
    raise Refused("The file you requested could not be found", status=404, cause="no such mount")
