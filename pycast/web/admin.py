"""`/admin/…` and `/admin.cgi`: Icecast 2.4.4's commands, answers and order of checks.

An unknown command is refused before credentials are looked at; with `mount=` the admin's or that mount's source's
credentials are taken, without it the admin's alone (`streamlist.txt`: the relay's). The reasons for what differs from
2.4.4 stand at the place.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pycast.auth.credentials import Credentials, is_admin, is_relay, is_source
from pycast.config.schema import Config
from pycast.control.control import Control
from pycast.errors import Refused
from pycast.http.headers import basic_credentials
from pycast.http.icy import decode_title
from pycast.http.query import parse_form
from pycast.http.request import Request
from pycast.http.response import HTML, PLAIN, Response
from pycast.stats.icestats import find_mount
from pycast.stats.xml import iceresponse, listclients, listmounts, stats_document, streamlist_text
from pycast.web.site import Site

log = logging.getLogger(__name__)

XML = "text/xml; charset=utf-8"
Parameters = Mapping[str, bytes]

SUCCESS = "<html><head><title>Admin request successful</title></head><body><p>%s</p></body></html>"
TITLE_SET = "Metadata update successful"
TITLE_REFUSED = "Mountpoint will not accept URL updates"


def admin(site: Site, request: Request, body: bytes) -> Response:
    """Answers `/admin/<command>[.xsl]`. Raises Refused."""
    command = request.path.removeprefix("/admin/").removesuffix(".xsl") or "stats"
    parameters = {**request.query, **parse_form(body)}
    given = basic_credentials(request.headers)
    view = _view(site, parameters)
    if "mount" in parameters:
        return _with_mount(view, command, parameters, given)
    if command in FOR_NODE:
        wanted = FOR_NODE[command]
        if not (is_admin(site.settings.now, given) or (wanted.relay_may and is_relay(site.settings.now, given))):
            raise _unauthorized(f"/admin/{command}")
        return wanted.run(view)
    if command not in FOR_MOUNT:
        raise Refused("Unrecognised command", status=400, cause=f"/admin/{command}")
    if not is_admin(site.settings.now, given):
        raise _unauthorized(f"/admin/{command}")
    raise Refused("Unknown admin request", status=400, cause=f"/admin/{command} without mount")


def admin_cgi(site: Site, request: Request, body: bytes) -> Response:
    """`/admin.cgi?mode=updinfo&pass=…&song=…`: how SHOUTcast's encoders set the title. Raises Refused."""
    parameters = {**request.query, **parse_form(body)}
    if _text(parameters, "mode") != "updinfo":
        raise Refused("No such action", status=400)
    if "pass" not in parameters:
        raise Refused("missing pass parameter", status=400)
    name = _text(parameters, "mount") or next(
        (one.shoutcast_mount for one in site.settings.now.listen if one.shoutcast_mount), ""
    )
    # DSP plug-ins that share a port by "/mount:password" say the same here.
    mount_part, colon, password = _text(parameters, "pass").partition(":")
    if not (colon and mount_part.startswith("/")):
        mount_part, password = name, _text(parameters, "pass")
    if not is_source(site.settings.now, mount_part, (site.settings.now.for_mount(mount_part).username, password)):
        raise _unauthorized("/admin.cgi")
    view = _view(site, parameters)
    reply = TITLE_SET if _set_title(view, _running(view, mount_part), parameters) else TITLE_REFUSED
    return Response(200, (SUCCESS % reply).encode(), HTML)


def _view(site: Site, parameters: Parameters) -> "View":
    """What the command is about: the cluster, or with `scope=node` this node alone."""
    return View(site.settings.now, site.local if _text(parameters, "scope") == "node" else site.cluster_wide)


def _with_mount(view: "View", command: str, parameters: Parameters, given: Credentials | None) -> Response:
    if command not in FOR_MOUNT and command not in FOR_NODE:
        raise Refused("Unrecognised command", status=400, cause=f"/admin/{command}")
    name = _text(parameters, "mount")
    if not is_admin(view.config, given) and not is_source(view.config, name, given):
        raise _unauthorized(f"/admin/{command} for {name}")
    _running(view, name)
    if command not in FOR_MOUNT:
        raise Refused("Mount request unknown", status=400, cause=f"/admin/{command} for {name}")
    return FOR_MOUNT[command](view, name, parameters)


def _stats(view: "View") -> Response:
    return Response(200, stats_document(view.nodes.snapshot()), XML)


def _listmounts(view: "View") -> Response:
    return Response(200, listmounts(view.nodes.snapshot()), XML)


