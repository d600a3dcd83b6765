"""What the import of an icecast.xml has to say about each line of the file that did not simply come over.

Pure: nodes of the file in, lines of text out. The one invariant: a note is one line that is safe in a comment and on a
terminal, and no password is in it.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from pycast.config.xml_tree import XmlNode
from pycast.patterns import pattern


class NoteKind(Enum):
    """What a note is about. The value is the word that stands before it."""

    REFUSED = "refused"
    """Icecast locks itself in by this, and pycast cannot: it does not start with the file as it is."""
    CLOSED = "closed"
    """Icecast protects this in a way that pycast does not have, so pycast lets nobody in."""
    TO_CORRECT = "to be corrected"
    """The result does not work as it is."""
    ADDED = "added"
    """The file does not say it, and pycast's default would be less strict than Icecast's."""
    LEFT_OUT = "left out"
    """There is no equivalent, or Icecast does not use it either."""


class ImportNote(NamedTuple):
    """One line. `line` is its line in the icecast.xml, 0 if it has none."""

    kind: NoteKind
    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


_NO_SETTING = "pycast has no such setting"
_CIPHERS = "TLS has the ciphers that OpenSSL holds for safe"

_WHY = {
    "security/prng-seed": "pycast takes random numbers from the system",
    "shoutcast-mount": "no listen-socket has shoutcast-compat; set shoutcast_mount in a [[listen]] section",
    "paths/ssl-allowed-ciphers": _CIPHERS,
    "paths/tls-allowed-ciphers": _CIPHERS,
    "tls-context/tls-allowed-ciphers": _CIPHERS,
    "relay/retry-delay": "pycast tries again after half a second, and then less and less often, up to every 20 s",
    "directory": "of a directory, only the address and two times are known",
    "yp-directory/option": "of a directory, only the address, timeout and touch-interval are known",
    "icelogin": "sources give their password as HTTP wants it",
}
# None: with any value.
_NOTHING_LOST: dict[str, str | re.Pattern[str] | None] = {
    "limits/threadpool": None,  # Icecast reads it, and does nothing with it
    "paths/basedir": None,  # it is for chroot only
    "paths/adminroot": re.compile(r".*/icecast2?/admin/?"),  # Icecast's own pages, in the folders that it comes with
    "icelogin": "0",
}

_SECRET = pattern(r"passw|secret|token|username|[a-z]-?user$|^user$|key|authentication|role|seed", re.IGNORECASE)
_LOGIN = pattern(r"//[^/@\s]*@")
_LONGEST = 100


def left_out(node: XmlNode, why: str = "") -> ImportNote:
    """Returns the note for a node that does not come over."""
    return ImportNote(NoteKind.LEFT_OUT, node.line, f"{described(node)}: {one_line(why or reason(node), 300)}")


def reason(node: XmlNode) -> str:
    """Returns why a node has no equivalent."""
    return _WHY.get(_path(node), _NO_SETTING)


def is_nothing_lost(node: XmlNode) -> bool:
    """Whether nobody would notice that the setting is not there: it is what pycast does anyway."""
    path, value = _path(node), node.text.strip()
    if path not in _NOTHING_LOST:
        return False
    meant = _NOTHING_LOST[path]
    return bool(meant.fullmatch(value)) if isinstance(meant, re.Pattern) else meant in (None, value)


def described(node: XmlNode) -> str:
    """Returns the place of a node and what is there: `mount /live.mp3 intro = /jingle.mp3`."""
    value, inside = _value(node), ", ".join(_inside(node))
    return f"{place(node)}{f' = {value}' if value else ''}{f' ({inside})' if inside else ''}"


def place(node: XmlNode) -> str:
    """Returns where a node is: `limits/clients`, and for a section that can be repeated `mount /live.mp3 intro`."""
    chain: list[XmlNode] = []
    found: XmlNode | None = node
    while found is not None and found.parent is not None:
        chain.insert(0, found)
        found = found.parent
    names = [f"{'@' if one.is_attribute else ''}{one.name}" for one in chain] or [node.name]
    which = name_of(chain[0]) if chain else ""
    return one_line(" ".join(filter(None, (names[0], which, "/".join(names[1:])))) if which else "/".join(names))


def name_of(block: XmlNode) -> str:
    """Returns which of several sections it is: a mount's name, a socket's port; empty for what is not repeated."""
    if block.name == "mount":
        return block.peek("mount-name") or block.peek("name")
    return block.peek("port") if block.name == "listen-socket" else ""


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Returns text that is safe in a comment and on a terminal: one line, no control characters, not too long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _path(node: XmlNode) -> str:
    parent = node.parent.name if node.parent and node.parent.parent else ""
    return f"{parent}/{node.name}" if parent else node.name


def _value(node: XmlNode) -> str:
    text = node.text.strip()
    return one_line(_LOGIN.sub("//…@", text)) if text and not _is_secret(node) else ""


def _inside(node: XmlNode) -> Iterator[str]:
    """Yields all that is inside, by name, with its value if that is not secret."""
    if node.children and node.text.strip() and not _value(node):
        yield "a text"
    named = {child.name: child for child in node.children if child.is_attribute}
    is_pair = "name" in named and "value" in named
    if is_pair:
        is_secret = _is_secret(node) or _SECRET.search(named["name"].text)
        value = "" if is_secret else _value(named["value"])
        yield one_line(f"{named['name'].text.strip()}{f' = {value}' if value else ''}")
    for child in node.children:
        if is_pair and child in (named["name"], named["value"]):
            continue
        value = _value(child)
        if value or child.name not in ("option", "header"):
            yield one_line(f"{child.name}{f' = {value}' if value else ''}")
        yield from _inside(child)


def _is_secret(node: XmlNode) -> bool:
    found: XmlNode | None = node
    while found is not None:
        if _SECRET.search(found.name):
            return True
        found = found.parent
    return False
