"""Loads a certificate and its private key, and says which of the two files is wrong, and why.

OpenSSL's errors name neither file. Used by the server's TLS ports and by `pycast check`.
"""

import ssl
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from pycast.errors import ExternalError

# OpenSSL's flag for a check that ignores the dates (x509_vfy.h), which the ssl module has no name for.
_NO_CHECK_TIME = 0x200000


class BadCertificate(ExternalError):
    """A certificate or a key that cannot be used. `key` is the setting in [tls] whose file is wrong."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class Validity(NamedTuple):
    """For whom a certificate is valid, and for which time, in seconds since the epoch."""

    name: str
    """The name of whom it is for."""
    begins: float
    ends: float
    hosts: tuple[str, ...] = ()
    """The host names and addresses that clients take it for. They do not look at `name`."""

    def covers(self, host: str) -> bool:
        """Whether clients that have connected to `host` take it. A `*` stands for one label (RFC 6125, 6.4.3)."""
        host = host.lower().removesuffix(".")
        any_host = "*." + host.partition(".")[2]
        return any(_canonical(one) in (_canonical(host), any_host) for one in self.hosts)


def load_chain(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    """Loads the certificate, and the key (empty: it is in the same file) into `context`. Raises BadCertificate."""
    chain = _read("certificate", certificate)
    key = _read("private_key", private_key) if private_key else chain
    if b"CERTIFICATE-----" not in chain:
        raise BadCertificate("certificate", "expected a PEM file with a line -----BEGIN CERTIFICATE-----")
    if b"PRIVATE KEY-----" not in key:
        if not private_key:
            raise BadCertificate("private_key", f'expected the file of the private key, as "{certificate}" has none')
        raise BadCertificate("private_key", "expected a PEM file with a line -----BEGIN PRIVATE KEY-----")
    try:
        context.load_cert_chain(certificate, private_key or None, _refuse)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; the key's file may be of binary data
        raise _blamed(error, certificate, chain) from error


def validity(server: ssl.SSLContext, certificate: str) -> Iterator[Validity]:
    """Yields the validity of the certificate in `server`, first, and of the authorities in its file.

    Raises ssl.SSLError if a client would refuse it for another reason than its dates.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    # The certificate itself is trusted, whoever signed it. Only then the ssl module tells what is in it.
    client.load_verify_locations(certificate)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    own = _peer_certificate(server, client)
    yield _validity(own)
    yield from (_validity(one) for one in client.get_ca_certs() if one.get("serialNumber") != own.get("serialNumber"))


def _peer_certificate(server: ssl.SSLContext, client: ssl.SSLContext) -> Mapping[str, Any]:
    """Returns what `client` gets to know of the certificate, by a handshake of the two in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    waiting = ends
    while waiting:
        waiting = [end for end in ends if not _is_done(end)]
    found = ends[0].getpeercert()
    assert found is not None
    return found


def _is_done(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _validity(found: Mapping[str, Any]) -> Validity:
    parts = dict(pair for group in found.get("subject", ()) for pair in group)
    begins, ends = (ssl.cert_time_to_seconds(str(found[name])) for name in ("notBefore", "notAfter"))
    hosts = tuple(str(value) for kind, value in found.get("subjectAltName", ()) if kind in ("DNS", "IP Address"))
    return Validity(str(parts.get("commonName", "")), begins, ends, hosts)


def _canonical(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower().removesuffix(".")


def _read(key: str, name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise BadCertificate(key, f"expected a readable file: {error.strerror}") from error


def _refuse() -> str:
    # Without this, OpenSSL would ask for the passphrase on the terminal, and the server would wait.
    raise ValueError("expected a key without a passphrase: `openssl pkey -in KEY -out NEW` removes it")


def _blamed(error: Exception, certificate: str, chain: bytes) -> BadCertificate:
    if not isinstance(error, ssl.SSLError):
        return BadCertificate("private_key", str(error))
    if error.reason == "KEY_VALUES_MISMATCH":
        return BadCertificate("private_key", f'expected the key of the certificate in "{certificate}", not of another')
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=chain.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError):
        return BadCertificate("certificate", f"expected a certificate that OpenSSL can read: {error.reason or error}")
    return BadCertificate("private_key", f"expected a private key that OpenSSL can read: {error.reason or error}")
