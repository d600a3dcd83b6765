"""How two nodes prove to each other that they know the cluster's secret, without telling it.

    caller  → GET /_cluster/v1, Upgrade: pycast-cluster/1, Pycast-Nonce: <nonce of the caller>
    answer  ← 101, Pycast-Nonce: <nonce of the answerer>
    caller  → HMAC-SHA256(secret, "caller" | cluster | both nonces)
    answer  ← HMAC-SHA256(secret, "answerer" | cluster | both nonces)

The caller proves itself first: a stranger gets a random number and then nothing. Nonces are fresh on both sides, so an
old conversation cannot be played again. What follows is as safe as the line is: over lines that others can write to,
`cluster.tls` is for that.

Pure: the nonces come from outside.
"""

import hmac
from hashlib import sha256

NONCE_SIZE = 16
PROOF_SIZE = 32


def caller_proof(secret: str, cluster: str, caller_nonce: str, answerer_nonce: str) -> bytes:
    """What the caller sends."""
    return _proof(secret, "caller", cluster, caller_nonce, answerer_nonce)


def answerer_proof(secret: str, cluster: str, caller_nonce: str, answerer_nonce: str) -> bytes:
    """What the answerer sends back."""
    return _proof(secret, "answerer", cluster, caller_nonce, answerer_nonce)


def is_same(given: bytes, wanted: bytes) -> bool:
    """In constant time."""
    return hmac.compare_digest(given, wanted)


def _proof(secret: str, *parts: str) -> bytes:
    # Lengths first: "a" + "bc" must not be "ab" + "c".
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hmac.new(secret.encode("utf-8", "surrogateescape"), text.encode("utf-8", "surrogateescape"), sha256).digest()
