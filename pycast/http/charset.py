"""Text on the wire: bytes to str and back, without errors.

Icecast's default is Latin-1, today's encoders send UTF-8 and rarely say so. So bytes are UTF-8 if they are valid UTF-8
and Latin-1 if not: Latin-1 text is hardly ever valid UTF-8 by accident, and Latin-1 takes any byte. A charset that the
peer names is tried first; one that is unknown, or does not fit the bytes, counts as not given. As on the web, Latin-1
means Windows' charset, which has quotes, dashes and the euro where Latin-1 has only control characters.

Invariant: `decode`, `decode_damaged`, `of_latin1` and `encode` return for every input.
"""

from encodings.aliases import aliases
from functools import lru_cache

# Only known names, so that no module is imported by a name from the network; none of them is an escape syntax or a host
# name codec.
_KNOWN = frozenset(aliases) | frozenset(aliases.values()) | {"koi8_u"}
_LATIN1 = frozenset(alias for alias, name in aliases.items() if name == "latin_1") | {"latin_1"}


def decode(raw: bytes, charset: str | None = None) -> str:
    """Returns `raw` decoded from `charset` if that is known and fits, else from UTF-8, else from Latin-1."""
    text = _decoded(raw, charset)
    return _latin1(raw) if text is None else text


def decode_damaged(raw: bytes, charset: str | None = None) -> str:
    """Returns the same for text that its sender may have cut at any byte, or made with Java's UTF-8, in which each half
    of a surrogate pair is a character. Not for names and passwords: two different ones could become the same.
    """
    text = _decoded(raw, charset)
    if text is not None:
        return text
    try:
        halves = raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        whole = raw[: error.start]
        is_cut = error.reason == "unexpected end of data" and not whole.isascii()
        return decode_damaged(whole) if is_cut else _latin1(raw)
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def of_latin1(text: str) -> str:
    """Returns what was meant by a header's value that a library has read as Latin-1, as libraries do."""
    return text if text.isascii() else decode(text.encode("latin-1", "replace"))


def _decoded(raw: bytes, charset: str | None) -> str | None:
    """Returns `raw` decoded from `charset` or from UTF-8; None if neither fits."""
    for name in (_python_name(charset) if charset else "", "utf_8"):
        try:
            if name:
                return _latin1(raw) if name in _LATIN1 else raw.decode(name)
        except UnicodeError:
            pass
    return None


def _latin1(raw: bytes) -> str:
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:  # five bytes are nothing there
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
