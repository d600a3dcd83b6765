"""Ports for programs that need a port number before they start.

On a machine where many programs run, a port that was merely found free may be in use a moment later. So it is held: a
socket is bound to it and does not listen. On Linux a server that sets SO_REUSEADDR (all do) can still listen on it, but
the kernel assigns it to no program that asks for any port, and to no outgoing connection. While no server listens,
connections are refused. The one invariant: a port is held until `release`.
"""

import errno
import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
ATTEMPTS = 1000

# The range of ports for an address in another network namespace, where no other program uses any.
LOWEST, HIGHEST = 10_000, 32_000


class Ports:
    """A set of held ports: `with Ports() as ports: port = ports.take()`."""

    def __init__(self) -> None:
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self, hosts: Sequence[str] = (LOOPBACK,), row: int = 1) -> int:
        """Holds `row` consecutive ports that are free on each of `hosts`; returns the first. Raises OSError."""
        for _ in range(ATTEMPTS):
            with ExitStack() as stack:
                port = _hold(stack, hosts[0], 0)
                rest = [(host, port + number) for host in hosts for number in range(row)][1:]
                if all(_maybe_hold(stack, host, number) for host, number in rest):
                    self._held.push(stack.pop_all())
                    return port
        raise OSError(errno.EADDRINUSE, f"no {row} ports in a row are free on {', '.join(hosts)}")

    def release(self) -> None:
        """Releases all ports. Can be called twice."""
        self._held.close()


def _maybe_hold(stack: ExitStack, host: str, port: int) -> bool:
    """Holds the port if it is free. Returns whether it was."""
    try:
        _hold(stack, host, port)
    except OverflowError:  # there is no such port
        return False
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return False
    return True


def _hold(stack: ExitStack, host: str, port: int) -> int:
    sock = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
    try:
        sock.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            return port or random.randint(LOWEST, HIGHEST)
        raise
    # Only after `bind`: with it, two processes could bind the same port.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return int(sock.getsockname()[1])
