"""The HTTP client of relays: connects to another server, asks for a path, follows redirects, reads the answer's head.

It asks with HTTP/1.0, as Icecast's relays do: servers of all ages answer that with a plain body. Every step has a
deadline, and all together have one. A stream counts only when its first bytes have told its format: a server that
accepts and then sends nothing, or a page, is one that has failed, and the next one is asked. So a relay takes its mount
only when it has something to play. Of the addresses of a name those that do not answer are passed over, and come last
at the next attempt.
"""

import time
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import gevent
from gevent import socket

from pycast import __version__
from pycast.errors import BodyError, ExternalError, FormatError
from pycast.http.answer import Answer, AnswerReader
from pycast.http.icy import InlineTitles, source_metaint
from pycast.http.relay_path import leads_back
from pycast.net.failed_endpoints import Endpoint, FailedEndpoints
from pycast.net.sockets import bind_outgoing, family_of, set_connection_options
from pycast.patterns import pattern
from pycast.relay.place import Place
from pycast.relay.resolver import Resolve
from pycast.server.connection import Connection
from pycast.server.sources import LOOK_S, new_detector

if TYPE_CHECKING:
    from pycast.formats.detect import Detector, Found

# From the look-up of the name to the first bytes of audio, redirects included. Encoders and servers send at once; a
# tenth of that is much on any continent.
DIAL_S = 15.0

# For each address that a name has, but the last one: one that is dead or says nothing must not take the time of those
# after it, nor that of the listener who waits for a relay on demand.
CONNECT_S, ANSWER_S = 4.0, 5.0

MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# What is a page, a playlist or a message, however many bytes of it come.
_NO_STREAMS = ("text/html", "application/json", "text/xml", "application/xml", "audio/x-mpegurl", "audio/x-scpls",
               "application/vnd.apple.mpegurl", "application/xspf+xml")  # fmt: skip

_LENGTH = pattern(r"[0-9]{1,18}\Z")

# The most that is held of a stream whose format is not known, beside what the detector holds.
MOST_FIRST = 2 << 20


class UpstreamFailed(ExternalError):
    """Another server that could not be reached, refused, or has no stream there. `status` is that of its answer, 0 if
    the answer is not what is wrong.
    """

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Stream(NamedTuple):
    """A stream of another server, of which the format is known."""

    connection: Connection
    place: Place
    """Where it is in the end, after redirects."""
    answer: Answer
    first: bytes
    """All bytes of the body so far, with their framing and titles."""
    found: "Found"


class Listing(NamedTuple):
    """A document of another server. Not `is_whole` if its end did not come as it should."""

    body: bytes
    is_whole: bool


