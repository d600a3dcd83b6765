"""One stream of another server as a source of this node, from the moment at which its format is known to its end.

It is read by the same code as an encoder's connection, in a greenlet of its own.
"""

import time
from collections.abc import Callable

from pycast.auth.credentials import Credentials
from pycast.errors import PeerError
from pycast.formats.content_types import UNKNOWN
from pycast.http.headers import Headers
from pycast.http.relay_path import HEADER as RELAY_PATH
from pycast.http.source_headers import source_info
from pycast.net.group import Task
from pycast.relay.dial import Stream
from pycast.server.context import ServerContext
from pycast.server.sources import ConnectedSource, as_found
from pycast.stream.source import SourceDescription, SourceState

# How long a stream may take from its first bytes to the air: in a cluster the mount is claimed first.
ADMIT_S = 6.0

_PASSED_ON = ("ice-", "icy-", "x-audiocast-")


class StreamRun:
    """A stream and its source. `index` is that of its upstream, or behind the last one if it is none any more."""

    def __init__(self, index: int, stream: Stream, since: float) -> None:
        self.index = index
        self.place = stream.place
        self.since = since
        self.refusal = ""
        """Why it did not come on the air; empty if it did."""
        self.is_ended = False
        """Whether its relay has ended it."""
        self.source: ConnectedSource | None = None
        self._stream: Stream | None = stream
        self._task: Task | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has left."""
        return self._task is not None and self._task.ready()

    @property
    def state(self) -> SourceState:
        """Where its audio goes."""
        return self.source.output.state if self.source is not None else SourceState.OUT

    def begin(self, context: ServerContext, mount: str, credentials: Credentials, over: Callable[[], object]) -> None:
        """Begins to read it, and waits until it is on the air, stands by, or was refused. `over` is called when it has
        left. May switch.
        """
        assert self._stream is not None
        connection = self._stream.connection
        task = self._task = context.group.spawn(f"relayed {mount}", self._play, context, mount, credentials)
        # Here and not in `_play`: a greenlet may be killed before it has begun.
        task.rawlink(lambda _: connection.close())
        task.rawlink(lambda _: over())
        try:
            while self.state is SourceState.OUT and not task.ready() and time.monotonic() < self.since + ADMIT_S:
                task.join(0.01)
        except BaseException:
            task.kill(block=False)  # the relay is stopped
            raise

    def end(self, why: str) -> None:
        """Ends it. Never switches."""
        self.is_ended = True
        if self.source is not None and not self.is_over:
            self.source.end(why)

    def wait(self) -> None:
        """Waits a moment until it has left. May switch."""
        if self._task is not None:
            self._task.join(ADMIT_S)

    def _play(self, context: ServerContext, mount: str, credentials: Credentials) -> None:
        stream, self._stream = self._stream, None
        assert stream is not None
        connection, body, first = stream.connection, stream.answer.new_body(), [stream.first]
        described = describe_stream(mount, stream, time.time())
        del stream  # its bytes must not stay for as long as it goes on
        self.source = ConnectedSource(context, connection, mount, credentials, described, is_relay=True)
        try:
            self.source.run(body, first.pop(), b"", b"")
        except PeerError as error:
            self.refusal = str(error)


def describe_stream(mount: str, stream: Stream, now: float) -> SourceDescription:
    """Returns the description of a stream as a source, from the head of its answer."""
    headers = Headers(
        (name, value)
        for name, value in stream.answer.headers
        if name.startswith(_PASSED_ON) or name in ("content-type", RELAY_PATH)
    )
    info = source_info(headers)
    described = SourceDescription(
        info, info.content_type or "audio/mpeg", tuple(headers), stream.place.host, now, UNKNOWN
    )
    return as_found(mount, described, stream.found)
