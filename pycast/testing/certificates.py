"""Certificates for tests: an authority of this process, and what it signs for servers under test.

The standard library cannot make certificates, and a test kit that needs a compiled package, or a program, would be in
the way of the project that it serves. So this is the little of X.509 and of ECDSA over P-256 that it takes, as in RFC
5280 and FIPS 186. It is for tests only: the arithmetic takes a time that depends on the key.

The one invariant: a key is made here, and leaves this machine in nobody's package.
"""

import hashlib
import secrets
import time
from base64 import encodebytes
from collections.abc import Sequence
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

HOSTS = ("localhost", "127.0.0.1", "::1")
"""Whom a certificate is for, unless something else is said."""

DAY_S = 86400
BEFORE_S, VALID_S = DAY_S, 30 * DAY_S

# The curve P-256: y² = x³ - 3x + b over the field of _P, with the base point _G of order _N.
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


class KeyPair(NamedTuple):
    """A private key and the point that is its public one."""

    private: int
    x: int
    y: int

    @classmethod
    def new(cls) -> "KeyPair":
        private = 1 + secrets.randbelow(_N - 1)
        return cls(private, *_times(private))

    @property
    def point(self) -> bytes:
        return b"\x04" + self.x.to_bytes(32, "big") + self.y.to_bytes(32, "big")

    @property
    def pem(self) -> str:
        inner = _sequence(_integer(1), _octets(self.private.to_bytes(32, "big")), _tagged(1, _bits(self.point)))
        return _pem("PRIVATE KEY", _sequence(_integer(0), _KIND_OF_KEY, _octets(inner)))

    def sign(self, data: bytes) -> bytes:
        """Returns the ECDSA signature of `data`, with SHA-256."""
        digest = int.from_bytes(hashlib.sha256(data).digest(), "big")
        while True:
            once = 1 + secrets.randbelow(_N - 1)
            r = _times(once)[0] % _N
            s = pow(once, -1, _N) * (digest + r * self.private) % _N
            if r and s:
                return _sequence(_integer(r), _integer(s))


class Authority:
    """An authority that signs certificates. `certificate` is its own, for who has to trust it."""

    def __init__(self, name: str = "pycast test authority") -> None:
        self._name = _name(name)
        self._key = KeyPair.new()
        usage = _extension("2.5.29.15", _der(0x03, b"\x01\x06"), is_critical=True)  # signs certificates and lists
        is_authority = _extension("2.5.29.19", _sequence(_der(0x01, b"\xff")), is_critical=True)
        own = [is_authority, usage, _key_id(self._key)]
        now = time.time()
        self.certificate = self._certificate(self._name, self._key, own, now - BEFORE_S, now + VALID_S)

    def issue(self, hosts: Sequence[str] = HOSTS, *, begins_s: float = -BEFORE_S, ends_s: float = VALID_S) -> str:
        """Returns a new certificate for `hosts`, names and addresses, with its private key, as one PEM file has them.
        It is valid between two times, in seconds from now: `ends_s=-1` is one that has expired.
        """
        key = KeyPair.new()
        names = [_host(host) for host in hosts]
        extensions = [
            _extension("2.5.29.15", _der(0x03, b"\x07\x80"), is_critical=True),  # signs handshakes
            _extension("2.5.29.37", _sequence(_oid("1.3.6.1.5.5.7.3.1"))),  # is a server's
            _extension("2.5.29.17", _sequence(*names)),
            _extension("2.5.29.35", _sequence(_der(0x80, _id_of(self._key)))),
            _key_id(key),
        ]
        now = time.time()
        return self._certificate(_name(hosts[0]), key, extensions, now + begins_s, now + ends_s) + key.pem

    def issue_to_itself(self, hosts: Sequence[str] = HOSTS) -> str:
        """Returns a certificate for `hosts` with this authority's own key, so one that nobody else has signed."""
        names, now = _extension("2.5.29.17", _sequence(*map(_host, hosts))), time.time()
        return self._certificate(self._name, self._key, [names], now - BEFORE_S, now + VALID_S) + self._key.pem

    def _certificate(
        self, subject: bytes, key: KeyPair, extensions: Sequence[bytes], begins: float, ends: float
    ) -> str:
        body = _sequence(
            _tagged(0, _integer(2)),  # version 3
            _integer(1 + secrets.randbelow(2**64)),
            _SIGNED,
            self._name,
            _sequence(_time(begins), _time(ends)),
            subject,
            _sequence(_KIND_OF_KEY, _bits(key.point)),
            _tagged(3, _sequence(*extensions)),
        )
        return _pem("CERTIFICATE", _sequence(body, _SIGNED, _bits(self._key.sign(body))))


