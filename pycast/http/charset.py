"""Text on the wire: bytes to str and back, without errors.

Icecast's default is Latin-1, today's encoders send UTF-8 and rarely say so. So bytes are UTF-8 if they are valid UTF-8
and Latin-1 if not: Latin-1 text is hardly ever valid UTF-8 by accident, and Latin-1 takes any byte. A charset that the
peer names is tried first; one that is unknown, or does not fit the bytes, counts as not given.

Invariant: `decode` and `encode` return for every input.
"""

from encodings.aliases import aliases
from functools import lru_cache

# Only known names, so that no module is imported by a name from the network; none of them is an escape syntax or a host
# name codec.
_KNOWN = frozenset(aliases) | frozenset(aliases.values()) | {"koi8_u"}


def decode(raw: bytes, charset: str | None = None) -> str:
    """Returns `raw` decoded from `charset` if that is known and fits, else from UTF-8, else from Latin-1."""
    if charset:
        name = _python_name(charset)
        if name:
            try:
                return raw.decode(name)
            except UnicodeError:
                pass
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def encode(text: str, charset: str = "UTF-8") -> bytes:
    """Returns `text` in `charset`, in UTF-8 if that is unknown. What it lacks becomes `&#NNN;`, as in libxml2."""
    return text.encode(_python_name(charset) or "utf-8", "xmlcharrefreplace")


@lru_cache(maxsize=64)
def _python_name(charset: str) -> str:
    """Returns the name of Python's codec for `charset`; "" if there is none, or it is no character set."""
    name = charset.strip().lower().replace("-", "_").replace(" ", "_")
    if name not in _KNOWN:
        return ""
    try:
        "".encode(name)
    except LookupError:  # not text (rot13, hex …), or not on this system
        return ""
    return name
