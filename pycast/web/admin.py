"""`/admin/…` and `/admin.cgi`: Icecast 2.4.4's commands, answers and order of checks.

An unknown command is refused before credentials are checked. With `mount=`, the credentials of the admin and of that
mount's source are accepted; without it only the admin's (for `streamlist.txt` also a relay's). Whether the mount exists
is checked after the credentials. A comment in the code gives the reason where this differs from 2.4.4. A new command is
one row of `FOR_NODE` or `FOR_MOUNT`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pycast.auth.credentials import is_admin, is_source
from pycast.auth.known_passwords import password_advice
from pycast.errors import Refused
from pycast.http.headers import basic_credentials
from pycast.http.icy import decode_title
from pycast.http.mount_names import why_no_mount
from pycast.http.response import HTML, PLAIN, Response
from pycast.http.titles import choose
from pycast.stats.icestats import find_mount
from pycast.stats.xml import iceresponse, listclients, listmounts, stats_document, streamlist_text
from pycast.web.manage_users import manage_users
from pycast.web.public import stats_url
from pycast.web.route import ADMIN, FORM, RELAYS, TITLES, Access, Call, Handler, Route, shoutcast_login

if TYPE_CHECKING:
    from pycast.stats.snapshot import NodeSnapshot

XML = "text/xml; charset=utf-8"

# Where icecast-kh's slaves get the list of mounts, and with `mount=` each stream.
STREAMS = "/admin/streams"

SUCCESS = "<html><head><title>Admin request successful</title></head><body><p>%s</p></body></html>"
TITLE_SET = "Metadata update successful"
TITLE_REFUSED = "Mountpoint will not accept URL updates"


def find_command(call: Call) -> Route:
    """Returns the row of `/admin/<command>[.xsl]`. Raises Refused for an unknown command."""
    name = _command(call.request.path)
    node, mount = FOR_NODE.get(name), FOR_MOUNT.get(name)
    if node is None and mount is None:
        raise Refused("Unrecognised command", status=400, cause=f"/admin/{name}")
    if "mount" in call.parameters:
        return mount or NOT_FOR_MOUNT
    return node or NOT_FOR_NODE


def kind_of(path: str) -> frozenset[str]:
    """Returns the kind of `/admin/<command>`: encoders set titles where sources are served, and servers that relay
    get their list where listeners are. With `mount=` or without, a command is of one kind.
    """
    name = _command(path)
    return (FOR_NODE.get(name) or FOR_MOUNT.get(name) or NOT_FOR_NODE).kind


def check_cgi(call: Call) -> None:
    """Raises Refused for what `/admin.cgi` cannot do, before credentials are checked."""
    if call.text("mode") != "updinfo":
        raise Refused("No such action", status=400)
    if "pass" not in call.parameters:
        raise Refused("missing pass parameter", status=400)


def admin_cgi(call: Call) -> Response:
    """Answers `/admin.cgi?mode=updinfo&pass=…&song=…`, with which SHOUTcast encoders set the title. Raises Refused."""
    mount, _ = shoutcast_login(call)
    _check_mount(call, mount)
    reply = TITLE_SET if _set_title(call, mount) else TITLE_REFUSED
    return Response(200, (SUCCESS % reply).encode(), HTML)


def _stats(call: Call) -> Response:
    # Browsers show this to an admin who opens /admin/.
    return Response(200, stats_document(_snapshot(call), None, password_advice(call.config)), XML)


def _snapshot(call: Call) -> "NodeSnapshot":
    """Returns the statistics, with the addresses that the client can use."""
    return replace(call.control.snapshot(), listen_url=stats_url(call))


def _listmounts(call: Call) -> Response:
    return Response(200, listmounts(call.control.snapshot()), XML)


def _streamlist_text(call: Call) -> Response:
    return Response(200, streamlist_text(call.control.snapshot()), PLAIN)


def _streams(call: Call) -> Response:
    """Answers icecast-kh's slaves: each line is where they get a stream. The handler of `server` gives it to them."""
    return Response(200, streamlist_text(call.control.snapshot(), f"{STREAMS}?mount="), PLAIN)


