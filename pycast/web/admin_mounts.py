"""The commands of the admin interface that are about one mount, which is in `mount=`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from pycast.auth.credentials import is_admin, is_source
from pycast.errors import Refused
from pycast.http.headers import basic_credentials
from pycast.http.icy import decode_title
from pycast.http.mount_names import why_no_mount
from pycast.http.response import Response
from pycast.http.titles import choose
from pycast.stats import xml
from pycast.stats.icestats import find_mount, stream_url
from pycast.stats.playlists import M3U_TYPE
from pycast.web.admin_node import shown_snapshot
from pycast.web.public import base_url
from pycast.web.route import Call

if TYPE_CHECKING:
    from pycast.stats.snapshot import ListenerSnapshot, NodeSnapshot

# Of a mount's statistics, those that can be counted anew.
_COUNTS = ("peak", "read", "sent")

TITLE_SET = "Metadata update successful"
TITLE_REFUSED = "Mountpoint will not accept URL updates"


def check_mount(call: Call, name: str) -> None:
    """Raises Refused if no node has the mount."""
    if not call.control.knows(name):
        raise _no_source(name)


def stats(call: Call, mount: str) -> bytes:
    """Answers `stats` of one mount."""
    return xml.stats_document(shown_snapshot(call), mount)


def listclients(call: Call, mount: str) -> bytes:
    """Answers `listclients`; with `id=`, as in icecast-kh, that one alone."""
    listeners: Sequence[ListenerSnapshot] = call.control.listeners(mount)
    shown = find_mount(call.control.snapshot(), mount)
    if shown is None:  # its source is on another node, which does not answer
        raise _no_source(mount)
    count = len(listeners)
    if "id" in call.parameters:
        listeners = [one for one in listeners if str(one.id) == call.text("id")]
    return xml.listclients(replace(shown, listeners=count), listeners)


def stream(call: Call, mount: str) -> Response:
    """Gives another server the stream itself, by the handler of `server`: it may have it although the mount is full."""
    return Response(200, stream=mount)


def killclient(call: Call, mount: str) -> bytes:
    """Ends a listener's connection."""
    text = _required(call, "id")
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    if not is_number or not call.control.kill(mount, int(text)):
        return xml.iceresponse(f"Client {text} not found", 0)
    return xml.iceresponse(f"Client {text} removed", 1)


def killsource(call: Call, mount: str) -> bytes:
    """Ends the mount's source."""
    call.control.kill_source(mount)
    return xml.iceresponse("Source Removed", 1)


def moveclients(call: Call, mount: str) -> bytes:
    """Moves the mount's listeners; without `destination=` answers with the mounts to which they can be moved."""
    if "destination" not in call.parameters:
        return xml.listmounts(_shown_to(call, call.control.snapshot()), mount)
    destination = _other_mount(call, mount, "destination")
    call.control.move(mount, destination)
    return xml.iceresponse(f"Clients moved from {mount} to {destination}", 1)


def listmounts(call: Call, mount: str) -> bytes:
    """Answers with the mounts, whichever one is named: that is what Icecast 2.5 does."""
    return xml.listmounts(_shown_to(call, call.control.snapshot()))


def fallbacks(call: Call, mount: str) -> str:
    """Puts a fallback in place of the configured one until the source ends: a mount, an admin's also one that is to
    come, or a file; none if it is empty. Returns Icecast's text for it.
    """
    fallback = _required(call, "fallback")
    is_to_come = _by_admin(call) and not why_no_mount(fallback) and not call.control.knows(fallback)
    if fallback and not is_to_come:
        fallback = _other_mount(call, mount, "fallback")
    call.control.set_fallback(mount, fallback)
    return "Fallback configured"


def resetstats(call: Call, mount: str) -> bytes:
    """Has the mount's statistics counted anew, as icecast-kh does: those of which `setting=` has the name in it, all
    without it. The totals of the server stay.
    """
    setting = call.text("setting")
    counts = [one for one in _COUNTS if one in setting or "setting" not in call.parameters]
    if not counts:
        return xml.iceresponse("Failed to reset values", 1)
    call.control.reset_stats(mount, counts)
    return xml.iceresponse("have reset settings", 1)


