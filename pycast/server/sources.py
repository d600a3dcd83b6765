"""A connected source, from its request to its last byte.

The checks are in Icecast's order (credentials, mount, limit, content type), and the replies are Icecast 2.4.4's. Then
one loop reads, removes the framing and feeds the mount. The loop waits between two reads, so that each read returns
more: the fan-out sends in batches anyway. It works on a read in pieces and gives the listeners a turn between them, and
a source that costs more than others waits longer: none takes more than half of the core.
"""

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import gevent
from gevent.event import Event

from pycast.auth.credentials import Credentials
from pycast.errors import PeerError, Refused
from pycast.formats.content_types import OCTET_STREAM, UNKNOWN, content_type_for_listeners
from pycast.http.body import Body, RawBody, expects_continue, new_body
from pycast.http.forwarded import is_proxied
from pycast.http.icy import InlineTitles, source_metaint
from pycast.http.request import Request
from pycast.http.response import CONTINUE, SOURCE_OK, error_response, render
from pycast.http.source_headers import source_info
from pycast.net.group import Task
from pycast.net.sockets import has_closed
from pycast.net.turns import give_turn
from pycast.server.connection import READ_SIZE, Connection
from pycast.server.context import ServerContext
from pycast.server.source_gate import check_credentials, check_drain, pass_gate
from pycast.server.source_rate import SourceRate
from pycast.stream.pacer import LONGEST_READ_WAIT_S, SLICE_S
from pycast.stream.source import SOURCE_SILENT_S, SourceDescription, SourceOutput, SourceState

if TYPE_CHECKING:
    from pycast.formats.detect import Detector, Found

log = logging.getLogger(__name__)

# A stream whose format is not known after so many seconds of audio is opaque: it must not stay silent because it is
# slow.
LOOK_S = 2.0

# The answer after the last byte of a framed body.
OK_AT_END = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n"

# A source sends audio at once. A proxy that takes a request without Content-Length for one without a body never sends
# any: after this long the log explains it.
PROXIED_FIRST_BYTES_S = 5.0

# The pause after a read that filled its buffer. Short, because a video of several Mbit/s must not fall behind on a busy
# node; not zero, because a file that is sent as fast as the network allows must not take the whole core, and must not
# run away from the listeners. So a source is read at some 50 Mbit/s at most.
FULL_READ_PAUSE_S = 0.01

# Where there are many streams each is read less often: a read costs some 100 us, whatever it returns. Listeners of
# other servers' streams are behind by a burst of the other server anyway. Below twenty it makes no difference.
READS_A_SECOND, RELAY_READS_A_SECOND, LONGEST_RELAY_WAIT_S = 2000, 600, 0.5

# Bytes that are worked on before the clock is looked at: the dearest byte of any format costs a microsecond or two.
PIECE_SIZE = 4096

# The most that is still read, and the longest time this may take, of a source that is ended.
LAST_BYTES, LAST_BYTES_S = 1 << 20, 0.05

# A source that has sent nothing in time is read once more: what it sent may wait in the socket, if it was this process
# that stood still.
LATE_READ_S = 0.01


class Stopped(gevent.GreenletExit):
    """The exception that ends a source's greenlet. Its text is the reason."""


