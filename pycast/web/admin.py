"""`/admin/…` and `/admin.cgi`: the commands of Icecast 2.4.4, and those of 2.5 and icecast-kh that people use.

Credentials are checked first, then whether there is such a command, then the mount. (2.4.4 tells everybody which
commands there are.) What is no command may be a file of `paths.adminroot`, for the admin. With `mount=`, the
credentials of the admin and of that mount's source are accepted; without it only the admin's (for `streamlist.txt` also
a relay's). A comment in the code gives the reason where a command differs from 2.4.4's. A command's name ends in `.xsl`
for a page and in `.json` for JSON: see `admin_looks.py`. A new command is one row of `FOR_NODE` (`admin_node.py`) or
`FOR_MOUNT` (`admin_mounts.py`).
"""

from collections.abc import Callable

from pycast.errors import Refused
from pycast.http.listener_head import wants_page
from pycast.http.response import HTML, Response
from pycast.web import admin_mounts, admin_node
from pycast.web.admin_mounts import check_mount
from pycast.web.admin_node import STREAMS
from pycast.web.manage_users import manage_role, manage_users
from pycast.web.public import GAP, asked_mount, stats_url
from pycast.web.route import ADMIN, FORM, LISTENERS, RELAYS, TITLES, Access, Call, Handler, Route, shoutcast_login

XML = "text/xml; charset=utf-8"

SUCCESS = "<html><head><title>Admin request successful</title></head><body><p>%s</p></body></html>"

Command = Callable[[Call], bytes | Response]
MountCommand = Callable[[Call, str], bytes | Response]

_LOOKS = ("xsl", "json")


def find_command(call: Call) -> Route:
    """Returns the row of `/admin/<command>[.xsl|.json]`; for an unknown one a row that refuses whoever may come in."""
    name = _command(call.request.path)[0]
    node, mount = FOR_NODE.get(name), FOR_MOUNT.get(name)
    if node is None and mount is None:
        return UNKNOWN_FOR_MOUNT if "mount" in call.parameters else UNKNOWN
    if "mount" in call.parameters:
        return mount or NOT_FOR_MOUNT
    return node or NOT_FOR_NODE


def kind_of(path: str) -> frozenset[str]:
    """Returns the kind of `/admin/<command>`: encoders set titles where sources are served, and servers that relay
    get their list where listeners are. With `mount=` or without, a command is of one kind.
    """
    name = _command(path)[0]
    return (FOR_NODE.get(name) or FOR_MOUNT.get(name) or NOT_FOR_NODE).kind


def check_cgi(call: Call) -> None:
    """Raises Refused for what `/admin.cgi` cannot do, before credentials are checked."""
    if call.is_shoutcast_view:
        if not shoutcast_login(call)[0]:
            raise Refused("unknown mountpoint", status=400, cause="no SHOUTcast port, and no mount=")
        return
    if call.text("mode") != "updinfo":
        raise Refused("No such action", status=400)
    if "pass" not in call.parameters:
        raise Refused("missing pass parameter", status=400)


def admin_cgi(call: Call) -> Response:
    """Answers `/admin.cgi?mode=updinfo&pass=…&song=…`, with which SHOUTcast encoders set the title, and `mode=viewxml`.
    Raises Refused. May switch.
    """
    if call.is_shoutcast_view:
        from pycast.web.shoutcast_stats import viewxml  # not at the start of the server

        return viewxml(call)
    mount, _ = shoutcast_login(call)
    check_mount(call, mount)
    return _success(admin_mounts.set_title(call, mount))


def _fallbacks(call: Call, mount: str) -> Response:
    return _success(admin_mounts.fallbacks(call, mount))


def go_to_admin(call: Call) -> Response:
    """Answers `/admin`, which people type, and the addresses of icecast-kh's frames: the pages below /admin/ have what
    is in them.
    """
    return Response(302, b"", "", (("Location", "admin/"),))


def _success(text: str) -> Response:
    return Response(200, (SUCCESS % text).encode(), HTML)


def _file_or_unknown(call: Call) -> Response:
    if call.config.paths.adminroot and call.request.method != "POST":
        from pycast.web.files import maybe_admin_file  # not at the start of the server

        found = maybe_admin_file(call)
        if found is not None:
            return found
    return _unknown(call)


def _unknown(call: Call) -> Response:
    raise Refused("Unrecognised command", status=400, cause=call.request.path)


def _no_node_command(call: Call) -> Response:
    raise Refused("Unknown admin request", status=400, cause=f"{call.request.path} without mount")


def _no_mount_command(call: Call, mount: str) -> Response:
    raise Refused("Mount request unknown", status=400, cause=f"{call.request.path} for {mount}")


def _command(path: str) -> tuple[str, str]:
    """Returns the command in a path, and its look: "xsl", "json", or "" for Icecast's XML."""
    name = path.removeprefix("/admin/")
    if not name:  # what a browser shows to an admin who opens /admin/
        return "stats", "xsl"
    command, _, look = name.rpartition(".")
    return (command or "stats", look) if look in _LOOKS else (name, "")


