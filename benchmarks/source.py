"""Paced sources of numbered frames: one process feeds 1 to 200 mounts at 128 kbit/s, one write per frame.

`Source` starts and controls the process from the benchmark; `main` is the process. Both share a small memory map: the
command, the position of each mount, the delay of the pacing. The mounts' frames are spread evenly over a frame's time,
as independent encoders' would be. The one invariant: the count of a mount is raised after the whole frame was given to
the kernel, so a reader of the count never sees bytes that were not sent.
"""

import argparse
import base64
import mmap
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkstemp

from benchmarks.frames import FRAME_S, frame, offset_of
from benchmarks.procfs import pinned

HOLD, RUN, STOP = 0, 1, 2
STARTING, CONNECTED, FAILED = 0, 1, 2

_COMMAND, _STATE, _LATE_US, _FIRST_MOUNT = 0, 1, 2, 3
_SEND_TIMEOUT_S = 10
_ROOT = Path(__file__).resolve().parent.parent


class SourceError(Exception):
    """The sources could not connect, or lost their connection."""


class Source:
    """A child process that feeds `mounts` (numbered from 0); connected and silent until `run()`."""

    def __init__(self, port: int, mounts: Sequence[str], password: str, *, core: int, preload_s: float = 0.0) -> None:
        """`preload_s` seconds of audio are sent as fast as the server takes them when the sources first run."""
        self.mounts = tuple(mounts)
        words = _FIRST_MOUNT + len(self.mounts)
        handle, self._file = mkstemp(prefix="pycast-bench-")
        os.truncate(handle, words * 8)
        self._map = mmap.mmap(handle, words * 8)
        os.close(handle)
        self._words = memoryview(self._map).cast("q")
        command = [sys.executable, "-m", "benchmarks.source", str(port), self._file, *self.mounts]
        options = ["--password", password, "--preload", str(preload_s)]
        with pinned(core):
            self._process = subprocess.Popen([*command, *options], cwd=_ROOT, stdin=subprocess.DEVNULL)

    def wait_connected(self, timeout_s: float = 20.0) -> None:
        """Waits until every mount was accepted; raises SourceError if one was not."""
        deadline = time.monotonic() + timeout_s
        while self._words[_STATE] == STARTING and time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        if self._words[_STATE] != CONNECTED:
            raise SourceError("the source could not connect to the server")

    def run(self) -> None:
        """Starts or continues to send."""
        self._words[_COMMAND] = RUN

    def hold(self) -> None:
        """Stops sending until `run()`; returns when the last frame is sent."""
        self._words[_COMMAND] = HOLD
        time.sleep(2 * FRAME_S)

    def sent_bytes(self, mount: int) -> int:
        """Returns how many bytes were sent to mount number `mount`."""
        return offset_of(self._words[_FIRST_MOUNT + mount])

    def wait_sent(self, seconds_of_audio: float, timeout_s: float = 120.0) -> None:
        """Waits until every mount was sent so much audio."""
        deadline = time.monotonic() + timeout_s
        frames = int(seconds_of_audio / FRAME_S)
        while min(self._words[_FIRST_MOUNT:]) < frames:
            if time.monotonic() > deadline or not self.is_alive:
                raise SourceError("the server does not take the sources' data")
            time.sleep(0.02)

    @property
    def is_alive(self) -> bool:
        """Whether all sources are connected (the process ends when one is not)."""
        return self._process.poll() is None

    @property
    def worst_delay_s(self) -> float:
        """Returns the longest delay of a frame: a figure of the load generator, not of the server."""
        return self._words[_LATE_US] / 1e6

    def close(self) -> None:
        self._words[_COMMAND] = STOP
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._words.release()
        self._map.close()
        os.unlink(self._file)


class _Feeder:
    """The loop of the child process."""

    def __init__(self, words: memoryview, sockets: Sequence[socket.socket], preload_s: float) -> None:
        self._words = words
        self._sends = [sock.sendall for sock in sockets]
        self._preload_frames = int(preload_s / FRAME_S)
        self._parent = os.getppid()

    def run(self) -> None:
        """Feeds until the parent commands a stop, or is gone."""
        self._hold()
        for seq in range(self._preload_frames):
            if self._words[_COMMAND] == STOP:
                return
            for mount in range(len(self._sends)):
                self._send(mount, seq)
        self._pace()

    def _pace(self) -> None:
        count, words = len(self._sends), self._words
        step_s = FRAME_S / count
        turn, start = 0, time.monotonic()
        while words[_COMMAND] != STOP and os.getppid() == self._parent:
            wait_s = start + turn * step_s - time.monotonic()
            if wait_s > 0.0005:
                time.sleep(wait_s)
            elif -wait_s * 1e6 > words[_LATE_US]:
                words[_LATE_US] = int(-wait_s * 1e6)
            if words[_COMMAND] == HOLD:
                start += self._hold()
            seq, mount = divmod(turn, count)
            self._send(mount, seq + self._preload_frames)
            turn += 1

    def _send(self, mount: int, seq: int) -> None:
        self._sends[mount](frame(seq, mount, time.monotonic_ns()))
        self._words[_FIRST_MOUNT + mount] = seq + 1

    def _hold(self) -> float:
        began = time.monotonic()
        while self._words[_COMMAND] == HOLD and os.getppid() == self._parent:
            time.sleep(0.005)
        return time.monotonic() - began


def _connect(port: int, mount: str, password: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=_SEND_TIMEOUT_S)
    credentials = base64.b64encode(f"source:{password}".encode()).decode()
    sock.sendall(
        f"SOURCE {mount} HTTP/1.0\r\nAuthorization: Basic {credentials}\r\nUser-Agent: pycast-bench\r\n"
        "Content-Type: audio/mpeg\r\nice-name: Benchmark\r\nice-public: 0\r\nice-bitrate: 128\r\n"
        "ice-audio-info: bitrate=128;channels=2;samplerate=44100\r\n\r\n".encode()
    )
    reply = b""
    while b"\r\n\r\n" not in reply:
        part = sock.recv(4096)
        if not part:
            break
        reply += part
    if b" 200 " not in reply.partition(b"\r\n")[0]:
        raise SourceError(f"{mount}: the server answered {reply[:200]!r}")
    # The kernel's own time limit, so that a plain blocking send needs no extra poll().
    sock.setblocking(True)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_TIMEOUT_S, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("control", help="the file of shared words, made by Source")
    parser.add_argument("mounts", nargs="+")
    parser.add_argument("--password", default="")
    parser.add_argument("--preload", type=float, default=0.0)
    return parser.parse_args()


def main() -> int:
    """Runs the child process: connects every mount, then feeds them as the parent commands."""
    options = _arguments()
    with open(options.control, "r+b") as file:
        words = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
    try:
        sockets = [_connect(options.port, mount, options.password) for mount in options.mounts]
    except (OSError, SourceError) as error:
        print(f"source: {error}", file=sys.stderr)
        words[_STATE] = FAILED
        return 1
    words[_STATE] = CONNECTED
    try:
        _Feeder(words, sockets, options.preload).run()
    except OSError as error:
        if words[_COMMAND] != STOP:
            print(f"source: connection lost: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