class ConnectedSource:
    """A source on a connection: reads it and feeds `output`, on the air or standing by."""

    def __init__(
        self,
        context: ServerContext,
        connection: Connection,
        mount: str,
        credentials: Credentials,
        description: SourceDescription,
        *,
        is_relay: bool = False,
        takes_over: bool = False,
    ) -> None:
        """With `is_relay` this server has opened the connection, to another one that has the stream."""
        self.takes_over, self.makes_way = takes_over, False
        """`makes_way`: whether another source with the same credentials may replace it now."""
        self._is_relay = is_relay
        self.credentials = credentials
        self.description = description
        self.output = SourceOutput()
        self.last_data = time.monotonic()
        """When it last sent audio, monotonic."""
        self.bytes_read = 0
        self._context = context
        self._connection = connection
        self._mount = mount
        self._body: Body = RawBody()
        metaint = source_metaint(description.headers)
        self._titles = InlineTitles(metaint, context.settings.now.for_mount(mount).charset) if metaint else None
        self._first = b""
        """What was read of the body before `run`; a variable of `run` would keep it for as long as the source."""
        self._rate, self._is_told_of_rate = SourceRate(time.monotonic()), False
        self._unfed = b""
        """The rest of the last read. The source may be ended while others have their turn."""
        self._detector: Detector | None = None
        """Looks at the first bytes until the format is known."""
        self._first_audio = 0.0
        self._has_left = Event()
        self._greenlet = cast(Task, gevent.getcurrent())

    @property
    def is_silent(self) -> bool:
        """Whether its peer has closed, or has sent no audio for `SOURCE_SILENT_S`; or it makes way."""
        return (
            self.makes_way or has_closed(self._connection.sock) or time.monotonic() - self.last_data >= SOURCE_SILENT_S
        )

    def wait_until_out(self, seconds: float) -> None:
        """Waits up to `seconds` until it has left, if its peer has closed: what it sent before is still read. May
        switch.
        """
        if has_closed(self._connection.sock):
            self._has_left.wait(seconds)

    def end(self, why: str) -> None:
        """Ends it. Audio that has arrived but was not read yet, up to a tenth of a second, is still fed. Never
        switches.
        """
        self._read_last_bytes()
        self.output.take_out()
        self._greenlet.kill(Stopped(why), block=False)

    def run(self, body: Body, first: bytes, begin: bytes, end: bytes, *, is_proxied: bool = False) -> None:
        """Feeds the mount until the source ends; `first` are bytes of the body that were read already. Sends `begin`
        when the source is admitted, `end` after the last byte. If `is_proxied`, the log explains why no audio arrives.
        Raises Refused. May switch.
        """
        self._body, self._first = body, first
        del first
        if not self.description.is_known:
            self._detector = new_detector(self.description.content_type)
        try:
            self._context.ownership.admit(self._mount, self)
            check_drain(self._context)  # a drain may have begun while it waited, and have moved the other sources
            self._run(begin, end, is_proxied=is_proxied)
        except Stopped as stopped:  # while it waited to be admitted
            log.info("< mount %s: source from %s: %s", self._mount, self.description.ip, stopped)
        finally:
            self._context.ownership.remove(self._mount, self)
            self._has_left.set()

    def _run(self, begin: bytes, end: bytes, *, is_proxied: bool) -> None:
        description, timeout = self.description, self._context.settings.now.limits.client_timeout
        self._context.counters.source_client_connections += not self._is_relay
        self._context.counters.source_relay_connections += self._is_relay
        log.info(
            "< mount %s: source from %s (%s, %s)",
            self._mount,
            description.ip,
            description.content_type,
            description.info.user_agent or "no agent",
        )
        why = "ended by an internal error"
        self.last_data = time.monotonic()  # its time begins now, however long it waited to be admitted
        try:
            if begin:
                self._connection.write(begin, timeout)
            if is_proxied and not self._first:
                self._first = self._read_through_proxy()
            why = self._read(self._take_first())
            self._give_up()
            if end:
                self._connection.write(end, timeout)
        except PeerError as error:
            self._context.counters.broken_sources += 1
            why = f"sent what cannot be streamed: {error}"
            if end:  # it has had no answer yet; all others got 200 before their first byte, for which they wait
                self._refuse(error)
        except TimeoutError:
            why = f"sent nothing for {self._timeout:g} s"
        except OSError as error:
            why = f"connection failed: {error}"
        except Stopped as stopped:
            why = str(stopped)
        finally:
            ip, count = description.ip, self.bytes_read
            log.info("< mount %s: source from %s ended after %d bytes: %s", self._mount, ip, count, why)

    def _refuse(self, error: PeerError) -> None:
        """Answers with the reason, which encoders show. May switch."""
        settings = self._context.settings.now
        answer = render(error_response(error.status, error.public), server=settings.server.server_id, now=time.time())
        with suppress(OSError):
            self._connection.write(answer, settings.limits.client_timeout)
            self._connection.linger()

    def _take_first(self) -> bytes:
        first, self._first = self._first, b""
        return first

    @property
    def _timeout(self) -> float:
        """Seconds without audio after which the source is dropped."""
        return self._context.settings.now.for_mount(self._mount).source_timeout

    def _read_through_proxy(self) -> bytes:
        """Returns the first bytes; logs a warning and returns none if they do not arrive in time."""
        data = b""
        with suppress(TimeoutError):
            data = self._connection.read(time.monotonic() + min(PROXIED_FIRST_BYTES_S, self._timeout))
        if not data:
            log.warning(
                "mount %s: the source from %s came through an HTTP proxy and sent no byte: such a proxy does not pass "
                "on a body without Content-Length or chunks. Let the source connect directly or through the proxy's "
                "TCP mode, or send a chunked PUT",
                self._mount,
                self.description.ip,
            )
        return data

    def _read(self, data: bytes) -> str:
        while True:
            spent = self._feed(data)
            if self._body.done:
                return "its body is complete"
            if data:
                # Bytes that are not audio, such as the framing of chunks, do not keep a source alive.
                if time.monotonic() - self.last_data >= self._timeout:
                    raise TimeoutError
                gevent.sleep(max(self._pause(len(data)), spent))
                self._hold_back(len(data))
            data = self._connection.read_late(max(self.last_data + self._timeout, time.monotonic() + LATE_READ_S))
            if not data:
                return "it closed the connection"
            if self.output.state is SourceState.OUT:  # taken out during `read`; `Stopped` may not be raised yet
                return "it is no longer the mount's source"

    def _feed(self, data: bytes) -> float:
        """Feeds what was read; returns the seconds that it took. May switch."""
        self.bytes_read += len(data)
        # Not the CPU time of the thread: asking for that is a call of the system, 2 us each time.
        self._unfed, clock = data, time.monotonic
        spent, begun = 0.0, clock()
        while self._unfed:
            is_known = self._detector is None
            self._feed_piece()
            if not is_known and self._detector is None:
                if self.output.state is SourceState.STANDBY:
                    self._context.ownership.take_over_known(self._mount, self)
                spent += clock() - begun
                gevent.sleep(0)  # those who wait for the first byte start there before there are more
                begun = clock()
            if self._unfed and (took := clock() - begun) >= SLICE_S:
                spent += took
                give_turn()
                begun = clock()
        return spent + clock() - begun

    def _feed_piece(self) -> None:
        piece, self._unfed = self._unfed[:PIECE_SIZE], self._unfed[PIECE_SIZE:]
        audio = self._body.feed(piece)
        if audio:
            self.last_data = time.monotonic()
            self._feed_audio(audio)
            self._body.feed(b"")  # raises an error behind the audio now, not only when more data arrives

    def _feed_audio(self, audio: bytes) -> None:
        if self._titles is None:
            self._take(audio)
            return
        for part in self._titles.feed(audio):
            if isinstance(part, bytes):
                self._take(part)
            else:
                self.output.set_title("", part.text, part.url)

    def _take(self, audio: bytes) -> None:
        """Feeds the mount, or the detector until the format is known. Raises FormatError. Never switches."""
        if self._detector is None:
            self.output.feed(audio)
            return
        self._first_audio = self._first_audio or self.last_data
        found = self._detector.feed(audio)
        if found is not None:
            self._start(found)
        elif self.last_data - self._first_audio >= LOOK_S:
            self._give_up()

    def _give_up(self) -> None:
        """Feeds what is held of a stream whose format is not known: it ends, or is too slow. As `_take`."""
        found = self._detector.give_up() if self._detector is not None else None
        if found is not None:
            self._start(found)

    def _start(self, found: "Found") -> None:
        """Starts the stream with its first bytes. Raises FormatError."""
        self._detector = None
        self.description = as_found(self._mount, self.description, found)
        self._context.ownership.start_known(self._mount, self, found.data)

    def _read_last_bytes(self) -> None:
        deadline, left = time.monotonic() + LAST_BYTES_S, LAST_BYTES
        with suppress(OSError, PeerError):
            while time.monotonic() < deadline and not self._body.done:
                if not self._unfed:
                    self._unfed = self._connection.read_now() if left > 0 else b""
                    self.bytes_read += len(self._unfed)
                    left -= len(self._unfed)
                if not self._unfed:
                    break
                self._feed_piece()
            self._give_up()
        self._unfed = b""

    def _hold_back(self, size: int) -> None:
        """Waits after a read of `size` bytes, if the source has sent more than `limit_rate`. May switch."""
        limit = self._context.settings.now.for_mount(self._mount).limit_rate
        left = self._rate.wait(size, limit, time.monotonic())
        if left and not self._is_told_of_rate:
            self._is_told_of_rate = True
            self._context.counters.slowed_sources += 1
            log.warning(
                "mount %s: the source from %s sends more than limit_rate, %d bit/s: it is read more slowly",
                self._mount,
                self.description.ip,
                limit,
            )
        while left > 0:
            gevent.sleep(min(left, SOURCE_SILENT_S / 2))
            self.last_data = time.monotonic()  # it was not asked for any: it is neither silent nor late
            left -= SOURCE_SILENT_S / 2

    def _pause(self, size: int) -> float:
        """Returns the seconds to wait after a read of `size` bytes."""
        most = (RELAY_READS_A_SECOND, LONGEST_RELAY_WAIT_S) if self._is_relay else (READS_A_SECOND, LONGEST_READ_WAIT_S)
        wait = max(self._context.pacer.read_wait, min(self._context.mounts.sources / most[0], most[1]))
        return wait if size < READ_SIZE else min(wait, FULL_READ_PAUSE_S)


