"""What everybody may ask for: pages, status, playlists, metrics."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

from pycast.auth.credentials import is_admin
from pycast.control.control import Control
from pycast.http.headers import basic_credentials
from pycast.http.request import Request
from pycast.http.response import Response
from pycast.stats.icestats import visible_mounts
from pycast.stats.playlists import M3U_TYPE, PLS_TYPE, VCLT_TYPE, XSPF_TYPE, m3u, pls, stream_url, vclt, xspf
from pycast.stats.status_json import status_json
from pycast.web.metrics import render_metrics
from pycast.web.pages import render_server_info, render_status
from pycast.web.site import Site

HTML = "text/html; charset=utf-8"
JSON = "application/json; charset=UTF-8"

# What a Host header may be to stand in a page or a playlist: a name, an IPv4 or bracketed IPv6 address, and a port.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")


def status_page(site: Site, request: Request) -> Response:
    """`/` and `/status.xsl[?mount=/x]`."""
    snapshot = _nodes(site, request).snapshot()
    mounts = visible_mounts(snapshot, request.query.text("mount") or None)
    return Response(200, render_status(replace(snapshot, mounts=mounts), base_url=base_url(site, request)), HTML)


def server_version(site: Site, request: Request) -> Response:
    """`/server_version.xsl`."""
    return Response(200, render_server_info(site.local.snapshot()), HTML)


def status_json_page(site: Site, request: Request) -> Response:
    """`/status-json.xsl[?mount=/x]`."""
    return Response(200, status_json(_nodes(site, request).snapshot(), request.query.text("mount") or None), JSON)


def metrics(site: Site, request: Request) -> Response:
    """`/metrics`: to everybody without hidden mounts, with the admin's credentials all."""
    snapshot = site.local.snapshot()
    if not is_admin(site.settings.now, basic_credentials(request.headers)):
        snapshot = replace(snapshot, mounts=visible_mounts(snapshot))
    body, content_type = render_metrics(snapshot)
    return Response(200, body, content_type)


def playlist(site: Site, request: Request, mount: str, kind: str) -> Response:
    """The playlist of `mount`; whether it is there is not asked, as in Icecast: a player may be started before the
    source.
    """
    base = base_url(site, request)
    url = stream_url(base, mount)
    match kind:
        case "m3u":
            return Response(200, m3u(url), M3U_TYPE)
        case "pls":
            known = site.finder.on_this_node(mount)
            name = known.description.info.name if known and known.description else ""
            return Response(200, pls([(url, name)]), PLS_TYPE)
        case "xspf":
            return Response(200, xspf(replace(site.cluster_wide.snapshot(), listen_url=base), mount), XSPF_TYPE)
        case _:
            return Response(200, vclt(replace(site.cluster_wide.snapshot(), listen_url=base), mount), VCLT_TYPE)


def _nodes(site: Site, request: Request) -> Control:
    """The cluster, or with `?scope=node` this node alone."""
    return site.local if request.query.text("scope") == "node" else site.cluster_wide


def base_url(site: Site, request: Request) -> str:
    """`http://host:port` as this client reached us, so that what we hand out works behind a balancer or a port mapping
    too.
    """
    host = request.headers.get("host")
    scheme = request.scheme or urlsplit(site.address.url).scheme
    return f"{scheme}://{host}" if _HOST.match(host) else site.address.url