def _stream(call: Call, mount: str) -> Response:
    """Gives another server the stream itself: it may have it although the mount is full."""
    return Response(200, stream=mount)


def _no_node_command(call: Call) -> Response:
    raise Refused("Unknown admin request", status=400, cause=f"{call.request.path} without mount")


def _mount_stats(call: Call, mount: str) -> Response:
    return Response(200, stats_document(_snapshot(call), mount), XML)


def _listclients(call: Call, mount: str) -> Response:
    listeners = call.control.listeners(mount)
    shown = find_mount(call.control.snapshot(), mount)
    if shown is None:  # its source is on another node, which does not answer
        raise _no_source(mount)
    return Response(200, listclients(replace(shown, listeners=len(listeners)), listeners), XML)


def _killclient(call: Call, mount: str) -> Response:
    text = _required(call, "id")
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    if not is_number or not call.control.kill(mount, int(text)):
        return _ice(f"Client {text} not found", 0)
    return _ice(f"Client {text} removed", 1)


def _killsource(call: Call, mount: str) -> Response:
    call.control.kill_source(mount)
    return _ice("Source Removed", 1)


def _moveclients(call: Call, mount: str) -> Response:
    if "destination" not in call.parameters:
        return Response(200, listmounts(_shown_to(call, call.control.snapshot()), mount), XML)
    destination = call.text("destination")
    if why := why_no_mount(destination):
        raise Refused(f"This name cannot be a mount: {why}", cause=f"destination {destination}: {why}")
    # What a source may not see does not exist for it.
    is_secret = _is_hidden(call, call.control.snapshot(), destination) and not _opens(call, destination)
    if is_secret or not call.control.knows(destination):
        raise Refused("No such destination", status=400, cause=f"no mount {destination}")
    if destination == mount:
        raise Refused("supplied mountpoints are identical", status=400)
    if not _opens(call, destination) and not call.config.lets_on(mount, destination):
        cause = f"the listeners of {mount} have not given what {destination} asks for"
        raise Refused("The listeners of this mount may not hear that one", cause=cause)
    call.control.move(mount, destination)
    return _ice(f"Clients moved from {mount} to {destination}", 1)


def _manageauth(call: Call) -> Response:
    return Response(200, manage_users(call), XML)


def _metadata(call: Call, mount: str) -> Response:
    if _required(call, "mode") != "updinfo":
        return _ice("No such action", 0)
    return _ice(TITLE_SET if _set_title(call, mount) else TITLE_REFUSED, 1)


def _opens(call: Call, mount: str) -> bool:
    """Whether the request's credentials, which are right already, are the admin's or those of that mount too."""
    given = basic_credentials(call.request.headers)
    by_admin = "admin" in call.door.serves and is_admin(call.config, given)
    return by_admin or mount == call.text("mount") or is_source(call.config, mount, given)


def _shown_to(call: Call, snapshot: "NodeSnapshot") -> "NodeSnapshot":
    """Returns the statistics without the hidden mounts, and their names as fallbacks, that this client does not own."""
    names = {mount.name for mount in snapshot.mounts} | {mount.fallback for mount in snapshot.mounts}
    secret = {name for name in names if _is_hidden(call, snapshot, name) and not _opens(call, name)}
    mounts = (mount for mount in snapshot.mounts if mount.name not in secret)
    shown = (replace(mount, fallback="") if mount.fallback in secret else mount for mount in mounts)
    return replace(snapshot, mounts=tuple(shown))


def _is_hidden(call: Call, snapshot: "NodeSnapshot", mount: str) -> bool:
    """Whether the mount is hidden here or on the node that has its source."""
    found = find_mount(snapshot, mount)
    return call.config.for_mount(mount).hidden or (found is not None and found.hidden)


def _no_mount_command(call: Call, mount: str) -> Response:
    raise Refused("Mount request unknown", status=400, cause=f"{call.request.path} for {mount}")