def metadata(call: Call, mount: str) -> bytes:
    """Sets the title."""
    if _required(call, "mode") != "updinfo":
        return xml.iceresponse("No such action", 0)
    return xml.iceresponse(set_title(call, mount), 1)


def updatemetadata(call: Call, mount: str) -> bytes:
    """Answers `updatemetadata`, whose page is a form for `metadata`."""
    return xml.one_source(mount)


def buildm3u(call: Call) -> Response:
    """Answers with a playlist that has a listener's user and password in it."""
    mount, user, password = call.text("mount"), _required(call, "username"), _required(call, "password")
    if why := why_no_mount(mount):
        raise Refused(f"This name cannot be a mount: {why}", cause=f"buildm3u for {mount}: {why}")
    scheme, _, rest = stream_url(base_url(call), mount, call.config.for_mount(mount).listenurl).partition("://")
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    # Icecast's header has "=" for the colon, and so none that a browser knows.
    disposition = ("Content-Disposition", "attachment; filename=listen.m3u")
    return Response(200, f"{scheme}://{login}@{rest}\r\n".encode(), M3U_TYPE, (disposition,))


def history(call: Call) -> bytes:
    """Answers `history` of one mount."""
    mount = call.text("mount")
    shown = find_mount(call.control.snapshot(), mount)
    return xml.history({mount: shown.history if shown is not None else call.site.history.of(mount)})


def set_title(call: Call, mount: str) -> str:
    """Sets the title. Artist and title count before `song`, which replaces both (2.4.4 keeps an old artist, which
    mislabels the song). Returns Icecast's text for it. Raises Refused.
    """
    if call.parameters.keys().isdisjoint(("song", "title", "artist")):
        raise Refused("Missing parameter", status=400, cause=f"metadata for {mount} without song, title or artist")
    charset = call.text("charset") or call.config.for_mount(mount).charset or None
    song, artist, title, url = (
        decode_title(call.parameters.get(name, b""), charset) for name in ("song", "artist", "title", "url")
    )
    # What an admin sets is for the mount, whoever is on the air.
    sender = "" if is_admin(call.config, basic_credentials(call.request.headers)) else call.door.ip
    is_set = call.control.set_title(mount, *choose(song, artist, title), url, sender)
    return TITLE_SET if is_set else TITLE_REFUSED


def _other_mount(call: Call, mount: str, parameter: str) -> str:
    """Returns the mount in `parameter`, to which the listeners of `mount` may be moved by who asks. Raises Refused."""
    destination = call.text(parameter)
    if why := why_no_mount(destination):
        raise Refused("No such destination", status=400, cause=f"{parameter} {destination}: {why}")
    # What a source may not see does not exist for it.
    is_secret = _is_hidden(call, call.control.snapshot(), destination) and not _opens(call, destination)
    if is_secret or not call.control.knows(destination):
        raise Refused("No such destination", status=400, cause=f"no mount {destination}")
    if destination == mount:
        raise Refused("supplied mountpoints are identical", status=400)
    if not _opens(call, destination) and not call.config.lets_on(mount, destination):
        cause = f"the listeners of {mount} have not given what {destination} asks for"
        raise Refused("The listeners of this mount may not hear that one", cause=cause)
    return destination


def _opens(call: Call, mount: str) -> bool:
    """Whether the request's credentials, which are right already, are the admin's or those of that mount too."""
    given = basic_credentials(call.request.headers)
    return _by_admin(call) or mount == call.text("mount") or is_source(call.config, mount, given)


def _by_admin(call: Call) -> bool:
    return "admin" in call.door.serves and is_admin(call.config, basic_credentials(call.request.headers))


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


def _no_source(name: str) -> Refused:
    return Refused("Source does not exist", status=400, cause=f"no mount {name}")


def _required(call: Call, name: str) -> str:
    if name not in call.parameters:
        raise Refused("Missing parameter", status=400, cause=f"without {name}")
    return call.text(name)
