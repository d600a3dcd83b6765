"""Notifies the service manager that the node is ready, reloading, stopping or alive.

The protocol is systemd's sd_notify(3): text in a datagram to the socket that NOTIFY_SOCKET names. Without that variable
the methods do nothing. No method waits or switches; if the service manager does not read, a line is logged.

The keep-alive for the watchdog comes from a timer of the hub itself, not from a greenlet or a thread. So a loop that is
stuck for whatever reason does not send it, and systemd kills and restarts the process.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Self

from gevent import get_hub

log = logging.getLogger(__name__)

# systemd's own advice (sd_watchdog_enabled(3)): twice as often as required, so that one may be late.
KEEPALIVES_PER_TIMEOUT = 2


class SystemdNotifier:
    """The connection to the service manager. `ready` starts the keep-alives, `close` ends them."""

    def __init__(self, address: str | bytes, watchdog_s: float, monotonic_ns: Callable[[], int]) -> None:
        """`address` is its socket, empty for none; `watchdog_s` is its time limit for keep-alives, 0 for none."""
        self._address = address
        self._watchdog_s = watchdog_s
        self._monotonic_ns = monotonic_ns
        # Non-blocking: a send succeeds or fails at once, with gevent's socket and the standard library's.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)
        interval_s = watchdog_s / KEEPALIVES_PER_TIMEOUT
        self._timer = get_hub().loop.timer(interval_s, interval_s, ref=False)
        self._is_watched = False

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Self:
        """Makes one from systemd's variables, and removes them: child processes must not notify in this one's name."""
        path = environ.pop("NOTIFY_SOCKET", "")
        microseconds = environ.pop("WATCHDOG_USEC", "")
        for_process = environ.pop("WATCHDOG_PID", "")
        # "@" stands for the zero byte that begins Linux's abstract names, which a variable cannot have. Other kinds,
        # such as the "vsock:" of virtual machines, are not for a service manager on this machine.
        address: str | bytes = path if path.startswith("/") else b""
        if path.startswith("@"):
            address = b"\0" + os.fsencode(path[1:])
        is_ours = bool(address) and for_process in ("", str(os.getpid())) and microseconds.isdecimal()
        return cls(address, int(microseconds) / 1e6 if is_ours else 0.0, time.monotonic_ns)

    def ready(self, status: str) -> None:
        """Reports the end of the start or of a reload. `status` is shown by `systemctl status`."""
        self._send("READY=1", f"STATUS={status}")
        if self._watchdog_s and not self._is_watched:
            self._is_watched = True
            self._timer.start(self._send, "WATCHDOG=1")

    def reloading(self) -> None:
        """Reports that a reload begins. The time tells systemd (Type=notify-reload) which one it is."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={self._monotonic_ns() // 1000}")

    def stopping(self, within_s: float) -> None:
        """Reports a stop that takes `within_s` at most, so that systemd does not cut a drain short that lasts longer
        than the unit's TimeoutStopSec."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(within_s * 1e6)}")

    def status(self, text: str) -> None:
        """Reports in one line what the node is doing now."""
        self._send(f"STATUS={text}")

    def close(self) -> None:
        """Ends the keep-alives and closes the socket. Can be called twice."""
        self._timer.stop()
        self._timer.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        """Never switches."""
        if self._socket is None:
            return
        # Each line is an assignment of its own in this protocol, so a status must be one line.
        message = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            self._socket.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError as error:
            log.warning("could not send %s to the service manager: %s", lines[0], error)
