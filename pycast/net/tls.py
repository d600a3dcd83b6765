"""The certificate, read again when its files change, and TLS listeners."""

import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from gevent import ssl as gssl

from pycast.errors import ConfigError

log = logging.getLogger(__name__)

# How often the files' times are looked at, at most.
CHECK_S = 1.0


class Certificate:
    """The server's TLS context. A changed certificate that cannot be used is logged once and the old one stays."""

    def __init__(self, certificate: str, private_key: str, clock: Callable[[], float]) -> None:
        self._paths = [Path(certificate)] + ([Path(private_key)] if private_key else [])
        self._clock = clock
        self._checked = clock()
        self._stamp = self._times()
        try:
            self._context = self._load()
        except (OSError, ssl.SSLError) as error:
            raise ConfigError([f"tls.certificate = {certificate!r}: cannot be used: {error}"]) from error

    def context(self) -> gssl.SSLContext:
        """The context for a new connection."""
        now = self._clock()
        if now - self._checked >= CHECK_S:
            self._checked = now
            self._maybe_reload()
        return self._context

    def _maybe_reload(self) -> None:
        stamp = self._times()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._context = self._load()
            log.info("read the changed certificate %s", self._paths[0])
        except (OSError, ssl.SSLError) as error:
            log.error("the changed certificate %s cannot be used, the old one stays: %s", self._paths[0], error)

    def _times(self) -> list[tuple[int, int] | None]:
        found: list[tuple[int, int] | None] = []
        for path in self._paths:
            try:
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size))
            except OSError:
                found.append(None)
        return found

    def _load(self) -> gssl.SSLContext:
        context = gssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._paths[0], self._paths[1] if len(self._paths) > 1 else None)
        return context


# A TLS record holds no more (RFC 8446, 5.1).
RECORD = 16_384


class TlsTransport:
    """A TLS connection as a listener's transport: `send` never waits, and raises BlockingIOError as a bare socket
    does.
    """

    __slots__ = ("_refused", "_sock")

    def __init__(self, sock: gssl.SSLSocket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._refused = 0

    def send(self, data: bytes | memoryview, /) -> int:
        """Writes what TLS takes now, record by record.

        OpenSSL wants a refused write again, with the same bytes first and no fewer of them, else the connection is lost
        (`SSL_write`: "bad length"). A position that did not move gives the same bytes, but not as many: so no write is
        larger than a record, and one that is smaller than what was refused waits.
        """
        view, sent = memoryview(data), 0
        while self._refused <= len(view) - sent > 0:
            record = view[sent : sent + RECORD]
            taken = self._sock.send(record)
            if not taken:  # how gevent says that it would have to wait
                self._refused = len(record)
                break
            self._refused = 0
            sent += taken
        if not sent:
            raise BlockingIOError
        return sent

    def sendmsg(self, buffers: Sequence[bytes | memoryview], /) -> int:
        """As `send`; TLS copies into records anyway."""
        return self.send(b"".join(buffers))

    def fileno(self) -> int:
        """The connection's descriptor."""
        return self._sock.fileno()

    def close(self) -> None:
        """Closes without waiting for the peer's close_notify."""
        self._sock.close()
