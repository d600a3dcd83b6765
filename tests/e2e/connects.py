"""Connects to a server many times a second, each time with one request, and counts what became of them.

A program of its own, so that its clients do not stand still with the test: `python -m tests.e2e.connects PORT RATE
SECONDS PATH` prints "go", and at its end a line of JSON: how often each status, "reset", "refused" and "silent".
"""

import json
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from typing import Any

# How long a client waits for its answer: longer than two starts of a server take on a busy machine.
PATIENCE_S = 30.0


class Client:
    """One connection, its request, and what came back."""

    def __init__(self, port: int, path: str) -> None:
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self._request = f"GET {path} HTTP/1.0\r\n\r\n".encode()
        self._answer = b""
        self.until = time.monotonic() + PATIENCE_S
        self.sock.connect_ex(("127.0.0.1", port))

    def go_on(self) -> str:
        """Goes on with what is possible now. Returns what became of it, empty if that is open."""
        try:
            if self._request:
                self._request = self._request[self.sock.send(self._request) :]
            while data := self.sock.recv(65_536):
                self._answer += data
            return self._answer[9:12].decode() or "empty"
        except BlockingIOError:
            return ""
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "reset"


class Connects:
    """The program, seen from a test."""

    def __init__(self, port: int, rate: int, seconds: float, path: str = "/livez") -> None:
        command = [sys.executable, "-m", "tests.e2e.connects", str(port), str(rate), str(seconds), path]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "go\n"

    def counts(self) -> Counter[str]:
        """Waits for the end. Returns how often each thing happened."""
        output, _ = self._process.communicate(timeout=60)
        found: dict[str, Any] = json.loads(output)
        return Counter(found)


def main(port: int, rate: int, seconds: float, path: str) -> None:
    """Runs the program."""
    counts: Counter[str] = Counter()
    waiting = selectors.DefaultSelector()
    print("go", flush=True)
    begun, made = time.monotonic(), 0
    while (now := time.monotonic()) < begun + seconds or waiting.get_map():
        while made < min(now - begun, seconds) * rate:
            client = Client(port, path)
            waiting.register(client.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
            made += 1
        for key, _ in waiting.select(0.005):
            outcome = key.data.go_on()
            if outcome:
                counts[outcome] += 1
                waiting.unregister(key.data.sock)
                key.data.sock.close()
            elif not key.data._request:
                waiting.modify(key.data.sock, selectors.EVENT_READ, key.data)
        for key in [key for key in waiting.get_map().values() if now > key.data.until]:
            counts["silent"] += 1
            waiting.unregister(key.fileobj)
            key.data.sock.close()
    print(json.dumps(counts))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