def _set_title(call: Call, mount: str) -> bool:
    """Sets the title. Artist and title count before `song`, which replaces both (2.4.4 keeps an old artist, which
    mislabels the song). Returns whether the stream takes titles. Raises Refused.
    """
    if call.parameters.keys().isdisjoint(("song", "title", "artist")):
        raise Refused("Missing parameter", status=400, cause=f"metadata for {mount} without song, title or artist")
    charset = call.text("charset") or call.config.for_mount(mount).charset or None
    song, artist, title, url = (
        decode_title(call.parameters.get(name, b""), charset) for name in ("song", "artist", "title", "url")
    )
    # What an admin sets is for the mount, whoever is on the air.
    sender = "" if is_admin(call.config, basic_credentials(call.request.headers)) else call.door.ip
    return call.control.set_title(mount, *choose(song, artist, title), url, sender)


def _check_mount(call: Call, name: str) -> None:
    """Raises Refused if no node has the mount."""
    if not call.control.knows(name):
        raise _no_source(name)


def _no_source(name: str) -> Refused:
    return Refused("Source does not exist", status=400, cause=f"no mount {name}")


def _required(call: Call, name: str) -> str:
    if name not in call.parameters:
        raise Refused("Missing parameter", status=400, cause=f"without {name}")
    return call.text(name)


def _ice(message: str, result: int) -> Response:
    return Response(200, iceresponse(message, result), XML)


def _command(path: str) -> str:
    return path.removeprefix("/admin/").removesuffix(".xsl") or "stats"


def _on_mount(run: Callable[[Call, str], Response]) -> Handler:
    """Returns the handler of a command about the mount in `mount=`; it raises Refused if there is no such mount."""

    def handler(call: Call) -> Response:
        name = call.text("mount")
        _check_mount(call, name)
        return run(call, name)

    return handler


def _by_command(*routes: Route) -> dict[str, Route]:
    return {route.path.removeprefix("/admin/"): route for route in routes}


# Commands without `mount=`.
FOR_NODE = _by_command(
    Route("/admin/stats", _stats, ADMIN, Access.ADMIN, FORM),
    Route("/admin/stats.xml", _stats, ADMIN, Access.ADMIN, FORM),
    Route("/admin/listmounts", _listmounts, ADMIN, Access.ADMIN, FORM),
    Route("/admin/streamlist", _listmounts, ADMIN, Access.ADMIN, FORM),
    # Icecast accepts the relay's credentials only. The admin may see what any relay sees.
    Route("/admin/streamlist.txt", _streamlist_text, RELAYS, Access.RELAY, FORM),
    Route(STREAMS, _streams, RELAYS, Access.RELAY, FORM),
)
NOT_FOR_NODE = Route("/admin/", _no_node_command, ADMIN, Access.ADMIN, FORM)

# Commands with `mount=`.
FOR_MOUNT = _by_command(
    Route("/admin/stats", _on_mount(_mount_stats), ADMIN, Access.SOURCE, FORM),
    Route("/admin/stats.xml", _on_mount(_mount_stats), ADMIN, Access.SOURCE, FORM),
    Route("/admin/listclients", _on_mount(_listclients), ADMIN, Access.SOURCE, FORM),
    Route("/admin/killclient", _on_mount(_killclient), ADMIN, Access.SOURCE, FORM),
    Route("/admin/killsource", _on_mount(_killsource), ADMIN, Access.SOURCE, FORM),
    Route("/admin/metadata", _on_mount(_metadata), TITLES, Access.SOURCE, FORM),
    Route("/admin/moveclients", _on_mount(_moveclients), ADMIN, Access.SOURCE, FORM),
    Route(STREAMS, _on_mount(_stream), RELAYS, Access.RELAY),
    # Of a mount that has no source just now, too: users are managed at any time.
    Route("/admin/manageauth", _manageauth, ADMIN, Access.SOURCE, FORM),
)
NOT_FOR_MOUNT = Route("/admin/", _on_mount(_no_mount_command), ADMIN, Access.SOURCE, FORM)
