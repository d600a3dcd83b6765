"""A source out of the box: `with server.stream("/live.mp3", title="Artist - Song") as stream:`.

A thread sends numbered frames at the pace of the audio, faster, or only when the test says so. It is an ordinary source
with a password, on a connection of its own. The one invariant: frames leave in the order of their numbers, each once,
over all connections of one stream.
"""

import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from pycast.testing.failures import StreamRefused
from pycast.testing.numbered import FormatName, NumberedAudio
from pycast.testing.wire_heads import (
    CLOSED,
    OWN_SOURCE,
    ServerAddress,
    as_name,
    as_target,
    how_it_failed,
    is_readable,
    read_head,
    reset,
)

ANSWER_S = 10.0
TURN_S = 0.02
"""How often the thread looks whether frames are due: some are sent at once, as an encoder does."""

MOST_AT_ONCE = 200

PATIENCE_S = 1.0
"""How long a write may be under way when the test ends the connection."""

Method = Literal["SOURCE", "PUT"]


class NumberedStream:
    """A source. Made by `Server.stream`, which explains the arguments."""

    def __init__(
        self,
        address: ServerAddress,
        mount: str,
        *,
        login: tuple[str, str],
        title: str = "",
        format: FormatName = "mp3",
        speed: float = 1.0,
        lead_s: float = 1.0,
        method: Method = "SOURCE",
        headers: Mapping[str, str] | None = None,
        first: int = 0,
        wait_until_on_air: Callable[[], None] | None = None,
    ) -> None:
        self.mount = mount
        self._audio = NumberedAudio(format, first)
        self._first = first
        self._address = address
        self._title = title
        self._speed, self._lead_s = speed, lead_s
        self._method = method
        self._token = b64encode(":".join(login).encode()).decode()
        own = {"Content-Type": self._audio.format.content_type, "Ice-Name": "pycast test", "User-Agent": OWN_SOURCE}
        self._headers = own | dict(headers or {})
        self._wait_until_on_air = wait_until_on_air
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._sock: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._reason = "it was not connected"
        self._size = 0

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    @property
    def sent(self) -> int:
        """How many frames were sent, on all connections."""
        return self._audio.number - self._first

    @property
    def size(self) -> int:
        """How many bytes of audio were sent, on all connections."""
        return self._size

    @property
    def is_connected(self) -> bool:
        """Whether the server has it."""
        return self._sock is not None

    @property
    def reason(self) -> str:
        """Why it is not connected; empty while it is."""
        return "" if self.is_connected else self._reason

    @property
    def title(self) -> str:
        """The present title. To set it tells the server, as an encoder does: inside the stream if that is Ogg, else by
        a request. Raises StreamRefused if the server does not take it.
        """
        return self._title

    @title.setter
    def title(self, title: str) -> None:
        with self._lock:
            self._title = title
            if self._audio.has_own_titles and self._sock is not None:
                self._send(self._sock, self._audio.begin(title))
        if not self._audio.has_own_titles and self.is_connected:
            self._tell_title(title)

    def connect(self) -> Self:
        """Connects, for the first time or again; frames go on where they were. Raises StreamRefused or OSError."""
        if self.is_connected:
            raise RuntimeError(f"the stream to {self.mount} is connected")
        self._join()
        sock = self._address.connect(ANSWER_S)
        try:
            self._ask(sock)
            if self._title and not self._audio.has_own_titles:
                self._tell_title(self._title)  # before the first frame, so that it belongs to that
        except BaseException:
            sock.close()
            raise
        with self._lock:
            self._sock = sock
            self._send(sock, self._audio.begin(self._title))
            if self._speed:
                self._send_frames(sock, round(self._lead_s / self._audio.format.frame_s))
        self._thread = threading.Thread(target=self._run, args=(sock,), name=f"stream {self.mount}", daemon=True)
        self._thread.start()
        if self._speed and self._wait_until_on_air is not None:
            self._wait_until_on_air()
        return self

    def send(self, count: int) -> None:
        """Sends `count` frames now. Raises ConnectionError if the stream is not connected any more."""
        with self._lock:
            sock = self._connected()
            while count > 0 and self._sock is sock:
                self._send_frames(sock, min(count, MOST_AT_ONCE))
                count -= MOST_AT_ONCE

    def send_bytes(self, data: bytes) -> None:
        """Sends bytes of your own after the last frame: a file, another format, damage. Raises ConnectionError."""
        with self._lock:
            self._send(self._connected(), data)

    def disconnect(self) -> None:
        """Ends the connection as an encoder does that is stopped. May be called again."""
        self._end("disconnect() was called", lambda sock: sock.close())

    def reset(self) -> None:
        """Ends the connection as a machine does that has crashed: with RST."""
        self._end("reset() was called", reset)

    def wait_for_disconnect(self, timeout: float = 10.0) -> str:
        """Returns why the connection has ended, as soon as it has. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._sock is None, timeout):
                raise TimeoutError(f"waited {timeout:g} s for the stream to {self.mount} to be disconnected")
        return self._reason

    def _connected(self) -> socket.socket:
        if self._sock is None:
            raise ConnectionResetError(f"the stream to {self.mount} is not connected: {self._reason}")
        return self._sock

    def _ask(self, sock: socket.socket) -> None:
        protocol = "HTTP/1.0" if self._method == "SOURCE" else "HTTP/1.1"
        headers = {"Host": self._address.host, "Authorization": f"Basic {self._token}", **self._headers}
        lines = (f"{name}: {value}\r\n" for name, value in headers.items())
        sock.sendall(f"{self._method} {as_target(self.mount)} {protocol}\r\n{''.join(lines)}\r\n".encode())
        try:
            answer, body = read_head(sock, ANSWER_S)
        except ConnectionError as error:
            raise StreamRefused(f"the server did not answer the source for {self.mount}: {error}", 0) from error
        if answer.status != 200:
            text = f"{answer.line} {body.decode('utf-8', 'replace')}".strip()
            raise StreamRefused(f"the server refused the source for {self.mount}: {text}", answer.status)
        sock.settimeout(ANSWER_S)

    def _tell_title(self, title: str) -> None:
        """Asks the server to change the title. Raises StreamRefused."""
        query = f"mode=updinfo&mount={quote(as_name(self.mount))}&song={quote(title)}&charset=UTF-8"
        with closing(self._address.connect(ANSWER_S)) as sock:
            sock.sendall(f"GET /admin/metadata?{query} HTTP/1.0\r\nAuthorization: Basic {self._token}\r\n\r\n".encode())
            answer, body = read_head(sock, ANSWER_S)
            with suppress(ConnectionError):
                while more := sock.recv(65536):
                    body += more
        if answer.status != 200 or b"<return>1</return>" not in body:
            text = f"{answer.line} {body.decode('utf-8', 'replace')}"
            raise StreamRefused(f"the server refused the title {title!r} for {self.mount}: {text}", answer.status)

    def _run(self, sock: socket.socket) -> None:
        """Sends what is due until the connection ends."""
        began, sent = time.monotonic() - TURN_S, 0
        while self._sock is sock:
            due = (time.monotonic() - began) * self._speed / self._audio.format.frame_s
            count = int(min(due - sent, MOST_AT_ONCE)) if self._speed else 0
            with self._lock:
                if self._sock is sock:
                    self._send_frames(sock, count)
                    sent += count
                    self._notice_end(sock)
                if self._sock is sock and count < MOST_AT_ONCE:
                    self._changed.wait(TURN_S)
            if count == MOST_AT_ONCE:  # others may want to send
                time.sleep(0.0)

    def _send_frames(self, sock: socket.socket, count: int) -> None:
        self._send(sock, self._audio.frames(count))

    def _send(self, sock: socket.socket, data: bytes) -> None:
        try:
            sock.sendall(data)
            self._size += len(data)
        except OSError as error:
            self._lose(sock, how_it_failed(error))

    def _notice_end(self, sock: socket.socket) -> None:
        """A server that closes is noticed at once, and not when its kernel answers the next frame with RST."""
        if self._sock is sock and is_readable(sock, 0.0):
            try:
                if not sock.recv(4096):
                    self._lose(sock, CLOSED)
            except OSError as error:
                self._lose(sock, how_it_failed(error))

    def _lose(self, sock: socket.socket, reason: str) -> None:
        sock.close()
        self._sock, self._reason = None, reason
        self._changed.notify_all()

    def _end(self, reason: str, close: Callable[[socket.socket], None]) -> None:
        sock = self._sock
        if sock is not None:
            if not self._lock.acquire(timeout=PATIENCE_S):  # the server takes no more bytes
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                self._lock.acquire()
            if self._sock is sock:
                close(sock)
                self._sock, self._reason = None, reason
                self._changed.notify_all()
            self._lock.release()
        self._join()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join(ANSWER_S)
            self._thread = None