def serve_source(context: ServerContext, connection: Connection, request: Request, first: bytes) -> None:
    """Serves a SOURCE or PUT request until the source ends; `first` are bytes of its body that were read already.
    Raises Refused and other PeerErrors before the stream begins. May switch.
    """
    credentials, takes_over = check_credentials(context, connection.ip, request)
    pass_gate(context, request.path)
    context.ownership.check(request.path, credentials, takes_over)
    description = describe_source(connection, request)
    body = new_body(request)
    expects = expects_continue(request.headers)
    # If the sender of a framed body waits for 100 Continue, it gets 200 when the body is complete (RFC 9110, 10.1.1).
    # All other sources get 200 at once, as from 2.4.4: old liquidsoap and all sources without framing wait for it.
    is_ok_at_end = expects and not isinstance(body, RawBody)
    begin = (CONTINUE if expects else b"") + (b"" if is_ok_at_end else SOURCE_OK)
    source = ConnectedSource(context, connection, request.path, credentials, description, takes_over=takes_over)
    # Only a body without framing can be lost in a proxy.
    may_be_lost = isinstance(body, RawBody) and is_proxied(request.headers)
    source.run(body, first, begin, OK_AT_END if is_ok_at_end else b"", is_proxied=may_be_lost)


def describe_source(connection: Connection, request: Request) -> SourceDescription:
    """Returns the description of a source, from its request. Raises Refused for a PUT without a content type."""
    info, headers = source_info(request.headers), tuple(request.headers)
    content_type = info.content_type
    if not content_type:
        if request.method == "PUT":
            raise Refused("No Content-type given", cause=f"PUT {request.path} without Content-Type")
        log.warning("source %s %s names no content type: taken as audio/mpeg", connection.ip, request.path)
        content_type = "audio/mpeg"
    return SourceDescription(info, content_type, headers, connection.ip, time.time(), UNKNOWN, connection.begun)


def as_found(mount: str, description: SourceDescription, found: "Found") -> SourceDescription:
    """Returns the description of a source whose format has been found. Logs what it announced wrongly."""
    announced, told = description.content_type, content_type_for_listeners(found.content_type)
    if found.content_type != announced:
        log.warning(
            "mount %s: the source from %s announced %s, but its stream is %s: listeners are told %s",
            *(mount, description.ip, announced, found.format, told),
        )
    elif told == OCTET_STREAM != announced:
        log.warning(
            "mount %s: the source from %s calls its stream %s, which is neither audio nor video: listeners are told %s",
            *(mount, description.ip, announced, told),
        )
    if found.left_out:
        log.info("mount %s: %d bytes before the stream's first are left out", mount, found.left_out)
    return description._replace(content_type=found.content_type, format=found.format)


def new_detector(announced: str) -> "Detector":
    """Returns what looks at the first bytes of a stream that is announced as `announced`."""
    from pycast.formats.detect import Detector  # not at the start of the server: with the first source

    return Detector(announced)