@cache
def the_authority() -> Authority:
    """Returns the authority of this process: whoever trusts it trusts all servers under test."""
    return Authority()


@cache
def certificate_for(*hosts: str) -> str:
    """Returns a certificate of that authority, with its key, which servers at the same addresses share."""
    return the_authority().issue(hosts)


def give_certificate(sections: dict[str, Any], folder: Path) -> Path:
    """Has a server's first port take TLS, with a certificate in `folder`. Returns the file of who has signed it."""
    listen = sections.setdefault("listen", [{}])
    listen[0].setdefault("tls", True)
    hosts = dict.fromkeys((*HOSTS, listen[0].get("bind_address", HOSTS[0])))
    authority, certificate = folder / "ca.pem", folder / "server.pem"
    authority.write_text(the_authority().certificate)
    certificate.write_text(certificate_for(*hosts))
    certificate.chmod(0o600)
    sections["tls"] = {"certificate": str(certificate), "private_key": str(certificate)}
    return authority


def _times(number: int) -> tuple[int, int]:
    """Returns the base point, added up `number` times."""
    x, y, z = *_G, 1
    for bit in bin(number)[3:]:
        x, y, z = _twice(x, y, z)
        if bit == "1":
            x, y, z = _plus_base(x, y, z)
    shrunk = pow(z, -1, _P)
    return x * shrunk**2 % _P, y * shrunk**3 % _P


def _twice(x: int, y: int, z: int) -> tuple[int, int, int]:
    """Doubles a point, given as (x/z², y/z³)."""
    delta, gamma = z * z % _P, y * y % _P
    beta, alpha = x * gamma % _P, 3 * (x - delta) * (x + delta) % _P
    new_x = (alpha * alpha - 8 * beta) % _P
    return new_x, (alpha * (4 * beta - new_x) - 8 * gamma * gamma) % _P, 2 * y * z % _P


def _plus_base(x: int, y: int, z: int) -> tuple[int, int, int]:
    """Adds the base point to another one: an even multiple of it, as in `_times`."""
    square = z * z % _P
    h, r = (_G[0] * square - x) % _P, (_G[1] * square * z - y) % _P
    h2 = h * h % _P
    h3, v = h2 * h % _P, x * h2 % _P
    new_x = (r * r - h3 - 2 * v) % _P
    return new_x, (r * (v - new_x) - y * h3) % _P, z * h % _P


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _der(0x30, b"".join(parts))


def _tagged(number: int, content: bytes) -> bytes:
    return _der(0xA0 | number, content)


def _integer(number: int) -> bytes:
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _octets(content: bytes) -> bytes:
    return _der(0x04, content)


def _bits(content: bytes) -> bytes:
    return _der(0x03, b"\0" + content)


def _oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    content = bytearray()
    for number in (40 * first + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        content += bytes(reversed(groups))
    return _der(0x06, bytes(content))


def _name(text: str) -> bytes:
    return _sequence(_der(0x31, _sequence(_oid("2.5.4.3"), _der(0x0C, text.encode()))))


def _time(at: float) -> bytes:
    return _der(0x17, time.strftime("%y%m%d%H%M%SZ", time.gmtime(at)).encode())


def _host(host: str) -> bytes:
    try:
        return _der(0x87, ip_address(host).packed)
    except ValueError:
        return _der(0x82, host.encode("idna"))


def _extension(oid: str, value: bytes, *, is_critical: bool = False) -> bytes:
    return _sequence(_oid(oid), *([_der(0x01, b"\xff")] if is_critical else []), _octets(value))


def _id_of(key: KeyPair) -> bytes:
    return hashlib.sha1(key.point, usedforsecurity=False).digest()


def _key_id(key: KeyPair) -> bytes:
    return _extension("2.5.29.14", _octets(_id_of(key)))


def _pem(kind: str, content: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{encodebytes(content).decode()}-----END {kind}-----\n"


_SIGNED = _sequence(_oid("1.2.840.10045.4.3.2"))
"""ECDSA with SHA-256."""
_KIND_OF_KEY = _sequence(_oid("1.2.840.10045.2.1"), _oid("1.2.840.10045.3.1.7"))
"""A point of P-256."""
