"""A listener and a health check that go on during an attack, in a process that the attacker does not delay.

`python -m attacks.witness PORT MOUNT` plays the numbered frames of `benchmarks/source.py`, compares every byte, and
asks for `/livez` every 50 ms. When its standard input ends it prints one JSON object: the longest silence, wrong
frames, frames, the slowest health check and the failed ones.
"""

import json
import select
import socket
import sys
import time
from typing import NamedTuple, Self

from benchmarks.frames import FrameReader

_PROBE_EVERY_S = 0.05
_GIVE_UP_S = 20.0


class Testimony(NamedTuple):
    """What the witness saw. `longest_silence_s` is between two arrivals of audio, `slowest_livez_s` of one answer."""

    frames: int
    wrong: int
    longest_silence_s: float
    slowest_livez_s: float
    failed_livez: int

    @classmethod
    def from_json(cls, line: str) -> Self:
        return cls(**json.loads(line))


class _Player:
    """Plays one mount."""

    def __init__(self, port: int, mount: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_GIVE_UP_S)
        self.socket.sendall(f"GET {mount} HTTP/1.0\r\n\r\n".encode())
        self.reader = FrameReader(0)
        self.longest_s = 0.0
        self.is_lost = False
        self._last = 0.0

    def read(self) -> None:
        """Takes what has arrived. (The reader looks for the first frame, so it skips the head.)"""
        data = self.socket.recv(1 << 18)
        now = time.monotonic()
        if not data:
            self.is_lost = True
            return
        if self._last:
            self.longest_s = max(self.longest_s, now - self._last)
        self._last = now
        self.reader.feed(data, time.monotonic_ns())

    def silence_now(self) -> float:
        """Returns the seconds since the last audio."""
        return time.monotonic() - self._last if self._last else 0.0


class _Probe:
    """Asks for `/livez` again and again, one connection at a time, without waiting for the answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.socket: socket.socket | None = None
        self.slowest_s = 0.0
        self.failed = 0
        self._began = 0.0

    def maybe_ask(self) -> None:
        """Begins a request if it is time for one; gives up one that has waited too long."""
        now = time.monotonic()
        if self.socket is not None:
            if now - self._began > _GIVE_UP_S:
                self._end(is_right=False)
            return
        if now - self._began < _PROBE_EVERY_S:
            return
        self._began = now
        try:
            self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=_GIVE_UP_S)
            self.socket.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        except OSError:
            self._end(is_right=False)

    def read(self) -> None:
        """Takes the answer."""
        assert self.socket is not None
        try:
            answer = self.socket.recv(4096)
        except OSError:
            answer = b""
        self._end(is_right=b" 200 " in answer[:20])

    def _end(self, *, is_right: bool) -> None:
        self.slowest_s = max(self.slowest_s, time.monotonic() - self._began)
        self.failed += not is_right
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def main() -> int:
    """Watches until standard input ends."""
    player, probe = _Player(int(sys.argv[1]), sys.argv[2]), _Probe(int(sys.argv[1]))
    while not player.reader.frames and not player.is_lost:
        player.read()
    print("watching", flush=True)
    while not player.is_lost:
        probe.maybe_ask()
        sockets = [player.socket, *([probe.socket] if probe.socket else [])]
        ready, _, _ = select.select([sys.stdin, *sockets], [], [], _PROBE_EVERY_S / 2)
        if player.socket in ready:
            player.read()
        if probe.socket in ready:
            probe.read()
        if sys.stdin in ready:
            break
    silence_s = float("inf") if player.is_lost else max(player.longest_s, player.silence_now())
    reader = player.reader
    print(json.dumps(Testimony(reader.frames, reader.errors, silence_s, probe.slowest_s, probe.failed)._asdict()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
