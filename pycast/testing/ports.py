"""Ports for programs that must be told theirs before they run.

A port that was only looked for may be gone when it is used, on a machine where much runs side by side; so it is held: a
socket is bound to it and does not listen. Linux lets a server that sets SO_REUSEADDR (all do) listen there all the
same, gives the port to nobody who asks for any, and to no outgoing connection. While no server listens, who connects is
refused. Invariant: a port is held until `release`.
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

# Where an address of another network namespace has its port: nobody else is there, and nothing goes out from there.
LOWEST, HIGHEST = 10_000, 32_000


class Ports:
    """`with Ports() as ports: port = ports.take()`."""

    def __init__(self) -> None:
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self, hosts: Sequence[str] = (LOOPBACK,), row: int = 1) -> int:
        """The first of `row` ports, one after the other, that are free on each of `hosts`. Raises OSError."""
        for _ in range(ATTEMPTS):
            with ExitStack() as stack:
                port = _hold(stack, hosts[0], 0)
                rest = [(host, port + number) for host in hosts for number in range(row)][1:]
                if all(_maybe_hold(stack, host, number) for host, number in rest):
                    self._held.push(stack.pop_all())
                    return port
        raise OSError(errno.EADDRINUSE, f"no {row} ports in a row are free on {', '.join(hosts)}")

    def release(self) -> None:
        """Lets go of all of them. May be called twice."""
        self._held.close()


def _maybe_hold(stack: ExitStack, host: str, port: int) -> bool:
    """Whether the port was free."""
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
    # Now, not before: with it two would be let in here, each of whom thinks that the port is its own.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return int(sock.getsockname()[1])
