"""The target of a request line: `/path?query#fragment`, and which paths are refused.

Icecast 2.4 closes the connection on a bad path; here it is a BadPath, so that the peer gets an answer. After
percent-decoding these are refused: control characters (no name of a mount, log line or playlist may hold NUL or a line
end), an empty part (`//`) and a part made only of dots, where `\\` counts as `/`. Icecast lets `/x/..` pass at the end;
here it is refused too.

Invariant: a path begins with "/" (or is "*", for OPTIONS) and names the same thing however a file system or proxy
reads it.
"""

import re
from urllib.parse import unquote_to_bytes

from pycast.errors import BadPath
from pycast.http.charset import decode
from pycast.http.query import NO_PAIRS, Pairs, parse_form
from pycast.patterns import pattern

_BAD_ESCAPE = pattern(rb"%(?![0-9A-Fa-f]{2})")
_BAD_PATH = pattern(r"[\x00-\x1f\x7f]|[/\\](?:\.*[/\\]|\.+\Z)")
_ABSOLUTE = pattern(rb"https?://[^/?#]*", re.IGNORECASE)


def parse_target(method: str, target: bytes) -> tuple[str, Pairs]:
    """Returns the decoded path and the parameters of a target. Raises BadPath."""
    if target[:1] != b"/":
        if target == b"*" and method == "OPTIONS":
            return "*", NO_PAIRS
        target = _without_authority(method, target)
    raw_path, _, query = target.partition(b"#")[0].partition(b"?")
    return decode_path(raw_path), parse_form(query) if query else NO_PAIRS


def decode_path(raw: bytes) -> str:
    """Returns the path percent-decoded (`+` is no blank here), UTF-8 else Latin-1. Raises BadPath."""
    if b"%" in raw:
        if _BAD_ESCAPE.search(raw):
            raise BadPath("bad escape in the path", cause=f"bad escape in path {raw[:200]!r}")
        raw = unquote_to_bytes(raw)
    path = decode(raw)
    if is_bad_path(path):
        raise BadPath("bad path", cause=f"bad path {path[:200]!r}")
    return path


def is_bad_path(path: str) -> bool:
    """Whether no request can have this path: it has a control character, an empty part, or one made of dots."""
    return _BAD_PATH.search(path) is not None


def _without_authority(method: str, target: bytes) -> bytes:
    """Returns the target without `http://host`, which clients send to proxies and servers must accept (RFC 9112 3.2.2).
    Raises BadPath.
    """
    match = _ABSOLUTE.match(target)
    if match is None:
        # A source's target is a mount's name. Any other is not quoted: it may be a part of a password.
        is_source = method in ("SOURCE", "PUT")
        shown = f"target {target[:200]!r}" if is_source else f"target of {len(target)} bytes"
        what = "source mountpoint" if is_source else "path"
        raise BadPath(f"{what} not starting with /", cause=f"{shown}, which does not begin with /")
    rest = target[match.end() :]
    return rest if rest[:1] == b"/" else b"/" + rest
