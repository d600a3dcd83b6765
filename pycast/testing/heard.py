"""A listener out of the box: `with server.listen("/live.mp3") as heard:`; what it got, as objects.

A thread reads; the test looks at any time, and waits. The one invariant: a wait ends as soon as its answer is known,
also when the stream has ended and what it waits for will not come.
"""

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from pycast.errors import FormatError
from pycast.http.icy import IcyReader, IcyTitle
from pycast.testing.failures import ListenTimeout, StreamOver
from pycast.testing.numbered import Frames, NumberedReader
from pycast.testing.wire_heads import (
    CLOSED,
    ServerAddress,
    WireHead,
    WireHeaders,
    as_target,
    how_it_failed,
    read_head,
    reset,
)

ANSWER_S = 10.0
MOST_KEPT = 64 * 1024 * 1024
"""Bytes of audio that are kept: an hour of 128 kbit/s. Frames and counts go on."""


_Bytes = bytes  # `Heard.bytes` hides the name


class HeardTitle(str):
    """A title as a listener saw it; `at` is after how many bytes of audio (in Ogg, roughly), `url` its StreamUrl, `raw`
    the block of ICY as it came, without the padding.
    """

    def __new__(cls, text: str, at: int, url: str = "", raw: bytes = b"") -> Self:
        title = super().__new__(cls, text)
        title.at, title.url, title.raw = at, url, raw
        return title

    at: int
    url: str
    raw: bytes


