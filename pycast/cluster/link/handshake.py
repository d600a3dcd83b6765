"""The handshake, in which two nodes prove to each other that they know the cluster's secret, without sending it.

    caller   → GET /_cluster/v1, Upgrade: pycast-cluster/1
               its name, boot and address, the address that it dials, a nonce, and a proof over all of these
    answerer ← 101, its name, boot and address, a nonce, and a proof over all of this and the caller's part
    caller   → a proof over the same

A proof is HMAC-SHA256 with the secret. It names its step, so none can be sent back or used for another step; both
nonces are new for each handshake, so none can be replayed; and it has both ends and the dialled address, so none can be
passed on to a third node. Two more HMACs are the keys with which each direction of the link is sealed (`seal.py`). So
somebody who passes a whole handshake on between two nodes has a link that he can cut, and can change nothing on it.

The answerer refuses a request without a valid proof before it says anything of itself. With 421 and a proof of its own
it refuses a caller that has dialled another address than the one that it advertises: a balancer's, a service's, a
mapped port, or one that now belongs to somebody else who passes everything on. The caller then dials the advertised
address. So a link has the ends that both think it has. A node that has dialled itself gets the same answer.

Not used, and why: TLS with pre-shared keys is in Python's ssl from 3.13 on only. The libraries for Noise have had no
release since 2020. TLS with certificates is `cluster.tls`, for those who have an authority. What is here is RFC 2104
and keyed BLAKE2 from the standard library. It hides nothing: on a network on which others listen, use `cluster.tls`.

Pure: the nonces are arguments.
"""

import hmac
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

NONCE_SIZE = 16


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """One end of a link: a node's name, its process, and the address that it advertises."""

    node: str
    boot: str
    address: str


@dataclass(frozen=True, slots=True)
class Opening:
    """The caller's part of a handshake."""

    cluster: str
    caller: NodeIdentity
    dialled: str
    """The address at which the caller expects the answerer."""
    nonce: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """Both parts of a handshake, as the end that has it knows them."""

    opening: Opening
    answerer: NodeIdentity
    nonce: str


class Step(StrEnum):
    """What a proof or a key is for."""

    REQUEST = "request"
    ANSWER = "answer"
    ELSEWHERE = "elsewhere"
    CALLER = "caller"
    FROM_CALLER = "from the caller"
    FROM_ANSWERER = "from the answerer"


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """The keys of the two directions of a link."""

    from_caller: bytes
    from_answerer: bytes


def request_proof(secret: str, opening: Opening) -> str:
    """Returns the proof in the caller's request."""
    return _hmac(secret, Step.REQUEST, *_opening_parts(opening)).hex()


def proof(secret: str, step: Step, transcript: Transcript) -> str:
    """Returns the proof of a later step: `ANSWER`, `ELSEWHERE` or `CALLER`."""
    return _hmac(secret, step, *_parts(transcript)).hex()


def keys(secret: str, transcript: Transcript) -> LinkKeys:
    """Returns the keys of the link that the handshake has opened."""
    parts = _parts(transcript)
    return LinkKeys(_hmac(secret, Step.FROM_CALLER, *parts), _hmac(secret, Step.FROM_ANSWERER, *parts))


def is_same(given: str, wanted: str) -> bool:
    """Whether two proofs are the same, compared in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def _opening_parts(opening: Opening) -> tuple[str, ...]:
    return (opening.cluster, *_identity_parts(opening.caller), opening.dialled, opening.nonce)


def _parts(transcript: Transcript) -> tuple[str, ...]:
    return (*_opening_parts(transcript.opening), *_identity_parts(transcript.answerer), transcript.nonce)


def _identity_parts(identity: NodeIdentity) -> tuple[str, ...]:
    return identity.node, identity.boot, identity.address


def _hmac(secret: str, *parts: str) -> bytes:
    # Lengths first: "a" + "bc" must not be "ab" + "c".
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.digest(_bytes(secret), _bytes(text), sha256)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
