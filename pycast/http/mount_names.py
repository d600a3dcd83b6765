"""Names of mounts, and the playlists that go with them.

A mount's name is the decoded path of its URL. `/live.mp3.m3u` is the playlist of `/live.mp3`: the last extension
comes off.

A source chooses its mount, and whoever asks for that path then gets what the source sends. So a name is refused if
something else is expected there: the playlist of another mount, a page of this or of another streaming server, a file
that browsers and crawlers fetch from every site by themselves (a service worker would see all that a visitor does
here). Everything else may be a mount, as in Icecast, also with a "/" at the end, and "/" itself, which is a stream for
players then and the page for browsers (`server/handler.py`). Any other path of the table in `web/routes.py` never is
one; a test compares the two.

Players of SHOUTcast streams ask for a path with a `;` in it: a SHOUTcast server takes who asks for "/" for a browser,
and has its stream at "/;".
"""

from functools import lru_cache

from pycast.http.target import is_bad_path

PLAYLISTS = ("m3u", "pls", "xspf", "vclt")

# The first part of a path, in any case, below which nothing is a mount.
_FOLDERS = frozenset({"admin", "admin.cgi", "_cluster", ".well-known"})

# Icecast makes a page of every path that ends so, before it looks for a mount.
_PAGES = ("xsl",)

# Where SHOUTcast 2 has the stream of its first, and mostly only, source.
_SHOUTCAST_PATHS = frozenset({"/stream", "/stream/", "/stream/1", "/stream/1/"})

_RESERVED = frozenset(
    {
        *("/livez", "/readyz", "/healthz", "/metrics", "/admin.html", "/adminbar.html"),
        *("/stats", "/stats.xml", "/stats.json", "/statistics", "/7.html", "/currentsong", "/played"),  # of SHOUTcast
    }
)

_FETCHED_FROM_EVERY_SITE = frozenset(
    {
        *("/sw.js", "/service-worker.js", "/serviceworker.js", "/manifest.json", "/manifest.webmanifest"),
        *("/site.webmanifest", "/robots.txt", "/favicon.ico", "/sitemap.xml", "/crossdomain.xml", "/humans.txt"),
        *("/clientaccesspolicy.xml", "/ads.txt", "/app-ads.txt", "/security.txt", "/browserconfig.xml"),
        *("/apple-touch-icon.png", "/apple-touch-icon-precomposed.png"),
    }
)


def playlist_target(path: str) -> tuple[str, str] | None:
    """Returns (mount, kind) if `path` is that of a mount's playlist, else None. The mount need not exist."""
    mount, dot, kind = path.rpartition(".")
    return (mount, kind) if dot and kind in PLAYLISTS else None


def names_for_players(path: str, shoutcast_mount: str) -> list[str]:
    """Returns the names of the mounts, best first, that a player may mean by `path` where there is no mount of that
    name; none for most paths. `shoutcast_mount` is that of the server's first SHOUTcast port, or empty.
    """
    name, semicolon, _ = path.partition(";")
    if not semicolon and name not in _SHOUTCAST_PATHS:
        return []
    names = [shoutcast_mount] if name == "/" or name in _SHOUTCAST_PATHS else []
    if semicolon:
        names += [name, name.rstrip("/")]
    return [one for one in dict.fromkeys(names) if one and not why_no_mount(one)]


def is_mount_name(path: str) -> bool:
    """Whether a path has the form of a mount's name: it begins with "/" and is not below /admin. What has the form may
    still be refused: see `why_no_mount`.
    """
    return path[:1] == "/" and path not in ("/admin", "/admin.cgi") and not path.startswith("/admin/")


MOST_BYTES = 1024
"""In a mount's name: it stands in log lines, addresses and messages between nodes. Real ones have some twenty."""


@lru_cache(maxsize=1024)  # asked for each listener
def why_no_mount(path: str) -> str:
    """Returns why this path cannot be a mount, as the end of a sentence; empty if it can. Asked wherever a name comes
    from outside: from sources, listeners, admins and other nodes, and by `pycast check` for the configuration's.
    """
    if path[:1] != "/":
        return 'it has to begin with "/"'
    if len(path.encode("utf-8", "replace")) > MOST_BYTES:
        return f"it has more than {MOST_BYTES} bytes"
    if is_bad_path(path):
        return "it has an empty part, a part of dots or a control character, which no request can ask for"
    lower = path.lower()
    page = lower.rstrip("/")
    if lower.replace("\\", "/").split("/")[1] in _FOLDERS or page in _RESERVED:
        return "it is reserved for pages of the server"
    if page in _FETCHED_FROM_EVERY_SITE:
        return "browsers and search engines expect a certain file there"
    extension = lower.rpartition(".")[2]
    if extension in PLAYLISTS:
        return f'"{path[: -len(extension) - 1]}" has its playlist there'
    if extension in _PAGES:
        return f".{extension} is the end of a page's name"
    return ""
