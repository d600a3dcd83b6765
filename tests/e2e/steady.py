"""A source that never stops and a listener that checks every frame, while a test strains the server.

Both are the test kit's own, in threads. Invariant: `verify` says yes only if the listener heard everything that was
sent since it joined, in order, nothing twice, up to a moment after the test's worst was over.
"""

from types import TracebackType
from typing import Self

from pycast.testing.heard import Heard
from pycast.testing.numbered_stream import NumberedStream
from pycast.testing.wire_heads import ServerAddress

SPEED = 2.0  # 32 kB a second
LEAD_S = 0.3
AFTER_FRAMES = 40


class SteadyStream:
    """`with SteadyStream(port, password) as stream: …; stream.verify()`."""

    def __init__(self, port: int, password: str, mount: str = "/steady.mp3") -> None:
        address = ServerAddress("127.0.0.1", port)
        self._source = NumberedStream(address, mount, login=("source", password), speed=SPEED, lead_s=LEAD_S)
        self._listener = Heard(address, mount, icy=False)

    def __enter__(self) -> Self:
        self._source.connect()
        try:
            self._listener.connect()
        except BaseException:
            self._source.disconnect()
            raise
        assert self._listener.status == 200, self._listener.raw_head
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.leave()
        self._source.disconnect()

    def verify(self, timeout: float = 10.0) -> None:
        """Waits until some more of the stream has come through, and checks all that was heard."""
        self._listener.wait_for_frames(len(self._listener.frames) + AFTER_FRAMES, timeout)
        assert self._source.is_connected, f"the source was thrown out: {self._source.reason}"
        heard = self._listener.frames
        assert heard.is_whole, heard
        assert heard.numbers[0] == 0, "the listener joined late"