def _in_look(run: Command) -> Handler:
    """Returns the handler of a command: what it says, in the look that is asked for."""

    def handler(call: Call) -> Response:
        command, look = _command(call.request.path)
        has_nodes = call.site.cluster_wide is not call.site.local
        try:
            said = run(call)
        except Refused as error:
            if look == "xsl" and wants_page(call.request.headers):
                from pycast.web.admin_looks import add_page

                add_page(error, command, has_nodes=has_nodes)
            raise
        if isinstance(said, Response):
            return said
        if not look:
            return Response(200, said, XML)
        if look == "xsl" and call.config.paths.adminroot:
            from pycast.web.xsl import maybe_admin_page  # not at the start of the server

            own = maybe_admin_page(call, command, said)
            if own is not None:
                return own
        from pycast.web import admin_looks  # not before it is needed, as in public.py

        if look == "json":
            return admin_looks.as_json(said)
        return admin_looks.as_page(said, command, call.text("mount"), has_nodes=has_nodes)

    return handler


def _on_mount(run: MountCommand) -> Handler:
    """Returns the handler of a command about the mount in `mount=`; it raises Refused if there is no such mount."""

    def on_mount(call: Call) -> bytes | Response:
        name = call.text("mount")
        check_mount(call, name)
        return run(call, name)

    return _in_look(on_mount)


def _public_stats(call: Call) -> Response:
    """Answers `publicstats`. Everybody may ask, so it is made once for all who do at about the same time, as pages are.
    May switch.
    """
    key, make = f"publicstats {call.scope} {call.request.path}", _in_look(admin_node.publicstats)
    made = call.site.pages.get_made(key, asked_mount(call), lambda: make(call))
    assert isinstance(made.body, bytes)
    return made._replace(body=made.body.replace(GAP, stats_url(call).encode()))


def _for_admin(name: str, run: Command) -> Route:
    return Route(f"/admin/{name}", _in_look(run), ADMIN, Access.ADMIN, FORM)


def _for_source(name: str, run: MountCommand) -> Route:
    return Route(f"/admin/{name}", _on_mount(run), ADMIN, Access.SOURCE, FORM)


def _by_command(*routes: Route) -> dict[str, Route]:
    return {route.path.removeprefix("/admin/"): route for route in routes}


PUBLIC_STATS = Route("/admin/publicstats", _public_stats, LISTENERS)

EVENTFEED = Route("/admin/eventfeed", admin_node.eventfeed, ADMIN, Access.ADMIN, FORM)

# Commands without `mount=`.
FOR_NODE = _by_command(
    _for_admin("stats", admin_node.stats),
    _for_admin("stats.xml", admin_node.stats),
    _for_admin("listmounts", admin_node.listmounts),
    _for_admin("streamlist", admin_node.listmounts),
    _for_admin("manageauth", manage_role),
    # Icecast accepts the relay's credentials only. The admin may see what any relay sees.
    Route("/admin/streamlist.txt", admin_node.streamlist_text, RELAYS, Access.RELAY, FORM),
    Route(STREAMS, admin_node.streams, RELAYS, Access.RELAY, FORM),
    # Of 2.5.
    _for_admin("version", admin_node.version),
    _for_admin("reloadconfig", admin_node.reloadconfig),
    PUBLIC_STATS,
    EVENTFEED,
    # Of icecast-kh; `showlog` of both.
    _for_admin("function", admin_node.function),
    _for_admin("managerelays", admin_node.managerelays),
    _for_admin("showlog", admin_node.showlog),
    _for_admin("logs", admin_node.showlog),
    Route("/admin/showlog.txt", admin_node.showlog_text, ADMIN, Access.ADMIN, FORM),
    # Ours.
    _for_admin("history", admin_node.history),
)
NOT_FOR_NODE = Route("/admin/", _no_node_command, ADMIN, Access.ADMIN, FORM)
UNKNOWN = Route("/admin/", _file_or_unknown, ADMIN, Access.ADMIN, FORM)

# Commands with `mount=`.
FOR_MOUNT = _by_command(
    _for_source("stats", admin_mounts.stats),
    _for_source("stats.xml", admin_mounts.stats),
    _for_source("listclients", admin_mounts.listclients),
    _for_source("killclient", admin_mounts.killclient),
    _for_source("killsource", admin_mounts.killsource),
    Route("/admin/metadata", _on_mount(admin_mounts.metadata), TITLES, Access.SOURCE, FORM),
    _for_source("updatemetadata", admin_mounts.updatemetadata),
    _for_source("moveclients", admin_mounts.moveclients),
    # Icecast's name, and that of icecast-kh.
    _for_source("fallbacks", _fallbacks),
    _for_source("fallback", _fallbacks),
    _for_source("resetstats", admin_mounts.resetstats),
    # Everybody: it has what was in the request, and nothing else. The mount need not exist.
    Route("/admin/buildm3u", admin_mounts.buildm3u, LISTENERS, methods=FORM),
    PUBLIC_STATS,
    # Of a mount that is to come, too.
    EVENTFEED,
    # Also of a mount that is over.
    Route("/admin/history", _in_look(admin_mounts.history), ADMIN, Access.SOURCE, FORM),
    Route(STREAMS, _on_mount(admin_mounts.stream), RELAYS, Access.RELAY),
    # Of a mount that has no source just now, too: users are managed at any time.
    Route("/admin/manageauth", _in_look(manage_users), ADMIN, Access.SOURCE, FORM),
    # All that may be seen, as in Icecast 2.5.
    _for_source("listmounts", admin_mounts.listmounts),
)
NOT_FOR_MOUNT = Route("/admin/", _on_mount(_no_mount_command), ADMIN, Access.SOURCE, FORM)
UNKNOWN_FOR_MOUNT = Route("/admin/", _unknown, ADMIN, Access.SOURCE, FORM)
