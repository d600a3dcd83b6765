"""Forms as `multipart/form-data` (RFC 7578): what PHP's curl sends for an array, `curl -F`, and pages with files.

Pure. A part is a parameter, whatever type it names; one that is a file has the file's content as its value. Preamble,
epilogue and parts without a name are left out. The caller limits the size.

Invariant: any bytes give parameters, at the worst none.
"""

import re

from pycast.http.charset import decode
from pycast.http.query import NO_PAIRS, Pairs
from pycast.patterns import pattern

# RFC 2046 section 5.1.1: up to 70 characters, in quotes if there is more than a token in it.
_BOUNDARY = pattern(r';[ \t]*boundary=(?:"([^"]{1,70})"|([^;"\s]{1,70}))', re.IGNORECASE)
_NAME = pattern(rb'\r\ncontent-disposition:[^\r\n]*?;[ \t]*name=(?:"([^"\r\n]*)"|([^;"\s]+))', re.IGNORECASE)

# What browsers and curl write in place of what would end the name.
_ESCAPES = ((b"%22", b'"'), (b"%0D", b"\r"), (b"%0A", b"\n"))


def parse_multipart(content_type: str, body: bytes) -> Pairs:
    """Returns the parameters in a body of that content type; a name that comes twice keeps its last value."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        return NO_PAIRS
    # A line end belongs to the boundary behind it. The first one may have none.
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + (boundary[1] or boundary[2]).encode())
    values = {}
    for part in parts:
        if part.startswith(b"--"):  # the last boundary
            break
        head, _, value = part.partition(b"\r\n\r\n")
        if name := _NAME.search(head):
            values[decode(_unescaped(name[1] or name[2] or b""))] = value
    values.pop("", None)
    return Pairs(values)


def _unescaped(name: bytes) -> bytes:
    for escape, character in _ESCAPES:
        name = name.replace(escape, character)
    return name
