"""Names of mounts, and the playlists that go with them.

A mount's name is the decoded path of its URL. `/live.mp3.m3u` is the playlist of `/live.mp3`: the last extension
comes off.
"""

PLAYLISTS = ("m3u", "pls", "xspf", "vclt")


def playlist_target(path: str) -> tuple[str, str] | None:
    """Returns (mount, kind) if `path` is that of a mount's playlist, else None. The mount need not exist."""
    mount, dot, kind = path.rpartition(".")
    if not dot or kind not in PLAYLISTS or mount.endswith("/"):
        return None
    return mount, kind


def is_mount_name(path: str) -> bool:
    """Whether a source may use this name: it begins with "/", does not end with it, and is not below /admin."""
    if len(path) < 2 or path[0] != "/" or path[-1] == "/":
        return False
    return path not in ("/admin", "/admin.cgi") and not path.startswith("/admin/")
