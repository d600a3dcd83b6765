"""The handshake, in which two nodes prove to each other that they know the cluster's secret without sending it.

caller   → GET /_cluster/v1, Upgrade: pycast-cluster/1, Pycast-Nonce: <nonce of the caller> answerer ← 101,
Pycast-Nonce: <nonce of the answerer> caller   → HMAC-SHA256(secret, "caller" | cluster | both nonces) answerer ←
HMAC-SHA256(secret, "answerer" | cluster | both nonces)

The caller sends its proof first, so a stranger gets a nonce and nothing else. Both nonces are new for each handshake,
so an old one cannot be replayed. The frames that follow are neither encrypted nor signed: on networks where others can
read or change them, use `cluster.tls`.

Pure: the nonces are arguments.
"""

import hmac
from hashlib import sha256

NONCE_SIZE = 16
PROOF_SIZE = 32


def caller_proof(secret: str, cluster: str, caller_nonce: str, answerer_nonce: str) -> bytes:
    """Returns the proof that the caller sends."""
    return _proof(secret, "caller", cluster, caller_nonce, answerer_nonce)


def answerer_proof(secret: str, cluster: str, caller_nonce: str, answerer_nonce: str) -> bytes:
    """Returns the proof that the answerer sends back."""
    return _proof(secret, "answerer", cluster, caller_nonce, answerer_nonce)


def is_same(given: bytes, wanted: bytes) -> bool:
    """Whether two proofs are the same, compared in constant time."""
    return hmac.compare_digest(given, wanted)


def _proof(secret: str, *parts: str) -> bytes:
    # Lengths first: "a" + "bc" must not be "ab" + "c".
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.new(secret.encode("utf-8", "surrogateescape"), text.encode("utf-8", "surrogateescape"), sha256).digest()
