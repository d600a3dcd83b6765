"""An encoder as in a studio: it plays on in real time whether it is connected or not, and reconnects after a loss.

Frames are numbered by the time since it began, so a listener misses exactly the frames of the time in which the encoder
was disconnected. It runs in a thread, or as a process that writes its events as lines of JSON:

    python -m benchmarks.encoder PORT MOUNT [--password P] [--reconnect SECONDS]

The one invariant: a frame is sent at most once, at its time, whole unless the connection breaks.
"""

import argparse
import base64
import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from threading import Event

from benchmarks.frames import FRAME_S, frame

REPLY_S = 5.0
# What it may fall behind (a server that takes nothing) before it drops the line, as libshout's users do.
SEND_S = 5.0

Say = Callable[[str, str, int], None]
"""Told what has happened: "connected", "lost" or "refused", why, and the number of the next frame."""


class Encoder:
    """Feeds one mount until `stop` is set."""

    def __init__(self, port: int, mount: str, password: str, reconnect_s: float, number: int = 0) -> None:
        """`number` distinguishes its frames from those of other encoders."""
        self.stop = Event()
        self._where = ("127.0.0.1", port)
        self._mount = mount
        self._number = number
        self._seq = 0
        self._reconnect_s = reconnect_s
        credentials = base64.b64encode(f"source:{password}".encode()).decode()
        self._request = (
            f"SOURCE {mount} HTTP/1.0\r\nAuthorization: Basic {credentials}\r\nUser-Agent: pycast-bench\r\n"
            "Content-Type: audio/mpeg\r\nice-name: Benchmark\r\nice-public: 0\r\nice-bitrate: 128\r\n\r\n"
        ).encode()

    def run(self, say: Say, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Plays until `stop` is set or `is_wanted` returns False."""
        began = time.monotonic()
        while is_wanted() and not self.stop.is_set():
            try:
                with self.connect() as sock:
                    self._seq = int((time.monotonic() - began) / FRAME_S) + 1
                    say("connected", "", self._seq)
                    self._play(sock, began, is_wanted)
            except ConnectionRefusedError as error:
                say("refused", str(error), self._seq)
            except OSError as error:
                say("lost", str(error) or type(error).__name__, self._seq)
            self.stop.wait(self._reconnect_s)

    def connect(self) -> socket.socket:
        """Returns a connection that the server has accepted. Raises OSError."""
        sock = socket.create_connection(self._where, REPLY_S)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(self._request)
            reply = b""
            while b"\r\n\r\n" not in reply and b"\n" not in reply[12:]:
                part = sock.recv(4096)
                if not part:
                    break
                reply += part
            if b" 200" not in reply[:16]:
                raise ConnectionRefusedError(f"answered {reply[:60]!r}")
            sock.settimeout(SEND_S)
            return sock
        except BaseException:
            sock.close()
            raise

    def _play(self, sock: socket.socket, began: float, is_wanted: Callable[[], bool]) -> None:
        while is_wanted() and not self.stop.is_set():
            wait_s = began + self._seq * FRAME_S - time.monotonic()
            # It sleeps where it hears of a server that hangs up.
            if select.select([sock], [], [], max(wait_s, 0))[0] and not sock.recv(4096):
                raise ConnectionAbortedError("closed by the server")
            sock.sendall(frame(self._seq, self._number, time.monotonic_ns()))
            self._seq += 1


def main() -> int:
    """Runs the process, which ends with the one that started it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("mount")
    parser.add_argument("--password", default="")
    parser.add_argument("--reconnect", type=float, default=1.0)
    options = parser.parse_args()
    parent = os.getppid()

    def say(what: str, why: str, seq: int) -> None:
        print(json.dumps({"at": time.monotonic(), "what": what, "why": why, "seq": seq}), flush=True)

    Encoder(options.port, options.mount, options.password, options.reconnect).run(say, lambda: os.getppid() == parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
