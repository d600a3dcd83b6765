"""A source that can end and come back, in any format: a thread that sends units when they are due.

The one invariant: what it sends on a connection begins with the beginning of its stream.
"""

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from struct import pack

from benchmarks.frames import FRAME_S, frame
from benchmarks.servers import PASSWORD
from pycast.formats.ogg_page import write_page, write_pages

Units = Callable[[], Iterator[tuple[float, bytes]]]
"""Makes the units of a stream: after how many seconds each is due, and its bytes."""

_PRELOAD_S = 4.0
_PACKETS = 10


class PacedSource:
    """One source of one mount."""

    def __init__(self, port: int, mount: str, content_type: str, units: Units) -> None:
        login = base64.b64encode(f"source:{PASSWORD}".encode()).decode()
        head = f"SOURCE {mount} HTTP/1.0\r\nAuthorization: Basic {login}\r\nContent-Type: {content_type}\r\n\r\n"
        self._head = head.encode()
        self._port = port
        self._units = units
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._preload_s = _PRELOAD_S

    def start(self) -> None:
        """Connects, and sends until `stop`. The first time it is ahead, so that listeners get a burst."""
        self._ended.clear()
        sock = socket.create_connection(("127.0.0.1", self._port), 10)
        sock.sendall(self._head)
        sock.recv(1000)
        self._thread = threading.Thread(target=self._send, args=(sock, self._preload_s), daemon=True)
        self._thread.start()
        self._preload_s = 0.0

    def stop(self) -> None:
        """Ends the connection; does nothing without one."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    close = stop

    def _send(self, sock: socket.socket, preload_s: float) -> None:
        began = time.monotonic() - preload_s
        with sock:
            for due_s, data in self._units():
                if self._ended.wait(max(began + due_s - time.monotonic(), 0.0)):
                    return
                sock.sendall(data)


def mp3_units() -> Iterator[tuple[float, bytes]]:
    """Yields MP3 frames."""
    for number in count():
        yield number * FRAME_S, frame(number, 0, 0)


def opus_units() -> Iterator[tuple[float, bytes]]:
    """Yields pages of a fifth of a second of Opus, about 64 kbit/s of nothing."""
    head = b"OpusHead" + pack("<BBHIhB", 1, 2, 312, 48000, 0, 0)
    tags = b"OpusTags" + pack("<I", 5) + b"bench" + pack("<I", 0)
    begin = write_page(bytes([len(head)]), head, flags=2, granule=0, serial=1, sequence=0)
    yield 0.0, begin + b"".join(write_pages([tags], 1, 1))
    packet = b"\xff\x41\x94\xff\xfe".ljust(5 + 148, b"\0")
    for number in count():
        granule, lacing = (number + 1) * _PACKETS * 960, bytes([len(packet)] * _PACKETS)
        data = write_page(lacing, packet * _PACKETS, flags=0, granule=granule, serial=1, sequence=2 + number)
        yield number * _PACKETS * 0.02, data
