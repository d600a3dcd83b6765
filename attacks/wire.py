"""What the attacks send with: plain blocking sockets from many loopback addresses, each with a deadline."""

import base64
import itertools
import socket
import time
from contextlib import suppress

DEADLINE_S = 10.0

_addresses = itertools.count(1)


def connect(port: int, *, source: str = "") -> socket.socket:
    """Returns a connection, from the address `source` if given."""
    return socket.create_connection(("127.0.0.1", port), DEADLINE_S, (source, 0) if source else None)


def fresh_address() -> str:
    """Returns a loopback address that was not used before: to the server, another client."""
    number = next(_addresses)
    return f"127.{10 + number // 62_500 % 200}.{number // 250 % 250}.{1 + number % 250}"


def exchange(port: int, data: bytes, *, source: str = "", most: int = 1 << 16) -> bytes:
    """Sends `data` and the end of it, and returns the answer, at most `most` bytes. b"" if the server hung up.

    Raises TimeoutError if the server neither answers nor hangs up.
    """
    with connect(port, source=source) as sock:
        with suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        return receive(sock, most)


def receive(sock: socket.socket, most: int) -> bytes:
    """Returns what comes until the end, at most `most` bytes."""
    answer, deadline = b"", time.monotonic() + DEADLINE_S
    with suppress(ConnectionResetError):
        while len(answer) < most and (data := sock.recv(1 << 16)):
            answer += data
            if time.monotonic() > deadline:
                raise TimeoutError("an answer without an end")
    return answer


def send_while_taken(sock: socket.socket, data: bytes, seconds: float) -> int:
    """Sends `data` again and again until the server hangs up, or `seconds` are over. Returns the bytes it took."""
    sent, end = 0, time.monotonic() + seconds
    sock.settimeout(0.2)
    while time.monotonic() < end:
        try:
            sent += sock.send(data)
        except TimeoutError:
            continue
        except OSError:
            break
    return sent


def basic(user: str, password: str) -> bytes:
    """Returns an `Authorization` line."""
    return b"Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()) + b"\r\n"
