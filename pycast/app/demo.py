"""The stream of `pycast demo`: a built-in loop on /demo.mp3, fed as any source feeds, at the pace of a clock."""

import time

import gevent

from pycast.cluster.ownership import Ownership
from pycast.demo_stream import BITRATE, CONTENT_TYPE, LEAD_S, STEP_S, TITLE, Playback, demo_mp3
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.stream.mounts import Mounts
from pycast.stream.source import Sink, SourceDescription

MOUNT = "/demo.mp3"

HEADERS = {
    "content-type": CONTENT_TYPE,
    "ice-name": "pycast demo",
    "ice-description": "A built-in loop, to hear that everything works",
    "ice-genre": "Ambient",
    "ice-bitrate": str(BITRATE // 1000),
    "ice-public": "0",
}


class DemoSource:
    """The feeder of the demo's mount."""

    credentials = ("", "")

    def __init__(self) -> None:
        headers = Headers(tuple(HEADERS.items()))
        self.description = SourceDescription(
            source_info(headers), CONTENT_TYPE, tuple(headers), "127.0.0.1", time.time()
        )
        self.sink: Sink | None = None
        self.last_data = time.monotonic()
        self._stopped = False

    @property
    def is_ending(self) -> bool:
        """Only the server ends it."""
        return False

    def wait_for_end(self, seconds: float) -> None:
        """Nobody waits for it."""

    def replace(self) -> None:
        """Never happens: it is never silent."""
        self._stopped = True

    def stop(self, why: str) -> None:
        """Ends the stream."""
        self._stopped = True

    def play(self, ownership: Ownership, mounts: Mounts) -> None:
        """Feeds the loop until it is stopped. May switch."""
        ownership.admit(MOUNT, self)
        playback = Playback(demo_mp3(), time.monotonic() - LEAD_S)
        try:
            while not self._stopped:
                mount = mounts.get(MOUNT)
                if playback.is_at_start and mount is not None and self.sink is mount:
                    mount.set_title("", f"{TITLE}, round {playback.round}")
                piece = playback.due(time.monotonic())
                if piece and self.sink is not None:
                    self.sink.feed(piece)
                    playback.advance(len(piece))
                    self.last_data = time.monotonic()
                gevent.sleep(STEP_S)
        finally:
            ownership.remove(MOUNT, self)


def play_demo(ownership: Ownership, mounts: Mounts) -> None:
    """Plays until the node stops."""
    DemoSource().play(ownership, mounts)
