"""Why a node could not be reached, in words that say what to change. Pure."""

import ssl

from pycast.net.tls_words import distrust, is_of_plain_port, is_of_tls_port

_PLAIN_THERE = (
    "that port does not use TLS, and cluster.tls is true here: set cluster.tls = true on that node too, and tls = true "
    "for the port that it advertises; or cluster.tls = false on all nodes"
)
_TLS_THERE = (
    "that port takes TLS only, and cluster.tls is false here: set cluster.tls = true on all nodes, or let that node "
    "advertise a port without TLS"
)


def why(error: Exception) -> str:
    """Returns what an error of a connection to a node means."""
    text = str(error)
    if not isinstance(error, ssl.SSLError):
        return text
    if is_of_plain_port(text):
        return _PLAIN_THERE
    if reason := distrust(text):
        return (
            f"its certificate cannot be trusted ({reason}): cluster.tls_ca must name the authority that signed it, and "
            "the certificate the host of this address"
        )
    return text


def why_refused(status: int, answer: bytes) -> str:
    """Returns what an answer means that is no part of the handshake. `answer` is what came of its body."""
    if is_of_tls_port(status, answer):
        return _TLS_THERE
    if status == 403:
        return "it refuses our proof: are cluster.name and cluster.secret the same there?"
    if status == 503:
        return "it has not joined the cluster yet, is full, or was sent nonsense by this node: see its log"
    return f"it answered {status}: is it a node of this cluster?"
