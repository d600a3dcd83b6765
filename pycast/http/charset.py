"""Text on the wire: bytes to str and back, never an error.

Icecast's default is Latin-1, today's encoders send UTF-8 and rarely say so. So bytes are UTF-8 if they are valid
UTF-8 and Latin-1 if not: text that is valid UTF-8 by accident is practically unknown, and Latin-1 takes any byte. A
charset that the peer names goes first; a name that nobody knows, or that does not fit the bytes, counts as not given.

Invariant: `decode` and `encode` return for every input.
"""

from encodings.aliases import aliases
from functools import lru_cache

# Names that need no import by a name from the network; none of them is an escape syntax or a host name codec.
_KNOWN = frozenset(aliases) | frozenset(aliases.values()) | {"koi8_u"}


def decode(raw: bytes, charset: str | None = None) -> str:
    """`raw` in `charset` if that is a known one and fits, else as UTF-8, else as Latin-1."""
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
    """`text` in `charset`, UTF-8 if that is unknown. What it cannot express becomes `&#NNN;`, as libxml2 does it."""
    return text.encode(_python_name(charset) or "utf-8", "xmlcharrefreplace")


@lru_cache(maxsize=64)
def _python_name(charset: str) -> str:
    """The codec for `charset`, "" if there is none that is a character set."""
    name = charset.strip().lower().replace("-", "_").replace(" ", "_")
    if name not in _KNOWN:
        return ""
    try:
        "".encode(name)
    except LookupError:  # not text (rot13, hex …), or not on this system
        return ""
    return name
