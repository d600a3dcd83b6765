"""The server's certificate, which is reloaded when its files change, and whom a client trusts."""

import logging
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from gevent import ssl as gssl

from pycast.disk.calls import DiskStalled, begin_off_hub, off_hub
from pycast.errors import ConfigError
from pycast.net.certificate_files import BadCertificate, load_chain

log = logging.getLogger(__name__)

# The shortest time between two checks of the files.
CHECK_S = 1.0

# Tickets with which a client that comes again saves both ends a signature, as a page does that asks for the title every
# few seconds: with each connection it gets another one. Most listeners never use theirs, and a handshake without one
# takes 9 % less CPU. So after this many in a second, a fifth of a core, there are none.
TICKETS, CROWD = 1, 200


_Stamp: TypeAlias = list[tuple[int, int] | None]
"""Time and size of each file, None for one that cannot be read."""


class _Change(NamedTuple):
    files: "CertificateFiles"
    stamp: _Stamp
    context: ssl.SSLContext | None
    error: BadCertificate | None


class CertificateFiles(NamedTuple):
    """Where a certificate is. An empty `private_key` means that the key is in the certificate's file."""

    certificate: str
    private_key: str

    def stamp(self) -> "_Stamp":
        """Returns time and size of each file, None for one that cannot be read."""
        found: _Stamp = []
        for path in map(Path, filter(None, self)):
            try:
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size))
            except OSError:
                found.append(None)
        return found

    def load(self) -> ssl.SSLContext:
        """Returns a server's context. Raises BadCertificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = TICKETS
        # All ciphers that OpenSSL takes are safe, and the client knows which one its machine is fast with: a phone
        # without instructions for AES says ChaCha20, browsers on others the shorter AES.
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        load_chain(context, self.certificate, self.private_key)
        return context


class Certificate:
    """The certificate and the TLS context made from it. If a changed certificate cannot be used, this is logged once
    and the old one stays in use. Raises ConfigError if the first one cannot be used, unless all ports take plain
    connections too (`is_needed`): those go on, and take TLS as soon as the files can be used.

    The files are read in a native thread while connections are accepted with the context that there is: a disk that
    stalls holds up nobody.
    """

    def __init__(
        self, certificate: str, private_key: str, clock: Callable[[], float], *, is_needed: bool = True
    ) -> None:
        self._files = CertificateFiles(certificate, private_key)
        self._clock = clock
        self._checked = clock()
        self._second, self._handshakes = self._checked, 0
        """When the present second began, and how many contexts were asked for in it."""
        self._is_checking = False
        self._stamp: _Stamp | None = self._files.stamp()
        """That of the last attempt; None before it."""
        self._context: ssl.SSLContext | None = None
        try:
            self._context = self._files.load()  # at the start, when nobody is served yet
        except BadCertificate as error:
            path = private_key if error.key == "private_key" else certificate
            problem = f'tls.{error.key} = "{path}": {error}'
            if is_needed:
                raise ConfigError([problem]) from error
            log.error("no TLS, as its certificate cannot be used: %s", problem)

    def context(self) -> ssl.SSLContext | None:
        """Returns the context for a new connection, None if there has been no usable certificate yet. Has the files
        checked, at most every `CHECK_S`. Never switches.
        """
        now = self._clock()
        if now - self._checked >= CHECK_S and not self._is_checking:
            self._checked = now
            self._is_checking = begin_off_hub(partial(_look, self._files, self._stamp), self._on_look)
        if self._context is not None:
            self._context.num_tickets = self._tickets(now)
        return self._context

    def _tickets(self, now: float) -> int:
        if now - self._second >= 1.0:
            self._second, self._handshakes = now, 0
        self._handshakes += 1
        return TICKETS if self._handshakes <= CROWD else 0

    def use(self, certificate: str, private_key: str) -> None:
        """Goes over to other files, if they are others, or checks the same ones now. Never switches."""
        files = CertificateFiles(certificate, private_key)
        if files != self._files:
            self._files, self._stamp = files, None
        self._checked = self._clock() - CHECK_S
        self.context()

    def _on_look(self, change: "_Change | None") -> None:
        self._is_checking = False
        # Meanwhile a reload may have named other files; they are next.
        if change is None or change.files != self._files:
            return
        # Files that cannot be used are tried, and logged, only once.
        self._stamp = change.stamp
        # Replace the context as a whole. Open connections keep the old one, and so do new ones if loading fails, for
        # example because only one of the two files has been replaced yet.
        name = self._files.certificate
        if change.context:
            self._context = change.context
            log.info("reloaded the changed certificate %s", name)
        elif change.error:
            what, error = change.error.key, change.error
            log.error(
                "the changed certificate %s cannot be used, the old one stays in use: tls.%s: %s", name, what, error
            )


def _look(files: CertificateFiles, known: "_Stamp | None") -> "_Change | None":
    """In a thread: returns what has changed, if the files' times and sizes are not those of the last attempt."""
    stamp = files.stamp()
    if stamp == known:
        return None
    try:
        return _Change(files, stamp, files.load(), None)
    except BadCertificate as error:
        return _Change(files, stamp, None, error)


def trusting(authorities: str) -> gssl.SSLContext:
    """Returns a client's context that trusts the authorities in a file; the system's if its name is empty. Raises
    OSError. May switch.
    """
    try:
        context: gssl.SSLContext = off_hub(gssl.create_default_context, cafile=authorities or None)
    except DiskStalled as error:
        raise OSError(f"the certificates to trust cannot be read: {error}") from error
    return context
