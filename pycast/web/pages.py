"""The HTML pages: the public page of `/` and `/status.xsl`, and the small one of `/server_version.xsl`.

Each page is made from a snapshot and is one self-contained file: style, script and pictures are inline, and nothing is
loaded. The page is complete without JavaScript. With it, `templates/player.js` plays the mounts, updates titles and
numbers from `status-json.xsl`, and fetches this page again when mounts come or go, so a mount's markup is made only
here. Links are relative, so the page also works below a path of a reverse proxy.

Invariant: text from outside (names, titles, addresses) reaches the page only through Jinja's escaping, and never as a
script, a style or the scheme of a link. The page's Content-Security-Policy enforces it a second time.
"""

import re
import shlex
from secrets import token_hex

from pycast.net.turns import in_turns
from pycast.patterns import pattern
from pycast.stats.snapshot import ClusterSnapshot, NodeSnapshot
from pycast.web.cover import covers
from pycast.web.page_templates import clean, duration, moment, render
from pycast.web.station_card import card, facts_of, to_station

# The example of a source on a page without streams. Everybody sees it, so it names no user but the usual one.
EXAMPLE_MOUNT, USUAL_USER, OTHER_USER = "/live.mp3", "source", "USER"


class StatusPage:
    """The public page of one moment, with gaps for what depends on the address by which a visitor came."""

    def __init__(self, html: bytes, host: str, user: str = USUAL_USER) -> None:
        """`user` is the one in the example of a source."""
        self._host = host
        self._user = user
        self._parts = _GAP.split(html)
        """By turns what is the same for all, and the name of a gap."""

    def for_visitor(self, base_url: str) -> bytes:
        """Returns the page, UTF-8 `text/html`. `base_url` is the server as the visitor reached it,
        `http://host:port`.
        """
        from markupsafe import escape

        base_url = base_url.rstrip("/")
        howto = _howto(base_url, self._user)
        before, _, after = howto["command"].partition("PASSWORD")
        texts = {
            "base": base_url,
            "brand": clean(howto["address"]) or self._host,
            "before": before,
            "after": after,
            "address": howto["address"],
            "port": howto["port"],
        }
        values = {name.encode(): escape(text).encode("utf-8", "replace") for name, text in texts.items()}
        parts = self._parts.copy()
        parts[1::2] = [values[name] for name in parts[1::2]]
        return b"".join(parts)


# A gap is marked by a text that nobody else knows, so that no name or title can be one.
_KEY = token_hex(8)
_GAP = pattern(f"{_KEY}-([a-z]+);".encode())


def _gap(name: str) -> str:
    return f"{_KEY}-{name};"


def render_status(snapshot: NodeSnapshot, *, has_public_url: bool = False, source_user: str = USUAL_USER) -> StatusPage:
    """Returns the public page. `source_user` is that of `EXAMPLE_MOUNT`. May switch."""
    is_usual = source_user == USUAL_USER
    shown = [mount for mount in snapshot.mounts if not mount.hidden]
    pictures, base, is_solo = covers(mount.name for mount in shown), _gap("base"), len(shown) == 1
    facts = [facts_of(mount, snapshot.taken, has_public_url=has_public_url) for mount in shown]
    cards = [card(one, pictures[one.name], base, is_solo) for one in in_turns(facts)]
    html = render(
        "status.html",
        brand=_gap("brand"),
        node=snapshot,
        location=clean(snapshot.location),
        solo=to_station(facts[0], pictures[facts[0].name], base) if is_solo else None,
        cards=cards,
        live=sum(mount.is_live for mount in shown),
        listening=sum(mount.listeners for mount in shown),
        gap=_gap,
        mount=EXAMPLE_MOUNT,
        other_user="" if is_usual else OTHER_USER,
        nodes=nodes_in_words(snapshot.cluster) if snapshot.cluster else "",
    )
    return StatusPage(html, clean(snapshot.host), USUAL_USER if is_usual else OTHER_USER)


def render_server_info(snapshot: NodeSnapshot) -> bytes:
    """Returns the page of `/server_version.xsl`, UTF-8 `text/html`."""
    rows = (
        ("Server", snapshot.server_id),
        ("Host", snapshot.host),
        ("Location", snapshot.location),
        ("Contact", snapshot.admin),
        ("Started", f"{moment(snapshot.server_start):%d %B %Y, %H:%M} UTC"),
        ("Up for", duration(snapshot.taken - snapshot.server_start)),
    )
    return render("server_info.html", brand=clean(snapshot.host), rows=[(label, clean(text)) for label, text in rows])


def _howto(base_url: str, user: str) -> dict[str, str]:
    """Returns how to send a stream to a server that has none. The password is a placeholder: the page is public."""
    scheme, _, address = base_url.partition("://")
    netloc = address.partition("/")[0]
    host, port = _host_and_port(netloc)
    # It may hold the visitor's Host header: quoted, it has no meaning to the shell that this is pasted into.
    target = shlex.quote(f"icecast://{user}:PASSWORD@{netloc}{EXAMPLE_MOUNT}")
    tls = "-tls 1 " if scheme == "https" else ""
    command = f"ffmpeg -re -i music.mp3 -vn -c:a libmp3lame -b:a 128k -content_type audio/mpeg {tls}-f mp3 {target}"
    return {"command": command, "address": host, "port": port or ("443" if scheme == "https" else "80")}


def _host_and_port(netloc: str) -> tuple[str, str]:
    """Splits `[::1]:8000` into `::1` and `8000`; a missing port is empty. Takes any text: urlsplit raises on some."""
    parts = re.fullmatch(r"\[?(.*?)\]?(?::(\d{1,5}))?", netloc, re.DOTALL)
    return (parts[1], parts[2] or "") if parts else (netloc, "")


def nodes_in_words(cluster: ClusterSnapshot) -> str:
    """Returns how many nodes there are, and how many of them are up."""
    count = len(cluster.members)
    up = sum(member.status == "up" for member in cluster.members)
    if up < count:
        return f"{up} of {count} nodes up"
    return "1 node" if count == 1 else f"{count} nodes, all up"
