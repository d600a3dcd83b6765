"""Icecast's XML: stats, listmounts, listclients, iceresponse, and the plain list for relays.

Clients of Icecast often match this XML as text, so it has exactly the form that libxml2 writes: a declaration without
encoding, everything on one line, characters outside ASCII as upper-case hexadecimal references, quotes left alone in
text. Whatever a snapshot holds, the result is well-formed: characters that XML 1.0 does not allow become U+FFFD, and a
stat whose name is no XML name (the source chooses those of `ice-audio-info`) is left out.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

from pycast.stats.icestats import global_stats, iso8601_time, select_mounts, source_stats, visible_mounts

if TYPE_CHECKING:
    from pycast.stats.snapshot import (
        ListenerSnapshot,
        MountSnapshot,
        NodeSnapshot,
        PlayedTitle,
        RelayLine,
        UpstreamLine,
    )

# Not compiled here, which would cost the start of the server more than all else in this file: `re` keeps what it has
# compiled once.
_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
_NOT_XML = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
# Nearly every text is plain; a list of 8,000 listeners is made while they are being served.
_NOT_PLAIN = "[^\x20-\x7e]|[&<>]"
_NOT_ASCII = "[^\x00-\x7f]"
_PUBLIC = frozenset({"admin", "host", "location", "server_id", "server_start_iso8601"})
_PUBLIC_OF_MOUNT = frozenset(
    {
        *("artist", "genre", "listeners", "listenurl", "server_description", "server_name", "server_type"),
        *("stream_start_iso8601", "subtype", "title"),
    }
)
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
# XML 1.0 section 3.3.3: a parser turns a bare tab or line end inside an attribute into a space.
_IN_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


def stats_document(snapshot: "NodeSnapshot", mount: str | None = None, warnings: Iterable[str] = ()) -> bytes:
    """Returns `/admin/stats`: the node and its mounts, hidden ones too; with `mount` the node and that mount alone.
    Before them come `warnings` for the admin, which Icecast does not have.
    """
    notes = elements(("warning", text) for text in warnings)
    sources = (_source(one, elements(_nameable(snapshot, one))) for one in select_mounts(snapshot, mount))
    return _document("icestats", notes + elements(global_stats(snapshot)) + "".join(sources))


def listmounts(snapshot: "NodeSnapshot", current: str | None = None) -> bytes:
    """Returns `/admin/listmounts` and `/admin/streamlist`.

    With `current` it is the choice that `moveclients` offers: all mounts except that one.
    """
    head = "" if current is None else _element("current_source", current)
    others = (mount for mount in snapshot.mounts if mount.name != current)
    return _document("icestats", head + "".join(_source(mount, elements(_listed(mount))) for mount in others))


def listclients(mount: "MountSnapshot", listeners: "Sequence[ListenerSnapshot]") -> bytes:
    """Returns `/admin/listclients`. The count is in it twice: Icecast 2.4 writes `Listeners`, AzuraCast reads
    `listeners`.
    """
    count = str(mount.listeners)
    head = elements([("Listeners", count), ("listeners", count)])
    return _document("icestats", _source(mount, head + "".join(map(_listener, listeners))))


def user_list(mount: str, users: Iterable[str], message: str = "") -> bytes:
    """Returns `/admin/manageauth`: the users of a mount, and after a change what became of it."""
    listed = "".join(wrapped("User", _element("username", user)) for user in users)
    said = wrapped("iceresponse", _element("message", message)) if message else ""
    return _document("icestats", _source_element(mount, listed) + said)


def one_source(mount: str) -> bytes:
    """Returns `/admin/updatemetadata`: the name of the mount, for a form."""
    return _document("icestats", _source_element(mount, ""))


def public_stats(snapshot: "NodeSnapshot", mount: str | None = None) -> bytes:
    """Returns `/admin/publicstats` of Icecast 2.5: what everybody may know, without hidden mounts."""
    sources = (
        _source(one, elements(pair for pair in _nameable(snapshot, one) if pair[0] in _PUBLIC_OF_MOUNT))
        for one in visible_mounts(snapshot, mount)
    )
    known = elements(pair for pair in global_stats(snapshot) if pair[0] in _PUBLIC)
    return _document("icestats", known + "".join(sources))


def version(snapshot: "NodeSnapshot", build: str) -> bytes:
    """Returns `/admin/version`. `build` is the version of pycast, whatever `server_id` says."""
    names = ("admin", "host", "location", "server_id", "server_start_iso8601")
    return _document(
        "icestats", elements([*((n, v) for n, v in global_stats(snapshot) if n in names), ("build", build)])
    )


def relays(found: "Iterable[RelayLine]") -> bytes:
    """Returns `/admin/managerelays` of icecast-kh."""
    return _document("icerelaystats", "".join(map(_relay, found)))


def history(titles: "Mapping[str, Sequence[PlayedTitle]]") -> bytes:
    """Returns `/admin/history`: the last titles of mounts, the newest first."""
    return _document(
        "icestats", "".join(_source_element(mount, "".join(map(_played, played))) for mount, played in titles.items())
    )


def log_document(name: str, lines: Iterable[str]) -> bytes:
    """Returns `/admin/showlog`: the last lines of a log, the oldest first."""
    return _document("icestats", wrapped("log", _element("name", name) + elements(("line", line) for line in lines)))


def iceresponse(message: str, result: int) -> bytes:
    """Returns the answer of an admin command: its text, and 1 for success or 0. Clients mostly read the text."""
    return _document("iceresponse", elements([("message", message), ("return", str(result))]))


def streamlist_text(snapshot: "NodeSnapshot", before: str = "", others: Iterable[str] = ()) -> bytes:
    """Returns `/admin/streamlist.txt`: one mount a line, for servers that relay everything. Hidden mounts are left out.
    `before` stands before each name; `others` are mounts that the snapshot does not have.

    A name with a line end in it is left out too: it would be read as two mounts.
    """
    names = sorted({*(mount.name for mount in visible_mounts(snapshot)), *others})
    return b"".join(f"{before}{name}\r\n".encode("utf-8", "replace") for name in names if not {"\r", "\n"} & set(name))


def xml_text(text: str) -> str:
    """Returns text as it is written between tags. Keeps characters outside ASCII; see `ascii_references`."""
    if not re.search(_NOT_PLAIN, text):
        return text
    return re.sub(_NOT_XML, "\ufffd", text).translate(_IN_TEXT)


def ascii_references(xml: str) -> str:
    """Returns the same XML in ASCII, as libxml2 writes it: `é` becomes `&#xE9;`."""
    return xml if xml.isascii() else re.sub(_NOT_ASCII, lambda found: f"&#x{ord(found[0]):X};", xml)


def _nameable(snapshot: "NodeSnapshot", mount: "MountSnapshot") -> Iterable[tuple[str, str]]:
    return (stat for stat in source_stats(snapshot, mount).items() if re.fullmatch(_NAME, stat[0]))


def _listed(mount: "MountSnapshot") -> list[tuple[str, str]]:
    fields = [("fallback", mount.fallback), ("listeners", str(mount.listeners))]
    if mount.authenticator:
        fields.append(("authenticator", mount.authenticator))
    if mount.is_live:
        fields += [("Connected", str(mount.connected_s)), ("content-type", mount.content_type)]
    return fields


def _listener(listener: "ListenerSnapshot") -> str:
    """Returns the element of a listener: 2.4.4's fields in its order, then `lag`, as in icecast-kh."""
    return (
        f"<listener><IP>{xml_text(listener.ip)}</IP><UserAgent>{xml_text(listener.user_agent or 'Unknown')}</UserAgent>"
        f"<Connected>{listener.connected_s}</Connected><ID>{listener.id}</ID>"
        f"{_element('username', listener.user) if listener.user else ''}<lag>{listener.lag}</lag></listener>"
    )