def _streamlist_text(view: "View") -> Response:
    return Response(200, streamlist_text(view.nodes.snapshot()), PLAIN)


def _mount_stats(view: "View", mount: str, parameters: Parameters) -> Response:
    return Response(200, stats_document(view.nodes.snapshot(), mount), XML)


def _listclients(view: "View", mount: str, parameters: Parameters) -> Response:
    listeners = view.nodes.listeners(mount)
    shown = find_mount(view.nodes.snapshot(), mount)
    if shown is None:  # its source is on another node, which does not answer now
        raise _no_source(mount)
    return Response(200, listclients(replace(shown, listeners=len(listeners)), listeners), XML)


def _killclient(view: "View", mount: str, parameters: Parameters) -> Response:
    text = _required(parameters, "id")
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    if not is_number or not view.nodes.kill(mount, int(text)):
        return _ice(f"Client {text} not found", 0)
    return _ice(f"Client {text} removed", 1)


def _killsource(view: "View", mount: str, parameters: Parameters) -> Response:
    view.nodes.kill_source(mount)
    return _ice("Source Removed", 1)


def _moveclients(view: "View", mount: str, parameters: Parameters) -> Response:
    if "destination" not in parameters:
        return Response(200, listmounts(view.nodes.snapshot(), mount), XML)
    destination = _text(parameters, "destination")
    if not view.nodes.knows(destination):
        raise Refused("No such destination", status=400, cause=f"no mount {destination}")
    if destination == mount:
        raise Refused("supplied mountpoints are identical", status=400)
    view.nodes.move(mount, destination)
    return _ice(f"Clients moved from {mount} to {destination}", 1)


def _metadata(view: "View", mount: str, parameters: Parameters) -> Response:
    if _required(parameters, "mode") != "updinfo":
        return _ice("No such action", 0)
    return _ice(TITLE_SET if _set_title(view, mount, parameters) else TITLE_REFUSED, 1)


def _set_title(view: "View", mount: str, parameters: Parameters) -> bool:
    """Sets what plays. `song` replaces artist and title (2.4.4 leaves an old artist in place, which mislabels the
    song).
    """
    charset = _text(parameters, "charset") or view.config.for_mount(mount).charset or None
    artist, title, song, url = (
        decode_title(parameters.get(name, b""), charset).strip() for name in ("artist", "title", "song", "url")
    )
    if "song" in parameters:
        return view.nodes.set_title(mount, "", song, url)
    if "title" in parameters or "artist" in parameters:
        return view.nodes.set_title(mount, artist, title, url)
    raise Refused("Missing parameter", status=400, cause=f"metadata for {mount} without song, title or artist")


def _running(view: "View", name: str) -> str:
    """`name`, if there is such a mount."""
    if not view.nodes.knows(name):
        raise _no_source(name)
    return name


def _no_source(name: str) -> Refused:
    return Refused("Source does not exist", status=400, cause=f"no mount {name}")


def _required(parameters: Parameters, name: str) -> str:
    if name not in parameters:
        raise Refused("Missing parameter", status=400, cause=f"without {name}")
    return _text(parameters, name)


def _text(parameters: Parameters, name: str) -> str:
    return decode_title(parameters.get(name, b""))


def _ice(message: str, result: int) -> Response:
    return Response(200, iceresponse(message, result), XML)


def _unauthorized(what: str) -> Refused:
    return Refused("You need to authenticate", status=401, cause=f"wrong credentials for {what}")


@dataclass(frozen=True, slots=True)
class View:
    """What a command sees: the configuration of this node, and the nodes that it is about."""

    config: Config
    nodes: Control


@dataclass(frozen=True, slots=True)
class NodeCommand:
    """A command that is about the whole node."""

    run: Callable[[View], Response]
    relay_may: bool = False


FOR_NODE: dict[str, NodeCommand] = {
    "stats": NodeCommand(_stats),
    "stats.xml": NodeCommand(_stats),
    "listmounts": NodeCommand(_listmounts),
    "streamlist": NodeCommand(_listmounts),
    # Icecast takes the relay's credentials only; refusing the admin what every relay may see helps nobody.
    "streamlist.txt": NodeCommand(_streamlist_text, relay_may=True),
}

FOR_MOUNT: dict[str, Callable[[View, str, Parameters], Response]] = {
    "stats": _mount_stats,
    "stats.xml": _mount_stats,
    "listclients": _listclients,
    "killclient": _killclient,
    "killsource": _killsource,
    "metadata": _metadata,
    "moveclients": _moveclients,
}