class Dialler:
    """The client. `server` is this server's name in the path of a relayed stream."""

    def __init__(self, resolve: Resolve, server: str) -> None:
        self._resolve = resolve
        self._server = server
        self._failed = FailedEndpoints(time.monotonic)

    def stream(self, place: Place, mount: str, charset: str, named: Sequence[Place] = ()) -> Stream:
        """Returns the stream there, for that mount. `named` are all places of which the operator has said with which
        login to ask. Raises UpstreamFailed. May switch, for `DIAL_S` at most.
        """
        deadline = time.monotonic() + DIAL_S
        connection, place, answer, rest = self._ask(place, deadline, named)
        with _closed_on_error(connection):
            if leads_back(answer.headers, self._server, mount):
                raise UpstreamFailed("it has the stream from this mount itself: a relay would be a circle")
            first, found = _first_bytes(connection, answer, rest, charset, deadline)
        return Stream(connection, place, answer, first, found)

    def document(self, place: Place, most: int) -> Listing:
        """Returns what is there, at most so many bytes. Raises UpstreamFailed. May switch, for `DIAL_S` at most."""
        deadline = time.monotonic() + DIAL_S
        connection, _, answer, rest = self._ask(place, deadline)
        try:
            return _read_all(connection, answer, rest, most, deadline)
        finally:
            connection.close()

    def _ask(
        self, place: Place, deadline: float, named: Sequence[Place] = ()
    ) -> tuple[Connection, Place, Answer, bytes]:
        """Returns the connection on which a 200 came, after redirects, and what came behind its head."""
        had_login = bool(place.authorization)
        for _ in range(MOST_REDIRECTS + 1):
            connection, answer, rest = self._answer(place, deadline)
            with _closed_on_error(connection):
                if 200 <= answer.status < 300:
                    return connection, place, answer, rest
                if answer.status not in _REDIRECTS:
                    raise UpstreamFailed(_refusal(answer, place, had_login=had_login), answer.status)
                location = answer.headers.get("location")
                if not location:
                    raise UpstreamFailed(f"it answers {answer.status} and does not say where to", answer.status)
                place = place.at(location, named)
            connection.close()
        raise UpstreamFailed(f"it redirects more than {MOST_REDIRECTS} times")

    def _answer(self, place: Place, deadline: float) -> tuple[Connection, Answer, bytes]:
        """Returns the answer of the first address of the place that gives one, and what came behind its head."""
        endpoints = self._failed.at_the_end(self._endpoints(place, deadline))
        for left, endpoint in zip(range(len(endpoints), 0, -1), endpoints, strict=True):
            until = min(deadline, time.monotonic() + ANSWER_S) if left > 1 else deadline
            try:
                with self._failed.unless_answered(endpoint):
                    return _answer_of(endpoint, place, until)
            except UpstreamFailed:
                if left == 1:
                    raise
        raise AssertionError

    def _endpoints(self, place: Place, deadline: float) -> list[Endpoint]:
        """Returns the addresses, of which there is one at least."""
        try:
            with gevent.Timeout(_left(deadline), UpstreamFailed("its name is not looked up in time")):
                endpoints = self._resolve(place.host, place.port)
        except OSError as error:
            raise UpstreamFailed(f"its name cannot be looked up: {error}") from error
        why = "its name has no address"
        if place.bind:
            family, why = family_of(place.bind), f"it has no address of the kind of {place.bind}, which is its bind"
            endpoints = [endpoint for endpoint in endpoints if endpoint[0] == family]
        if not endpoints:
            raise UpstreamFailed(why)
        return endpoints


def _refusal(answer: Answer, place: Place, *, had_login: bool) -> str:
    """Returns what is wrong with an answer, and what to do if it is that a login was not sent on."""
    text = f"it answers {answer.status} {answer.reason}".rstrip()
    if answer.status != 401 or place.authorization or not had_login:
        return text
    return f"{text}: the login is not sent on to {place.url}, which is another server; name it in upstreams"


def _answer_of(endpoint: Endpoint, place: Place, deadline: float) -> tuple[Connection, Answer, bytes]:
    try:
        connection = _connected(endpoint, place, deadline)
    except OSError as error:
        raise UpstreamFailed(f"no connection to {endpoint[1][0]}: {error}") from error
    with _closed_on_error(connection):
        return connection, *_exchange(connection, place, deadline)


def _connected(endpoint: Endpoint, place: Place, deadline: float) -> Connection:
    """Returns a connection to that address. Raises OSError, also for a certificate that is not to be trusted."""
    family, address = endpoint
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        set_connection_options(sock)
        if place.bind:
            bind_outgoing(sock, place.bind)
        with gevent.Timeout(min(CONNECT_S, _left(deadline)), TimeoutError("it does not answer")):
            sock.connect(address)
            if place.tls:
                from pycast.net.tls import trusting  # for a relay that needs it

                context = trusting(place.tls_ca)
                return Connection(context.wrap_socket(sock, server_hostname=place.host), place.host, True)
        return Connection(sock, place.host, False)
    except BaseException:
        sock.close()
        raise