def _document(root: str, content: str) -> bytes:
    body = wrapped(root, content) if content else f"<{root}/>"
    return ascii_references(f'<?xml version="1.0"?>\n{body}\n').encode("ascii")


def _source(mount: "MountSnapshot", content: str) -> str:
    return _source_element(mount.name, content)


def _source_element(mount: str, content: str) -> str:
    name = re.sub(_NOT_XML, "\ufffd", mount).translate(_IN_ATTRIBUTE)
    return f'<source mount="{name}">{content}</source>' if content else f'<source mount="{name}"/>'


def _relay(relay: "RelayLine") -> str:
    """Returns a relay: icecast-kh's fields in its order, then what it does."""
    head = (
        ("localmount", relay.mount),
        ("enable", str(int(relay.is_enabled))),
        ("on_demand", str(int(relay.on_demand))),
        ("from_master", str(int(relay.from_master))),
        ("run_on", str(round(relay.run_on_s))),
    )
    doing = [("state", relay.state)]
    if relay.for_s:
        doing.append(("connected", str(int(relay.for_s))))
    if relay.retry_in_s:
        doing.append(("retry_in", str(ceil(relay.retry_in_s))))
    if relay.trouble:
        doing.append(("trouble", relay.trouble))
    masters = (_upstream(one, priority) for priority, one in enumerate(relay.upstreams, 1))
    return wrapped("relay", elements(head) + "".join(masters) + elements(doing))


def _upstream(one: "UpstreamLine", priority: int) -> str:
    fields = [("server", one.server), ("mount", one.mount), ("port", str(one.port)), ("priority", str(priority))]
    return wrapped("master", elements([*fields, ("active", "true")] if one.is_active else fields))


def _played(song: "PlayedTitle") -> str:
    """Returns one title: when it began, in seconds since the epoch and for people."""
    known = [("artist", song.artist), ("title", song.title)]
    when = [("time", str(int(song.at))), ("time_iso8601", iso8601_time(song.at))]
    return wrapped("played", elements([*when, *(pair for pair in known if pair[1])]))


def elements(fields: Iterable[tuple[str, str]]) -> str:
    """Returns an element with a text for each pair."""
    return "".join(_element(name, value) for name, value in fields)


def _element(name: str, value: str) -> str:
    return wrapped(name, xml_text(value))


def wrapped(name: str, content: str) -> str:
    """Returns an element with XML in it."""
    return f"<{name}>{content}</{name}>"
