"""An admin's questions and orders, carried out on all nodes of the cluster: by `node_control.py` on each of them.

A node that does not answer within `ASK_S` is left out, with a line in the log. Every page that polls reads the
statistics, so one snapshot is used for `FRESH_S`.
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from gevent.event import AsyncResult

from pycast.cluster.link.admin_answers import (
    Done,
    EventsAnswer,
    ListenersAnswer,
    Moved,
    RelaysAnswer,
    SnapshotAnswer,
)
from pycast.cluster.link.message_kinds import Question
from pycast.cluster.link.questions import (
    WIRE_NAMES,
    AddSlave,
    AskEvents,
    AskListeners,
    AskRelays,
    AskSnapshot,
    KillListener,
    KillSource,
    MoveListeners,
    OrderRelay,
    ResetStats,
    SetFallback,
    SetTitle,
)
from pycast.cluster.member import ClusterMember
from pycast.cluster.registry.records import NodeRecord
from pycast.control.node_control import NodeControl
from pycast.control.relay_desk import ORDERS, RelayOrder
from pycast.errors import Refused
from pycast.stats.merge import merge, merge_relays
from pycast.stats.snapshot import ListenerSnapshot, NodeEvents, NodeSnapshot, RelayLine

log = logging.getLogger(__name__)

ASK_S = 1.0

# Pages poll every few seconds. A hundred viewers must not cause a hundred calls to all nodes.
FRESH_S = 1.0

# For so many nodes and questions it is remembered that they had no answer.
MOST_SILENT = 1000

AnswerT = TypeVar("AnswerT")


class ClusterControl:
    """The control of all nodes as one server."""

    def __init__(self, local: NodeControl, cluster: ClusterMember) -> None:
        self._local = local
        self._cluster = cluster
        self._asked_at = 0.0
        self._silent: set[tuple[str, str]] = set()
        """The nodes and questions that had no answer, which is logged once until there is one."""
        self._snapshot: AsyncResult[NodeSnapshot | None] | None = None

    # -- questions

    def snapshot(self) -> NodeSnapshot:
        """Returns the statistics of all nodes as one server. May switch."""
        now, asked = time.monotonic(), self._snapshot
        if asked is None or now - self._asked_at >= FRESH_S:
            # Not only in the attribute: when this takes longer than that, another greenlet has put its own there.
            self._asked_at, self._snapshot = now, (asked := AsyncResult())
            try:
                asked.set(merge(self._local.snapshot(), self._snapshots()))
            finally:
                # If it failed, or this greenlet has ended, the others that wait for it get this node's statistics.
                if not asked.ready():
                    asked.set(None)
        found = asked.wait(2 * ASK_S)
        return self._local.snapshot() if found is None else found

    def workers(self) -> list[NodeSnapshot]:
        """Returns the statistics of each worker of this node's parent, this node first. May switch."""
        others = self._ask_all(AskSnapshot(), self._cluster.siblings())
        return [self._local.snapshot(), *(answer.snapshot for answer in others)]

    def knows(self, mount: str) -> bool:
        """Whether any node has the mount."""
        return self._local.knows(mount) or self._cluster.registry.state.origin(mount) is not None

    def listeners(self, mount: str) -> list[ListenerSnapshot]:
        """Returns the mount's listeners on all nodes. May switch."""
        found = self._local.listeners(mount)
        for answer in self._ask_all(AskListeners(mount)):
            found += answer.listeners
        return found

    def relays(self) -> list[RelayLine]:
        """Returns what the relays of all nodes do. May switch."""
        return merge_relays([self._local.relays(), *(answer.relays for answer in self._ask_all(AskRelays()))])

    def events(self, marks: Mapping[str, int]) -> list[NodeEvents]:
        """Returns what has happened on each node since the marks. May switch."""
        question = AskEvents({boot: str(number) for boot, number in marks.items()})
        return [*self._local.events(marks), *(answer.events for answer in self._ask_all(question))]

    # -- orders

    def kill(self, mount: str, id: int) -> bool:
        """Ends a listener's connection on the node that has it. Returns whether one had it. May switch."""
        return self._local.kill(mount, id) or self._any(KillListener(mount, id))

    def kill_source(self, mount: str) -> bool:
        """Ends a mount's source on the node that has it. Returns whether one had it. May switch."""
        return self._local.kill_source(mount) or self._any(KillSource(mount))

    def set_title(self, mount: str, artist: str, title: str, url: str, sender: str = "") -> bool:
        """Sets the title on the node that has the source, or here if the sender's source stands by here. (One that
        stands by on another node is not found.) Returns whether the stream takes titles. May switch.
        """
        if self._local.has_source(mount) or self._local.has_standby_from(mount, sender):
            return self._local.set_title(mount, artist, title, url, sender)
        return self._any(SetTitle(mount, artist, title, url))

    def move(self, mount: str, to: str) -> int:
        """Moves a mount's listeners on all nodes to another mount. Returns how many. Raises Refused. May switch."""
        moved = self._local.move(mount, to)
        return moved + sum(answer.listeners for answer in self._ask_all(MoveListeners(mount, to)))

    def set_fallback(self, mount: str, fallback: str) -> None:
        """Puts a fallback in place of the configured one on all nodes: each moves its own listeners. May switch."""
        self._local.set_fallback(mount, fallback)
        self._ask_all(SetFallback(mount, fallback))

    def reset_stats(self, mount: str, counts: Collection[str]) -> None:
        """Has some of a mount's statistics counted anew on all nodes. May switch."""
        self._local.reset_stats(mount, counts)
        self._ask_all(ResetStats(mount, tuple(counts)))

    def add_slave(self, host: str, port: int, interval_s: int) -> None:
        """Remembers a server that takes listeners for whom there is no room, on all nodes. May switch."""
        self._local.add_slave(host, port, interval_s)
        self._ask_all(AddSlave(host, port, interval_s))

    def order_relay(self, mount: str, order: RelayOrder) -> bool:
        """Gives an order to the relays of a mount on all nodes. Returns whether there is one. May switch."""
        is_here = self._local.order_relay(mount, order)
        return self._any(OrderRelay(mount, order)) or is_here

    # -- answers to other nodes

    def answer_snapshot(self, question: AskSnapshot) -> SnapshotAnswer:
        """Answers with this node's statistics."""
        return SnapshotAnswer(self._local.snapshot())

    def answer_listeners(self, question: AskListeners) -> ListenersAnswer:
        """Answers with a mount's listeners on this node."""
        return ListenersAnswer(tuple(self._local.listeners(question.mount)))

    def answer_kill(self, order: KillListener) -> Done:
        """Ends a listener of this node."""
        return Done(self._local.kill(order.mount, order.id))

    def answer_kill_source(self, order: KillSource) -> Done:
        """Ends a source of this node."""
        return Done(self._local.kill_source(order.mount))

    def answer_title(self, order: SetTitle) -> Done:
        """Sets the title if this node has the source."""
        has_source = self._local.has_source(order.mount)
        return Done(has_source and self._local.set_title(order.mount, order.artist, order.title, order.url))

    def answer_fallback(self, order: SetFallback) -> Done:
        """Puts a fallback in place of the configured one on this node."""
        self._local.set_fallback(order.mount, order.fallback)
        return Done(True)

    def answer_slave(self, order: AddSlave) -> Done:
        """Remembers a server that takes listeners for whom there is no room."""
        self._local.add_slave(order.host, order.port, order.interval_s)
        return Done(True)

    def answer_reset(self, order: ResetStats) -> Done:
        """Has some of a mount's statistics counted anew on this node."""
        self._local.reset_stats(order.mount, order.counts)
        return Done(True)

    def answer_events(self, question: AskEvents) -> EventsAnswer:
        """Answers with what has happened on this node."""
        numbers = ((boot, text) for boot, text in question.marks.items() if text.isascii() and text.isdigit())
        (found,) = self._local.events({boot: int(text[:15]) for boot, text in numbers})
        return EventsAnswer(found)

    def answer_relays(self, question: AskRelays) -> RelaysAnswer:
        """Answers with what the relays of this node do."""
        return RelaysAnswer(tuple(self._local.relays()))

    def answer_relay_order(self, order: OrderRelay) -> Done:
        """Gives an order to a relay of this node."""
        found = next((one for one in ORDERS if one == order.order), None)
        return Done(found is not None and self._local.order_relay(order.mount, found))

    def answer_move(self, order: MoveListeners) -> Moved:
        """Moves the mount's listeners on this node. May switch."""
        try:
            return Moved(self._local.move(order.mount, order.to))
        except Refused as error:
            log.warning("listeners are not moved: %s", error)
            return Moved(0)

    # -- questions to other nodes

    def _snapshots(self) -> list[NodeSnapshot]:
        return [answer.snapshot for answer in self._ask_all(AskSnapshot())]

    def _any(self, order: Question[Done]) -> bool:
        return any(answer.is_done for answer in self._ask_all(order))

    def _ask_all(self, question: Question[AnswerT], nodes: Sequence[NodeRecord] | None = None) -> list[AnswerT]:
        """Returns the answers of all other nodes, or of some. May switch."""
        others = [node.address for node in (self._cluster.others() if nodes is None else nodes)]
        answers = self._cluster.rpc.call_all(others, question, ASK_S)
        name = WIRE_NAMES[type(question)]
        for address in others:
            if address in answers:
                self._silent.discard((address, name))
            elif (address, name) not in self._silent:
                if len(self._silent) >= MOST_SILENT:  # most of them are gone
                    self._silent.clear()
                self._silent.add((address, name))
                log.warning("the node at %s did not answer %s: it is left out", address, name)
        return list(answers.values())
