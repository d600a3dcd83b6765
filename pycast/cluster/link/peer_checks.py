"""The checks of what other nodes send, and what becomes of a node that sends nonsense.

A node of the same cluster knows the secret, and may still be of a wrong version, wrongly configured, or broken. What it
sends is checked where it arrives: types and ranges by `codec.py`, its sender and its epochs by `rights.py`. A message
that fails ends the link, is counted, and for a while no link to or from that node is opened: a second after the first
time, twice as long after each further one. One line in the log says what was wrong, and not again until the node has
made sense for ten minutes. So it costs the others no more than a node that does not answer.

Statistics are an exception: they are shown and nothing else, so a malformed answer is left out, and the link stays.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pycast.cluster.codec import decode
from pycast.cluster.link.frames import Malformed
from pycast.cluster.link.handshake import NodeIdentity
from pycast.cluster.link.rights import check_epochs, check_sender
from pycast.cluster.registry.cluster_state import OriginRefused
from pycast.cluster.registry.epoch import Epoch
from pycast.stats.counters import LinkCounters

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0

# After so long without a fault a node is like new.
FORGIVE_S = 600.0

# Faults of so many nodes are remembered.
MOST_NODES = 1000

# How many characters of what was wrong are shown.
_SHOWN = 200

MessageT = TypeVar("MessageT")


@dataclass(slots=True)
class _Record:
    """What is remembered of a node that has sent nonsense."""

    last: float
    pause_s: float = 0.0
    blocked_until: float = 0.0


class PeerChecks:
    """The checks of this node's peers, and their faults."""

    def __init__(
        self, check_epoch: Callable[[Epoch], None] = lambda epoch: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.counters = LinkCounters()
        self.check_epoch = check_epoch
        self._clock = clock
        self._records: dict[str, _Record] = {}

    def read(self, peer: NodeIdentity, kind: type[MessageT], data: object) -> MessageT:
        """Returns the message of that class, which came from `peer`. Raises Malformed."""
        try:
            message = decode(kind, data)
            check_sender(peer, message)
            check_epochs(self.check_epoch, message)
            return message
        except ValueError as error:
            raise Malformed(str(error)[:_SHOWN]) from error

    def blame(self, peer: NodeIdentity, what: object, *, blocks: bool = True) -> None:
        """Notes that `peer` has sent nonsense. If it `blocks`, no links with it are opened for a while."""
        self.counters.faults += 1
        now, known = self._clock(), self._records.pop(peer.node, None)
        if known is None or now - known.last >= FORGIVE_S:
            known = _Record(now)
            log.warning("cluster: node %s at %s sends nonsense: %.200s", peer.node, peer.address, what)
        known.last = now
        if blocks:
            known.pause_s = min(2 * known.pause_s or FIRST_PAUSE_S, LONGEST_PAUSE_S)
            known.blocked_until = now + known.pause_s
        self._records[peer.node] = known  # the newest is last
        while len(self._records) > MOST_NODES:
            del self._records[next(iter(self._records))]

    def on_origin_refused(self, event: OriginRefused) -> None:
        """Notes that a node has a mount whose name is none. Its other messages make sense: its links stay."""
        origin = event.origin
        peer = NodeIdentity(origin.node, origin.boot, event.address)
        self.blame(peer, f"it has a mount {origin.mount[:60]!r}, which is left out: {event.why}", blocks=False)

    def blocked_s(self, peer: NodeIdentity) -> float:
        """Returns for how many seconds no links with `peer` are opened."""
        known = self._records.get(peer.node)
        return 0.0 if known is None else max(known.blocked_until - self._clock(), 0.0)
