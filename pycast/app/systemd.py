"""What the service manager is told: that the node is ready, reads its settings again, stops, and that it still lives.

It is systemd's protocol sd_notify(3): text in a datagram to the socket that NOTIFY_SOCKET names. Without that variable
nothing is sent, and every method is harmless. Nothing here waits or switches: a service manager that does not read
costs a line in the log and nothing else.

The sign of life comes from a timer of the hub itself, not from a greenlet or a thread: a loop that is stuck, in
whatever it may be, does not send it, and systemd kills the process and starts it anew.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Self

from gevent import get_hub

log = logging.getLogger(__name__)

# systemd's own advice (sd_watchdog_enabled(3)): twice as often as it must be, so that one late sign is no death.
SIGNS_PER_TIMEOUT = 2


class SystemdNotifier:
    """The way to the service manager. `ready` begins the signs of life, `close` ends them."""

    def __init__(self, address: str | bytes, watchdog_s: float, monotonic_ns: Callable[[], int]) -> None:
        """`address` of its socket, empty for none; it wants a sign of life each `watchdog_s`, 0 for never."""
        self._address = address
        self._watchdog_s = watchdog_s
        self._monotonic_ns = monotonic_ns
        # Non-blocking, so it sends or fails at once, gevent's as well as the standard library's.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)
        self._timer = get_hub().loop.timer(watchdog_s / SIGNS_PER_TIMEOUT, watchdog_s / SIGNS_PER_TIMEOUT, ref=False)
        self._is_watched = False

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Self:
        """As the service manager wishes. Takes its variables out: programs that this one starts do not speak for it."""
        path = environ.pop("NOTIFY_SOCKET", "")
        microseconds = environ.pop("WATCHDOG_USEC", "")
        for_process = environ.pop("WATCHDOG_PID", "")
        # "@" is how a variable, which holds no zero byte, writes Linux's abstract names. Other kinds, such as the
        # "vsock:" of virtual machines, have no service manager beside them.
        address: str | bytes = path if path.startswith("/") else b""
        if path.startswith("@"):
            address = b"\0" + os.fsencode(path[1:])
        is_ours = bool(address) and for_process in ("", str(os.getpid())) and microseconds.isdecimal()
        return cls(address, int(microseconds) / 1e6 if is_ours else 0.0, time.monotonic_ns)

    def ready(self, status: str) -> None:
        """After the start, and after each reload. `status` is what `systemctl status` shows."""
        self._send("READY=1", f"STATUS={status}")
        if self._watchdog_s and not self._is_watched:
            self._is_watched = True
            self._timer.start(self._send, "WATCHDOG=1")

    def reloading(self) -> None:
        """Before a reload. The time tells systemd (Type=notify-reload) that this is the reload it has asked for."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={self._monotonic_ns() // 1000}")

    def stopping(self, within_s: float) -> None:
        """Before the stop, which takes `within_s` at most: a drain that is configured longer than the unit's
        TimeoutStopSec is not cut short."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(within_s * 1e6)}")

    def status(self, text: str) -> None:
        """One line about what the node is doing now."""
        self._send(f"STATUS={text}")

    def close(self) -> None:
        """No more signs of life. Can be called twice."""
        self._timer.stop()
        self._timer.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        """Never switches."""
        if self._socket is None:
            return
        # A line is a message of its own there: a status of two lines would be taken for something else.
        message = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            self._socket.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError as error:
            log.warning("the service manager was not told %s: %s", lines[0], error)
