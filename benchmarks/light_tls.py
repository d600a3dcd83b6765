"""The least that a client of TLS 1.3 must do (RFC 8446), so that a crowd of clients costs less than their server.

As a client, Python's `ssl` needs more CPU for a handshake than the server does: it decodes the certificate and checks
its signature, which is slow in OpenSSL 3.0. A crowd of such clients on one core measures itself. This one knows one
cipher suite and one group, has one key for all connections, and does not look at the certificate. It checks the
server's Finished, so that both ends surely have the same keys, and the tag of each record. For the server nothing
differs from a handshake with Python's `ssl`.

Rejected: sessions taken up again, which are cheaper for the server too.
"""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# TLS_AES_128_GCM_SHA256, the one that browsers would rather have than any other.
_SUITE, _HASH, _HASH_SIZE, _KEY_SIZE = b"\x13\x01", "sha256", 32, 16
_X25519 = b"\x00\x1d"
_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _DATA = 20, 21, 22, 23
_SERVER_HELLO, _FINISHED = 2, 20
_KEY_SHARE = 51
_RETRY_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()
_CHANGE_RECORD = b"\x14\x03\x03\x00\x01\x01"


def _sized(size_bytes: int, data: bytes) -> bytes:
    return len(data).to_bytes(size_bytes, "big") + data


def _extension(number: int, data: bytes) -> bytes:
    return number.to_bytes(2, "big") + _sized(2, data)


def _expand(secret: bytes, label: bytes, context: bytes = b"", size: int = _HASH_SIZE) -> bytes:
    """HKDF-Expand-Label of section 7.1, for results that are not longer than one hash."""
    info = size.to_bytes(2, "big") + _sized(1, b"tls13 " + label) + _sized(1, context)
    return hmac.digest(secret, info + b"\1", _HASH)[:size]


_NOTHING = hashlib.new(_HASH).digest()
_FROM_EARLY = _expand(hmac.digest(bytes(_HASH_SIZE), bytes(_HASH_SIZE), _HASH), b"derived", _NOTHING)


class _Cipher:
    """One direction of a connection, under one key."""

    def __init__(self, secret: bytes) -> None:
        self._key = AESGCM(_expand(secret, b"key", size=_KEY_SIZE))
        self._iv = int.from_bytes(_expand(secret, b"iv", size=12), "big")
        self._number = 0

    def _nonce(self) -> bytes:
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        return nonce

    def open(self, header: bytes, sealed: bytes) -> tuple[int, bytes]:
        """Returns a record's type and its content. Raises ConnectionError."""
        try:
            inner = self._key.decrypt(self._nonce(), sealed, header).rstrip(b"\0")
        except InvalidTag:
            raise ConnectionAbortedError("a record with a wrong tag") from None
        return inner[-1], inner[:-1]

    def seal(self, kind: int, content: bytes) -> bytes:
        """Returns a record."""
        header = b"\x17\x03\x03" + (len(content) + 17).to_bytes(2, "big")
        return header + self._key.encrypt(self._nonce(), content + bytes((kind,)), header)


