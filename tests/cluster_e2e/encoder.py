"""An encoder of a live programme: sends numbered frames in real time, and reconnects when the server is gone.

The programme continues while no server takes it: a frame's number is its time, so the frames that a listener misses
show how long the programme was away. `Encoder.sent` tells which of them were handed to a server: only these may be lost
by the cluster. Runs in a thread. Invariant: between two frames of one session none is left out.
"""

import base64
import contextlib
import math
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from benchmarks.frames import FRAME_S, frame
from tests.e2e.deadline import until

Address = tuple[str, int]
Method = Literal["SOURCE", "PUT", "PUT chunked"]
Place = Callable[[], AbstractContextManager[None]]

CONNECT_S = 5.0
SEND_S = 10.0


@dataclass(slots=True)
class Session:
    """One connection of the encoder. `status` is 0 while there is no answer; frames `first` up to not `after_last`.

    `handed` has the moment at which each of them was handed over.
    """

    address: Address
    began: float
    status: int = 0
    accepted: float = 0.0
    first: int = 0
    after_last: int = 0
    ended: float = 0.0
    reason: str = ""
    handed: list[float] = field(default_factory=list, repr=False)


class Encoder:
    """`with Encoder([("127.0.0.1", port)], "/live.mp3", programme=1) as encoder:`; on air when the block begins.

    After a loss it waits `retry_s` and tries the next of `addresses`; None: never again. It gives a server up that
    acknowledges nothing for `patience_s`. `place` is where its connections are made from: a host of a `Network`.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        mount: str,
        *,
        programme: int = 0,
        method: Method = "SOURCE",
        password: str = "sourcepass",
        retry_s: float | None = 0.5,
        patience_s: float = SEND_S,
        place: Place = contextlib.nullcontext,
    ) -> None:
        self.sessions: list[Session] = []
        self.programme = programme
        self._addresses = tuple(addresses)
        self._head = _head(mount, method, password)
        self._is_chunked = method == "PUT chunked"
        self._retry_s = retry_s
        self._patience_s = patience_s
        self._place = place
        self._began = time.monotonic()
        self._sock: socket.socket | None = None
        self._holds_until = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"encoder {programme}", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_on_air()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts to connect, without waiting for an answer."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the programme. May be called twice."""
        self._stop.set()
        self._thread.join(SEND_S + CONNECT_S)

    def cut(self) -> None:
        """Breaks its connection, if it has one."""
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def hold(self, seconds: float) -> None:
        """Sends nothing for so long, and then what it has not sent, at once."""
        self._holds_until = time.monotonic() + seconds

    @property
    def is_on_air(self) -> bool:
        """Whether a server has accepted it, and the connection still lasts."""
        return bool(self.sessions) and self.sessions[-1].status == 200 and not self.sessions[-1].ended

    def wait_on_air(self, timeout: float = 10.0) -> Session:
        """Waits until it is on air. Returns the session."""
        until(lambda: self.is_on_air, f"the encoder to be on air; it went through {self.sessions}", timeout)
        return self.sessions[-1]

    def wait_sent(self, seconds: float, timeout: float = 30.0) -> None:
        """Waits until it has sent so much more of its programme."""
        goal = self.count_sent() + int(seconds / FRAME_S)
        until(lambda: self.count_sent() >= goal, f"the encoder to send {seconds:g} s; {self.sessions}", timeout)

    def count_sent(self) -> int:
        """Returns how many frames it has handed to servers in all."""
        return sum(session.after_last - session.first for session in self.sessions)

    def sent(self, first: int, count: int, *, before: float = math.inf) -> int:
        """Returns how many of the `count` frames from `first` on were handed to a server, `before` that moment.

        An encoder that stood still hands over all that was due at once, so frames alone do not say how old they are.
        """
        return sum(
            first <= session.first + place < first + count and moment < before
            for session in self.sessions
            for place, moment in enumerate(list(session.handed))
        )

    def handed_at(self, number: int) -> float:
        """Returns the moment at which a frame was handed to a server. Raises LookupError if it was not."""
        for session in self.sessions:
            if session.first <= number < session.first + len(session.handed):
                return session.handed[number - session.first]
        raise LookupError(f"frame {number} was not handed over: {self.sessions}")

    def _run(self) -> None:
        with self._place():
            turn = 0
            while not self._stop.is_set():
                session = Session(self._addresses[turn % len(self._addresses)], time.monotonic())
                self.sessions.append(session)
                try:
                    self._serve(session)
                    session.reason = "stopped"
                except (OSError, _Refused) as error:
                    session.reason = repr(error)
                session.ended = time.monotonic()
                turn += 1
                if self._retry_s is None or self._stop.wait(self._retry_s):
                    return

    def _serve(self, session: Session) -> None:
        with socket.create_connection(session.address, min(CONNECT_S, self._patience_s)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._patience_s * 1000))
            sock.sendall(self._head)
            sock.settimeout(CONNECT_S)
            self._read_answer(sock, session)
            sock.settimeout(SEND_S)
            session.first = session.after_last = self._now_on()
            session.accepted, session.status = time.monotonic(), 200
            self._sock = sock
            while not self._stop.wait(max(0.0, self._next_moment(session) - time.monotonic())):
                _check_open(sock)
                data = frame(session.after_last, self.programme, time.monotonic_ns())
                sock.sendall(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
                session.handed.append(time.monotonic())
                session.after_last += 1

    def _read_answer(self, sock: socket.socket, session: Session) -> None:
        # A standby's answer may come late, but not never.
        answer = b""
        while True:
            head, end, rest = answer.partition(b"\r\n\r\n")
            if end and b" 100 " in head.partition(b"\r\n")[0]:
                answer = rest  # the server waits for the body now, as ffmpeg takes it
                return
            if end:
                break
            data = sock.recv(4096)
            if not data:
                raise _Refused("closed without an answer")
            answer += data
        status = int(answer.split()[1])
        if status != 200:
            session.status = status
            raise _Refused(answer.partition(b"\r\n")[0].decode("latin-1"))

    def _now_on(self) -> int:
        """Returns the number of the next frame."""
        return int((time.monotonic() - self._began) / FRAME_S) + 1

    def _next_moment(self, session: Session) -> float:
        return max(self._began + session.after_last * FRAME_S, self._holds_until)


class _Refused(Exception):
    """The error of a server that refuses the encoder."""


def _head(mount: str, method: Method, password: str) -> bytes:
    login = base64.b64encode(f"source:{password}".encode()).decode()
    common = (
        f"Authorization: Basic {login}\r\nContent-Type: audio/mpeg\r\nUser-Agent: numbered\r\nice-name: Numbered\r\n"
    )
    if method == "SOURCE":
        return f"SOURCE {mount} HTTP/1.0\r\n{common}\r\n".encode()
    how = "Transfer-Encoding: chunked\r\n" if method == "PUT chunked" else ""
    return f"PUT {mount} HTTP/1.1\r\nHost: radio\r\n{common}Expect: 100-continue\r\n{how}\r\n".encode()


def _check_open(sock: socket.socket) -> None:
    """Raises ConnectionError if the server has closed: an encoder that only writes notices it later."""
    if select.select([sock], [], [], 0)[0] and not sock.recv(4096):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError("closed by the server")
