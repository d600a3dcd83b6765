"""Takes secrets out of what is written about requests: log lines, error texts, tracebacks.

Two ways, because a secret can be anywhere. Of a request's query only parameters that are known to be harmless keep
their value (`shown_target`): a listener's token or a password under an unknown name is hidden as well. In any other
text (`without_secrets`) what looks like a secret is hidden: the user and password of a URL, a value after a name such
as `pass=`, and an Authorization header. Every line of the error log goes through the latter, whoever wrote it.

What has no such mark cannot be told from other text, for example the first line of a SHOUTcast source, which is its
password alone. So errors about lines that are no request do not quote them.

The one invariant: both return for any text, in a time proportional to its length.
"""

import re

from pycast.patterns import pattern

HIDDEN = "***"

_HARMLESS = frozenset(
    {"artist", "cancel", "charset", "destination", "id", "mode", "mount", "now", "scope", "song", "title"}
)
_NAME = pattern(r"[\w.-]{1,32}\Z", re.ASCII)

# `user:password@` before a host. An authority with a colon that no port follows is a user and password with a "/" in
# them, which ends the authority by the syntax of URLs.
_USERINFO = pattern(r"""(?<=//)[^/?#\s"'<>]*@""")
_NO_PORT = pattern(r"""(?<=//)[^/?#\s"'<>\[\]:]*:(?!\d*(?:\W|\Z))[^/?#\s"'<>]*""")
# The value after the name of a secret: in a query, also one that was percent-encoded, in a repr, in JSON or TOML.
_NAMED = pattern(
    r"""((?:passw(?:or)?d|pass|pwd|secret|token|signature|api_?(?:key|auth)|\bkey|\bsig|\bauth)[\w-]{0,20}"""
    r"""["']?(?:[ ]?=[ ]?(?=["'])|=|:[ ]?b?(?=["'])|%3d))(?:b?"[^"]*"?|b?'[^']*'?|[^&\s;"'#,)]*)""",
    re.IGNORECASE,
)
_AUTHORIZATION = pattern(r"""(\bauthorization["']?\s{0,3}[:=,]\s{0,3}b?["']?)[^"'\r\n]+""", re.IGNORECASE)


def shown_target(target: str) -> str:
    """Returns the target of a request as it may be written down."""
    target, has_fragment, _ = target.partition("#")
    path, has_query, query = target.partition("?")
    if not path.startswith("/") and "@" in path:
        # A password with a "/" in it cannot be told from a path.
        path = HIDDEN + path[path.rindex("@") :]
    shown = without_secrets(path)
    if has_query:
        shown += f"?{'&'.join(map(_shown_pair, query.split('&')))}"
    return f"{shown}#{HIDDEN}" if has_fragment else shown


def without_secrets(text: str) -> str:
    """Returns the text with `***` in place of what looks like a secret."""
    if "//" in text:
        text = _NO_PORT.sub(HIDDEN, _USERINFO.sub(f"{HIDDEN}@", text))
    if "=" in text or ":" in text or "%" in text or "uthorization" in text:
        text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", _NAMED.sub(rf"\1{HIDDEN}", text))
    return text


def _shown_pair(pair: str) -> str:
    name, _, value = pair.partition("=")
    if name in _HARMLESS:
        return without_secrets(pair)
    if value and _NAME.match(name):
        return f"{name}={HIDDEN}"
    return HIDDEN if pair else ""
