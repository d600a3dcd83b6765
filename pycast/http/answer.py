"""Heads of other servers' answers: bytes in, one `Answer` out.

Streaming servers answer with `HTTP/1.0 200 OK` or, those of SHOUTcast's family, with `ICY 200 OK`, often without a
blank after a header's colon, with bare line feeds, and with names in Latin-1. So lines are split here, by the rules of
request.py, and what is no header is left out. What a web server in front sends before the answer (100, or the 103 with
hints for browsers) is skipped.

The one invariant: the result depends on the bytes, not on how they were cut; never more than `max_bytes` + one `feed`
is held.
"""

from typing import NamedTuple

from pycast.characters import clean_line
from pycast.errors import BodyError
from pycast.http.body import Body, ChunkedBody, RawBody
from pycast.http.charset import decode
from pycast.http.headers import Headers
from pycast.patterns import pattern

MAX_ANSWER = 16384
"""Bytes of a head, with those that come before it; servers send under two thousand."""

_SWITCHED = 101  # an answer like any other, if to nothing that is asked here

_END = pattern(rb"\n\r?\r?\n")
# No two repeats in a row match the same byte: what goes back from one to the other takes the square of the time.
_STATUS = pattern(rb"(?:HTTP/[0-9](?:\.[0-9])?|ICY)[ \t]+([1-9][0-9]{2})(?:[ \t]([^\r\n]*))?\Z")
_FIELD = pattern(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:([^\x00]*)\Z")


class Answer(NamedTuple):
    """The head of an answer."""

    status: int
    reason: str
    headers: Headers

    def new_body(self) -> Body:
        """Returns a parser for its body: a stream has no length that counts, whatever the server says."""
        codings = self.headers.get("transfer-encoding").lower().split(",")
        return ChunkedBody() if codings[-1].strip() == "chunked" else RawBody()


class AnswerReader:
    """A parser of one head. Must not be fed again after it returned an Answer or raised."""

    __slots__ = ("_buffer", "_end", "_max_bytes", "_start")

    def __init__(self, max_bytes: int = MAX_ANSWER) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._start = 0
        """Where the head begins, behind those that are skipped."""
        self._end = 0

    def feed(self, data: bytes) -> Answer | None:
        """Returns the answer once its head is complete, else None. Raises BodyError for what is no answer."""
        searched = max(self._start, len(self._buffer) - 3)
        self._buffer += data
        while (match := _END.search(self._buffer, searched)) and match.end() <= self._max_bytes:
            answer = _parse(bytes(self._buffer[self._start : match.start()]))
            if not 100 <= answer.status < 200 or answer.status == _SWITCHED:
                self._end = match.end()
                return answer
            self._start = searched = match.end()
        if match is None and len(self._buffer) < self._max_bytes:
            return None
        raise BodyError("the head of the answer is too long", cause=f"a head of over {self._max_bytes} bytes")

    @property
    def rest(self) -> bytes:
        """What came after the head: the first bytes of the body."""
        return bytes(self._buffer[self._end :])


def _parse(head: bytes) -> Answer:
    first, *lines = (line.rstrip(b" \t\r") for line in head.lstrip(b"\r\n").split(b"\n"))
    status = _STATUS.match(first)
    if status is None:
        raise BodyError("no HTTP", cause=f"the answer begins with {first[:40]!r}, which is neither HTTP nor ICY")
    fields = [_FIELD.match(line) for line in lines]
    headers = Headers((decode(found[1]).lower(), clean_line(decode(found[2]))) for found in fields if found)
    return Answer(int(status[1]), clean_line(decode(status[2] or b"")), headers)