def _exchange(connection: Connection, place: Place, deadline: float) -> tuple[Answer, bytes]:
    lines = [f"GET {place.path} HTTP/1.0", f"Host: {place.host_field}", f"User-Agent: pycast {__version__}"]
    lines += ["Icy-MetaData: 1"] if place.wants_titles else []
    lines += [f"Authorization: {place.authorization}"] if place.authorization else []
    connection.write("\r\n".join([*lines, "Accept: */*", "Connection: close", "", ""]).encode(), _left(deadline))
    reader = AnswerReader()
    while True:
        data = connection.read(deadline)
        if not data:
            raise UpstreamFailed("it closed the connection before it answered")
        answer = reader.feed(data)
        if answer is not None:
            return answer, reader.rest


def _first_bytes(
    connection: Connection, answer: Answer, rest: bytes, charset: str, deadline: float
) -> tuple[bytes, "Found"]:
    """Reads until the stream's format is known. Returns all that was read, and the format."""
    announced = answer.headers.get("content-type").partition(";")[0].strip().lower()
    if announced in _NO_STREAMS:
        raise UpstreamFailed(f"it has no stream there, but {announced}")
    metaint, body = source_metaint(answer.headers), answer.new_body()
    titles, detector = InlineTitles(metaint, charset) if metaint else None, new_detector(announced or "audio/mpeg")
    data, first, until = rest, bytearray(), deadline
    while True:
        first += data
        audio = body.feed(data)
        parts = titles.feed(audio) if titles is not None else [audio]
        found = _looked_at(detector, [part for part in parts if isinstance(part, bytes)])
        if found is not None:
            return bytes(first), _checked(found)
        if audio and until == deadline:
            until = min(time.monotonic() + LOOK_S, deadline)
        data, why = _more(connection, until)
        if not data or body.done or len(first) > MOST_FIRST:
            found = detector.give_up()
            if found is None:
                raise UpstreamFailed(why)
            return bytes(first + data), _checked(found)


def _checked(found: "Found") -> "Found":
    """Raises UpstreamFailed for text, whatever it is announced as: a playlist, also one of HLS, or a message."""
    try:
        # The last character may not be whole.
        text = getincrementaldecoder("utf-8-sig")().decode(found.data[:512])
    except UnicodeDecodeError:
        return found
    shown = " ".join(text.split())
    if not shown.isprintable():
        return found
    raise UpstreamFailed(f"it has no stream there, but text: {shown[:80]}")


def _more(connection: Connection, until: float) -> tuple[bytes, str]:
    """Returns what the server sends next, and what is wrong if that is nothing."""
    try:
        return connection.read(until), "it ended the stream before its first bytes"
    except TimeoutError:
        return b"", "it sends no audio"


def _looked_at(detector: "Detector", parts: list[bytes]) -> "Found | None":
    for part in parts:
        found = detector.feed(part) if part else None
        if found is not None:
            return found
    return None


def _read_all(connection: Connection, answer: Answer, rest: bytes, most: int, deadline: float) -> Listing:
    body, out, data = answer.new_body(), bytearray(), rest
    length = answer.headers.get("content-length")
    try:
        while True:
            out += body.feed(data)
            if body.done or (_LENGTH.match(length) and len(out) >= int(length)):
                return Listing(bytes(out), True)
            if len(out) > most:
                return Listing(bytes(out[:most]), False)
            data = connection.read(deadline)
            if not data:
                return Listing(bytes(out), not length and "transfer-encoding" not in answer.headers)
    except (OSError, BodyError):
        return Listing(bytes(out), False)


@contextmanager
def _closed_on_error(connection: Connection) -> Iterator[None]:
    """Closes the connection on an error, and raises UpstreamFailed for those of the other server."""
    try:
        yield
    except BaseException as error:
        connection.close()
        if isinstance(error, TimeoutError):
            raise UpstreamFailed("it does not answer in time") from error
        if isinstance(error, OSError):
            raise UpstreamFailed(f"the connection failed: {error}") from error
        if isinstance(error, BodyError | FormatError | ValueError):
            raise UpstreamFailed(f"it sends what is no stream: {error}") from error
        raise


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)