class Heard:
    """A listener and what it heard. Made by `Server.listen`, which explains the arguments."""

    def __init__(
        self,
        address: ServerAddress,
        mount: str,
        *,
        icy: bool = True,
        headers: Mapping[str, str] | None = None,
        bytes_per_s: float = 0,
        method: str = "GET",
    ) -> None:
        self.mount = mount
        # No server's name in front: servers treat each other otherwise than players.
        self._headers = {"Host": f"{address.host}:{address.port}", "User-Agent": "test listener of pycast"}
        self._headers |= {"Icy-MetaData": "1"} if icy else {}
        self._headers |= dict(headers or {})
        self._address, self._method, self._pace = address, method, bytes_per_s
        self._changed = threading.Condition()
        self._is_left = threading.Event()
        self._audio = bytearray()
        self._size = 0
        self._titles: list[HeardTitle] = []
        self._reader = NumberedReader()
        self._icy: IcyReader | None = None
        self._reason = ""
        self._head = WireHead(b"", "", WireHeaders())
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self._head.status

    @property
    def headers(self) -> WireHeaders:
        """The headers of the answer: `heard.headers["icy-name"]`."""
        return self._head.headers

    @property
    def raw_head(self) -> bytes:
        """The answer's head, byte by byte."""
        return self._head.raw

    @property
    def bytes(self) -> bytes:
        """The audio so far, without titles; for an answer that is no stream its body."""
        with self._changed:
            return bytes(self._audio)

    @property
    def size(self) -> int:
        """How many bytes of audio have come."""
        return self._size

    @property
    def frames(self) -> Frames:
        """The numbered frames so far, if the stream is one of `Server.stream`."""
        with self._changed:
            return Frames(self._reader.numbers, self._reader.foreign, self._reader.rest)

    @property
    def titles(self) -> list[HeardTitle]:
        """The titles so far, of ICY or in Ogg, as they came: `["", "Artist - Song"]`."""
        with self._changed:
            return list(self._titles)

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended."""
        return bool(self._reason)

    @property
    def reason(self) -> str:
        """How the connection has ended; empty while it lasts."""
        return self._reason

    def connect(self) -> Self:
        """Connects, and returns when the answer has begun. Raises OSError; an error status is no exception."""
        self._sock = self._address.connect(ANSWER_S)
        if self._pace:  # or its kernel would take at once what it reads slowly
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        try:
            lines = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items())
            self._sock.sendall(f"{self._method} {as_target(self.mount)} HTTP/1.0\r\n{lines}\r\n".encode())
            self._head, rest = read_head(self._sock, ANSWER_S)
        except BaseException:
            self._sock.close()
            raise
        metaint = self.headers.get("icy-metaint", "")
        if self.status == 200 and metaint.isdigit() and int(metaint):
            self._icy = IcyReader(int(metaint))
        self._sock.settimeout(None)
        self._thread = threading.Thread(target=self._run, args=(rest,), name=f"listener {self.mount}", daemon=True)
        self._thread.start()
        return self

    def leave(self) -> None:
        """Ends the connection, as a player does that is stopped. May be called again."""
        self._end("leave() was called", lambda sock: sock.close())

    def reset(self) -> None:
        """Ends the connection as a machine does that has crashed: with RST."""
        self._end("reset() was called", reset)

    def wait_for_bytes(self, count: int, timeout: float = 10.0) -> None:
        """Returns once `count` bytes of audio have come. Raises StreamOver or ListenTimeout."""
        self._wait(lambda: self._size >= count, timeout, f"{count} bytes")

    def wait_for_frames(self, count: int, timeout: float = 10.0) -> None:
        """Returns once `count` numbered frames have come. Raises StreamOver or ListenTimeout."""
        self._wait(lambda: len(self._reader.numbers) >= count, timeout, f"{count} frames")

    def wait_for_frame(self, number: int, timeout: float = 10.0) -> None:
        """Returns once the frame with that number, or a later one, has come. Raises StreamOver or ListenTimeout."""
        self._wait(lambda: self._reader.numbers[-1:] >= [number], timeout, f"frame {number}")

    def wait_for_title(self, title: str, timeout: float = 10.0) -> None:
        """Returns once that title has come. Raises StreamOver or ListenTimeout."""
        self._wait(lambda: title in self._titles, timeout, f"the title {title!r}")

    def wait_for_end(self, timeout: float = 10.0) -> str:
        """Returns how the connection ended, as soon as it has. Raises ListenTimeout."""
        self._wait(lambda: bool(self._reason), timeout, "the end")
        return self._reason

    def _wait(self, is_so: Callable[[], Any], timeout: float, what: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: is_so() or self._reason, timeout)
            if is_so():
                return
            found = f"{self._size} bytes of audio, {len(self._reader.numbers)} frames, titles {self._titles}"
            if self._reason:
                raise StreamOver(f"no {what} on {self.mount}: {self._reason}, after {found} ({self._head.line})")
            raise ListenTimeout(f"waited {timeout:g} s for {what} on {self.mount}; there are {found}")

    def _run(self, data: _Bytes) -> None:
        reason = CLOSED
        try:
            while True:
                self._take(data)
                if self._pace and self._is_left.wait(len(data) / self._pace):
                    break
                data = self._sock.recv(int(self._pace / 10) or 1 if self._pace else 65536)
                if not data:
                    break
        except OSError as error:
            reason = how_it_failed(error)
        except FormatError as error:
            reason = f"the stream is broken: {error}"
        if not self._is_left.is_set():  # as players do: some servers wait for it
            self._sock.close()
        with self._changed:
            self._reason = self._reason or reason
            self._changed.notify_all()

    def _take(self, data: _Bytes) -> None:
        with self._changed:
            for part in self._icy.feed(data) if self._icy else [data]:
                if isinstance(part, IcyTitle):
                    self._titles.append(HeardTitle(part.text, self._size, part.url, part.raw.rstrip(b"\0")))
                else:
                    known = len(self._reader.titles)
                    self._reader.feed(part)
                    self._titles += (HeardTitle(text, self._size) for text in self._reader.titles[known:])
                    self._size += len(part)
                    self._audio += part[: max(MOST_KEPT - len(self._audio), 0)]
            self._changed.notify_all()

    def _end(self, reason: str, close: Callable[[socket.socket], None]) -> None:
        if self._thread is None:
            return
        with self._changed:
            self._reason = self._reason or reason
            self._changed.notify_all()
        self._is_left.set()
        with suppress(OSError):  # wakes the thread
            self._sock.shutdown(socket.SHUT_RD)
        self._thread.join(ANSWER_S)
        self._thread = None
        close(self._sock)