class LightTls:
    """One connection. Its owner sends what `hello` and `take` return."""

    _private = X25519PrivateKey.generate()
    _public = _private.public_key().public_bytes_raw()

    def __init__(self, request: bytes) -> None:
        """`request` is sent as soon as the handshake is made."""
        self.is_shaken = False
        self._request = request
        self._arrived = bytearray()
        self._messages = bytearray()
        self._transcript = hashlib.new(_HASH)
        self._handshake = b""
        self._server_secret = self._client_secret = b""
        self._reading: _Cipher | None = None

    def hello(self) -> bytes:
        """Returns the first record."""
        extensions = (
            _extension(43, b"\x02\x03\x04")  # TLS 1.3 alone
            + _extension(10, _sized(2, _X25519))
            + _extension(13, _sized(2, b"\x04\x03\x08\x04"))  # signatures: ECDSA with P-256, RSA-PSS
            + _extension(45, b"\x01\x01")  # sessions could be taken up again: the server sends its tickets
            + _extension(_KEY_SHARE, _sized(2, _X25519 + _sized(2, self._public)))
        )
        body = b"\x03\x03" + os.urandom(32) + _sized(1, os.urandom(32)) + _sized(2, _SUITE) + b"\x01\x00"
        message = b"\x01" + _sized(3, body + _sized(2, extensions))
        self._transcript.update(message)
        return b"\x16\x03\x01" + _sized(2, message)

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Takes what arrived; returns what is to be sent, and what the server said inside. Raises ConnectionError."""
        arrived = self._arrived
        arrived += data
        said, heard, at = b"", [], 0
        while len(arrived) >= at + 5:
            end = at + 5 + int.from_bytes(arrived[at + 3 : at + 5], "big")
            if len(arrived) < end:
                break
            kind, content = arrived[at], bytes(arrived[at + 5 : end])
            if kind == _DATA and self._reading is not None:
                kind, content = self._reading.open(bytes(arrived[at : at + 5]), content)
            at = end
            if kind == _DATA:
                heard.append(content)
            elif kind == _HANDSHAKE and not self.is_shaken:
                said += self._take_messages(content)
            elif kind == _ALERT:
                raise ConnectionAbortedError(f"alert {content[-1]}")
        del arrived[:at]
        return said, b"".join(heard)

    def _take_messages(self, content: bytes) -> bytes:
        messages = self._messages
        messages += content
        while len(messages) >= 4:
            size = 4 + int.from_bytes(messages[1:4], "big")
            if len(messages) < size:
                break
            message = bytes(messages[:size])
            del messages[:size]
            if message[0] == _FINISHED:
                return self._finish(message)
            self._transcript.update(message)
            if message[0] == _SERVER_HELLO:
                self._share(message)
        return b""

    def _share(self, message: bytes) -> None:
        """Makes the keys of the handshake from the server's part of the secret."""
        if message[6:38] == _RETRY_RANDOM:
            raise ConnectionAbortedError("the server wants another group")
        at = 39 + message[38] + 5  # after the session, the cipher suite, the compression and the extensions' size
        share = b""
        while at < len(message):
            size = int.from_bytes(message[at + 2 : at + 4], "big")
            if int.from_bytes(message[at : at + 2], "big") == _KEY_SHARE:
                share = message[at + 8 : at + 4 + size]
            at += 4 + size
        secret = self._private.exchange(X25519PublicKey.from_public_bytes(share))
        self._handshake = hmac.digest(_FROM_EARLY, secret, _HASH)
        so_far = self._transcript.digest()
        self._client_secret = _expand(self._handshake, b"c hs traffic", so_far)
        self._server_secret = _expand(self._handshake, b"s hs traffic", so_far)
        self._reading = _Cipher(self._server_secret)

    def _finish(self, message: bytes) -> bytes:
        """Checks the server's Finished; returns ours, and the request."""
        expected = hmac.digest(_expand(self._server_secret, b"finished"), self._transcript.digest(), _HASH)
        if not hmac.compare_digest(expected, message[4:]):
            raise ConnectionAbortedError("a wrong Finished")
        self._transcript.update(message)
        so_far = self._transcript.digest()
        ours = hmac.digest(_expand(self._client_secret, b"finished"), so_far, _HASH)
        said = _CHANGE_RECORD + _Cipher(self._client_secret).seal(_HANDSHAKE, b"\x14" + _sized(3, ours))
        main = hmac.digest(_expand(self._handshake, b"derived", _NOTHING), bytes(_HASH_SIZE), _HASH)
        self._reading = _Cipher(_expand(main, b"s ap traffic", so_far))
        self.is_shaken = True
        return said + _Cipher(_expand(main, b"c ap traffic", so_far)).seal(_DATA, self._request)
