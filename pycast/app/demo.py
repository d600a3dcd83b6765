"""The stream of `pycast demo`: a built-in loop on /demo.mp3, a source like any other that sends in real time."""

import time

import gevent

from pycast.cluster.ownership import Ownership
from pycast.demo_stream import BITRATE, CONTENT_TYPE, LEAD_S, STEP_S, TITLE, Playback, demo_mp3
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.stream.source import SourceDescription, SourceOutput

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
    """The source of the demo's mount."""

    credentials = None
    takes_over = is_silent = False

    def __init__(self) -> None:
        headers = Headers(tuple(HEADERS.items()))
        self.description = SourceDescription(
            source_info(headers), CONTENT_TYPE, tuple(headers), "127.0.0.1", time.time()
        )
        self.output = SourceOutput()
        self._ended = False

    def wait_until_out(self, seconds: float) -> None:
        """Returns at once: this source has no connection to wait for."""

    def end(self, why: str) -> None:
        """Ends the stream; `why` is not used."""
        self.output.take_out()
        self._ended = True

    def play(self, ownership: Ownership) -> None:
        """Feeds the loop until `end` is called. May switch."""
        ownership.admit(MOUNT, self)
        playback = Playback(demo_mp3(), time.monotonic() - LEAD_S)
        try:
            while not self._ended:
                if playback.is_at_start:
                    self.output.set_title("", f"{TITLE}, round {playback.round}")
                piece = playback.due(time.monotonic())
                if piece:
                    self.output.feed(piece)
                    playback.advance(len(piece))
                gevent.sleep(STEP_S)
        finally:
            ownership.remove(MOUNT, self)


def play_demo(ownership: Ownership) -> None:
    """Plays until the node stops."""
    DemoSource().play(ownership)
