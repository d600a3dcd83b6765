"""The parts of the node that serving a connection needs: a record, made once by `app/assembly.py`.

But for `enter` it has no methods, and no part in it refers back to it. A part that no connection needs is not in here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from pycast.auth.bans import Bans
from pycast.balance.admission import Admission, Slot
from pycast.balance.drain import Drain
from pycast.balance.listener_limits import ListenerLimits
from pycast.balance.slaves import Slaves
from pycast.cluster.ownership import Ownership
from pycast.config.live import Live
from pycast.control.fallbacks import Fallbacks
from pycast.control.intros import Intros
from pycast.control.mount_finder import MountFinder
from pycast.logs.access import AccessEntry
from pycast.net.group import Group
from pycast.net.hangups import Hangups
from pycast.server.answers import Answers
from pycast.server.player_heads import PlayerHeads
from pycast.server.reserve import Reserve
from pycast.stats.counters import Counters
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.web.site import Site

if TYPE_CHECKING:
    from pycast.cluster.member import ClusterMember


class ServerContext(NamedTuple):
    """The parts of the node that connections use."""

    settings: Live
    group: Group
    """Owns greenlets that outlive their connection."""
    counters: Counters
    pacer: Pacer
    mounts: Mounts
    finder: MountFinder
    fallbacks: Fallbacks
    intros: Intros
    ownership: Ownership
    cluster: "ClusterMember | None"
    """None for a node that is in no cluster."""
    hangups: Hangups[tuple[Mount, Listener]]
    answers: Answers
    player_heads: PlayerHeads
    admission: Admission
    bans: Bans
    listener_limits: ListenerLimits
    slaves: Slaves
    reserve: Reserve
    drain: Drain
    log_access: Callable[[AccessEntry], None]
    next_listener_id: Callable[[], int]
    site: Site
    """The parts that the handlers of `web` need."""

    def enter(self) -> Slot:
        """Counts a new connection and returns its slot. If there is none left, clients that have their answer lose
        theirs: those that have closed, else the one that has had it for longest.
        """
        if self.admission.is_full:
            self.answers.end_closed()
        if self.admission.is_full:
            self.answers.end_oldest()
        return self.admission.enter()
