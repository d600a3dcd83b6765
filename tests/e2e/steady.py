"""A source that never stops and a listener that checks every byte, while a test strains the server.

Both run in threads. Invariant: `verify` says yes only if the listener heard everything that was sent since it joined,
in order, nothing twice, up to a moment after the test's worst was over.
"""

import threading
import time
from types import TracebackType
from typing import Self

from tests.e2e.wire import FRAME_BYTES, assert_run_of, frames, listen, source

FRAMES_A_SECOND = 76  # twice the pace of the audio: 32 kB a second
AFTER_BYTES = 40 * FRAME_BYTES


class SteadyStream:
    """`with SteadyStream(port, password) as stream: …; stream.verify()`."""

    def __init__(self, port: int, password: str, mount: str = "/steady.mp3") -> None:
        self._port = port
        self._password = password
        self._mount = mount
        self._sent = bytearray()
        self._heard = bytearray()
        self._stop = threading.Event()
        self._heard_more = threading.Condition()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._send, self._receive)]
        self._failure = ""

    def __enter__(self) -> Self:
        self._source = source(self._port, self._mount, self._password)
        self._source.send(self._next_frames(10))
        self._listener, _ = listen(self._port, self._mount)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for wire in (self._source, self._listener):
            wire.cut()
        for thread in self._threads:
            thread.join(10)
        self._source.close()
        self._listener.close()

    def verify(self, timeout: float = 10.0) -> None:
        """Waits until some more of the stream has come through, and checks all that was heard."""
        goal = len(self._heard) + AFTER_BYTES
        deadline = time.monotonic() + timeout
        with self._heard_more:
            while len(self._heard) < goal and not self._failure:
                left = deadline - time.monotonic()
                assert left > 0, f"the listener heard {len(self._heard)} bytes and then no more"
                self._heard_more.wait(left)
        assert not self._failure, self._failure
        start = assert_run_of(bytes(self._heard), bytes(self._sent))
        assert start == 0, "the listener joined late"

    def _next_frames(self, count: int) -> bytes:
        data = frames(len(self._sent) // FRAME_BYTES, count)
        self._sent += data
        return data

    def _send(self) -> None:
        while not self._stop.wait(1 / FRAMES_A_SECOND):
            data = self._next_frames(1)
            try:
                self._source.send(data)
            except OSError as error:
                self._fail(f"the source was thrown out: {error!r}")
                return

    def _receive(self) -> None:
        while not self._stop.is_set():
            try:
                data = self._listener.read_some()
            except AssertionError as error:
                self._fail(f"the listener was thrown out: {error}")
                return
            with self._heard_more:
                self._heard += data
                self._heard_more.notify_all()

    def _fail(self, reason: str) -> None:
        if not self._stop.is_set():
            with self._heard_more:
                self._failure = reason
                self._heard_more.notify_all()
