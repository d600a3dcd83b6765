"""The list of a master's mounts, as Icecast, icecast-kh and pycast write it: one mount a line.

A line is a mount's name (`/live.mp3`), a whole address (`http://host:port/live.mp3`), or icecast-kh's
`/admin/streams?mount=/live.mp3`, at which it gives the stream to other servers. All three servers write names as they
are, whatever is in them (`/100% hits.mp3`); only an address is encoded.

Pure: text in, places out. The one invariant: never more than `MOST_MOUNTS` come out, each with a name that can be a
mount here.
"""

from urllib.parse import quote, unquote

from pycast.http.charset import decode
from pycast.http.mount_names import why_no_mount
from pycast.relay.place import Place, place_of_url

MOST_MOUNTS = 10_000

LONGEST_LINE = 1024

_FOR_SERVERS = "/admin/streams?mount="


def is_whole(body: bytes) -> bool:
    """Whether a list that its connection ended has its last line whole. A list that was cut there is not told from one
    that is complete; so nothing running may depend on it.
    """
    return not body or body.endswith(b"\n")


def places_in(body: bytes, master: Place) -> dict[str, Place]:
    """Returns where the streams are, by the mount that each is here."""
    found: dict[str, Place] = {}
    for raw in body.splitlines():
        line = decode(raw).strip()
        if not line or len(line) > LONGEST_LINE or len(found) >= MOST_MOUNTS:
            continue
        mount, place = _read(line, master)
        if place is not None and not why_no_mount(mount):
            found.setdefault(mount, place)
    return found


def _read(line: str, master: Place) -> tuple[str, Place | None]:
    if line.startswith("/"):
        name = line.removeprefix(_FOR_SERVERS)
        path = quote(name, safe="/:@!$&'()*+,;=~") if name == line else f"{_FOR_SERVERS}{quote(name)}"
        return name, master._replace(path=path, wants_titles=True)
    try:
        place = place_of_url(line).by_way_of(master).with_login_of(master)
    except ValueError:
        return "", None
    return unquote(place.path.partition("?")[0]), place
