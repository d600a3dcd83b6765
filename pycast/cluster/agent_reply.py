"""The line that a node says to HAProxy's agent-check: pure.

HAProxy takes words separated by blanks, up to the end of the line. What it was once told stays until it is told the
opposite: after `drain` only `ready` brings a server back, after `down` only `up`; so a node that takes listeners says
both each time. A text belongs behind ` #`, with a blank before it: glued to a word it makes an unknown one, and HAProxy
leaves the server as it was. HAProxy 2.6 ignores `weight:`: weights are per cent of the configured one.

A full node says 0 %, not `down` and not `drain`: it is well, and comes back by itself. Its `maxconn` is more than what
it serves by as many connections as it turns away at once: HAProxy lets those beyond `maxconn` wait in silence, and a
player is better off with a 503.
"""

from enum import Enum


class Standing(Enum):
    """What a node wants of the balancer."""

    SERVES = "serves"
    DRAINS = "drains"
    STOPS = "stops"


def agent_reply(standing: Standing, percent: int, connections: int) -> bytes:
    """The answer. `percent` is the weight, `connections` how many the node takes or turns away at the same time."""
    match standing:
        case Standing.SERVES:
            return b"%d%% maxconn:%d up ready\n" % (min(max(percent, 0), 100), max(connections, 1))
        case Standing.DRAINS:
            return b"drain\n"
        case Standing.STOPS:
            return b"down #stopping\n"
