"""The driver of the mesh: keeps a line to each node and sends messages on it. Their meaning is in `protocol.py`.

A line goes to one address, which comes from the configuration, from DNS, from the state file or from another node. It
has a greenlet, which sends a hello, then each change and the beats until the line breaks, and then tries again. An
address is dropped once its node is neither in the configuration nor known.
"""

import logging
import random
from collections.abc import Callable
from enum import Enum, auto

import gevent
from gevent.event import Event
from gevent.queue import Queue

from pycast.cluster.link.frames import LinkError
from pycast.cluster.link.handshake import NodeIdentity
from pycast.cluster.link.message_kinds import Notification
from pycast.cluster.link.questions import (
    Beat,
    Goodbye,
    Hello,
    HelloAgain,
    HelloAnswer,
    NodeNews,
    OriginGone,
    OriginNews,
    Proposal,
    Verdict,
)
from pycast.cluster.link.rpc import LinkLost, NoAnswer, RpcClient
from pycast.cluster.mesh.name_lookup import addresses_of
from pycast.cluster.mesh.protocol import BEAT_S, Mesh, with_epoch
from pycast.cluster.registry.cluster_state import ClusterState, NodeChanged, OriginChanged, Status
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import CALL_S, Claimed, DuplicateNode, Held
from pycast.cluster.registry.state_file import StateFile
from pycast.config.schema import ClusterSection
from pycast.net.group import Group
from pycast.net.ticks import sleep_until_tick

log = logging.getLogger(__name__)

TICK_S = 0.5
FIRST_RETRY_S, LONGEST_RETRY_S = 0.05, 2.0

# How often an address is dialled again that leads to a node which advertises another one, once other nodes are known.
ELSEWHERE_RETRY_S = 30.0

# How often the addresses of `cluster.dns` are looked up. While there is no answer the last addresses stay.
RESOLVE_S = 5.0

# At a stop, the time for all nodes to be told.
GOODBYE_S = 0.5

# The part of CALL_S for the others' verdicts: one that hangs must not take it all.
PROPOSE_S = 1.0

# A process that was just killed still counts as alive for some seconds on nodes that have not seen its connection end.
DUPLICATE_PATIENCE_S = 6.0

# How often a claim is made that loses only against another proposal, not against an owner.
PROPOSALS = 3

# More addresses than a mesh can have nodes, each of which is dialled: other nodes may name any.
MOST_LINES = 1000

# The most messages that wait for a node that reads nothing. With more its line is closed, and begins with a hello.
QUEUE = 1000


class _LineEvent(Enum):
    """An event in the queue of a line, after which it begins again with a hello."""

    BROKEN = auto()
    ASKED = auto()
    """The other node has asked for another hello."""


_Queue = Queue[Notification | _LineEvent]


class MeshRegistry:
    """The registry of `cluster.registry = "mesh"`."""

    def __init__(
        self,
        cluster: ClusterSection,
        state: ClusterState,
        peers: RpcClient,
        state_file: StateFile,
        group: Group,
        clock: Callable[[], float],
    ) -> None:
        self.state = state
        self._cluster = cluster
        self._peers = peers
        self._group = group
        self._clock = clock
        self._mesh: Mesh | None = None
        self._lines: dict[str, Event] = {}
        """The addresses that are dialled. The event is set when the node there has called, to try again at once."""
        self._queues: dict[str, _Queue] = {}
        """The messages to send, for each address whose line is open or is being opened."""
        self._is_leaving = False
        self._duplicates: set[str] = set()
        """The addresses at which another process of this node's name is known."""
        self._troubles: dict[str, str] = {}
        self._state_file = state_file

    @property
    def is_reachable(self) -> bool:
        """Whether half of the nodes answer, this one included."""
        return self._mesh is not None and self._mesh.sees_half

    def start(self, node: NodeRecord) -> None:
        """Dials the nodes in the configuration and the state file. Raises DuplicateNode. May switch."""
        self._mesh = Mesh(node, self.state, len({node.address, *self._cluster.peers}))
        self._state_file.load(node.node)
        self._mesh.expect_all(self._clock())
        known = [peer.record.address for peer in self.state.peers if peer.record.node != node.node]
        addresses = list(dict.fromkeys([*self._cluster.peers, *known]))
        self._check_name(node, addresses)
        for address in addresses:
            self._add_line(address)
        self._state_file.start()
        self._group.spawn_forever("mesh clock", self._tick)
        self._group.spawn_forever("mesh beats", self._beat)
        if self._cluster.dns:
            self._group.spawn_forever("names of the cluster", self._resolve)

    def stop(self) -> None:
        """Sends a goodbye to all. May switch, for `GOODBYE_S` at most."""
        if self._mesh is None or self._is_leaving:
            return
        self._is_leaving = True
        self._state_file.stop()
        self._peers.notify_all(self._lines, self._mesh.goodbye(), GOODBYE_S)

    def update(self, node: NodeRecord) -> None:
        """Announces this node's changed record. Never switches."""
        assert self._mesh is not None
        self._mesh.change(node)
        self._broadcast(NodeNews(node))

    def claim(self, offer: OriginRecord, over: Epoch) -> Claimed | Held:
        """Claims a mount: asks all nodes that answer. May switch, for about CALL_S at most."""
        assert self._mesh is not None
        answer: Claimed | Held = Held(over)
        deadline = self._clock() + CALL_S
        for _ in range(PROPOSALS):
            proposal = self._mesh.propose(offer.mount, over)
            addresses = [
                peer.record.address
                for peer in self.state.peers
                if peer.is_up and peer.record.node != self._mesh.me.node
            ]
            timeout = min(PROPOSE_S, max(deadline - self._clock(), 0.05))
            verdicts = self._peers.call_all(addresses, proposal, timeout)
            answer = self._mesh.decide(proposal, list(verdicts.values()))
            if isinstance(answer, Claimed):
                self._own(with_epoch(offer, answer))
                return answer
            # Another try makes sense only if no owner stands in the way: one that is new to us has to be asked first.
            has_learned = answer.origin is not None and not proposal.knows_owner
            if has_learned or self.state.highest(offer.mount) > over or self._clock() >= deadline:
                break
            gevent.sleep(random.uniform(0.01, 0.05))
        return answer

    def publish(self, origin: OriginRecord) -> None:
        """Announces a changed origin, if the mount is still ours. Never switches."""
        held = self.state.origin(origin.mount)
        if held is not None and held.epoch == origin.epoch:
            self._own(origin)

    def release(self, mount: str, epoch: Epoch) -> None:
        """Gives a mount up; `on_origin_changed` announces it. Never switches."""
        self.state.remove_origin(mount, epoch)

    def _own(self, origin: OriginRecord) -> None:
        if self.state.put_origin(origin):
            self._broadcast(OriginNews(origin))

    def on_node_changed(self, change: NodeChanged) -> None:
        """Opens a new line to a node that is dead: the kernel may send the next time only much later."""
        if change.after is not None and change.after.status is Status.DEAD:
            address = change.after.record.address
            self._peers.hang_up(address)
            self._lost(address)

    def on_origin_changed(self, change: OriginChanged) -> None:
        """Announces an origin that this node has given up, or that is over."""
        gone = self._mesh.gone(change) if self._mesh is not None else None
        if gone is not None:
            self._broadcast(gone)

    # -- lines

    def _check_name(self, node: NodeRecord, addresses: list[str]) -> None:
        """Asks the others whether this node's name is free; silence counts as yes. Raises DuplicateNode."""
        assert self._mesh is not None
        deadline = self._clock() + DUPLICATE_PATIENCE_S
        while True:
            answers = self._peers.call_all(addresses, self._mesh.hello(), follows=True)
            if not any(answer.is_duplicate for answer in answers.values()):
                for answer in answers.values():
                    self._mesh.on_answer(answer, self._clock())
                return
            if self._clock() >= deadline:
                raise DuplicateNode(f"another node of the cluster has the name {node.node!r} and is alive")
            gevent.sleep(TICK_S)

    def _add_line(self, address: str) -> None:
        if address in self._lines or address == self._started_mesh().me.address or len(self._lines) >= MOST_LINES:
            return
        self._lines[address] = Event()
        self._group.spawn_forever(f"line to {address}", lambda: self._run_line(address))

    def _run_line(self, address: str) -> None:
        wait, called = FIRST_RETRY_S, self._lines[address]
        is_wanted = True  # dialled once in any case: the answer shows which node is there
        while is_wanted and not self._is_leaving:
            begun = self._clock()
            try:
                self._open_line(address)
            except NoAnswer as error:
                if error.leads_to is None:
                    self._warn_once(address, str(error))
                else:
                    self._on_elsewhere(address, error.leads_to)
                if error.is_refused:
                    self._started_mesh().refused(address)
                if error.leads_to is not None and len(self.state.up_nodes()) > 1:
                    wait = ELSEWHERE_RETRY_S
                elif self._clock() - begun > LONGEST_RETRY_S:
                    # A line that was good is dialled again at once, to find out whether its node is gone.
                    wait = FIRST_RETRY_S
                was_called = called.wait(wait * random.uniform(0.8, 1.2))
                wait = FIRST_RETRY_S if was_called else min(2 * wait, LONGEST_RETRY_S)
                called.clear()
            is_wanted = self._is_wanted(address)
        self._lines.pop(address, None)
        self._troubles.pop(address, None)

    def _open_line(self, address: str) -> None:
        # The hello includes all changes up to now; later ones go into the queue.
        queue = self._queues[address] = Queue(QUEUE)
        try:
            self._exchange(address, queue)
        finally:
            del self._queues[address]

    def _exchange(self, address: str, queue: _Queue) -> None:
        mesh = self._started_mesh()
        answer = self._peers.call(address, mesh.hello())
        mesh.on_answer(answer, self._clock())
        other = answer.node
        if answer.is_duplicate or other.node == mesh.me.node:
            self._warn_duplicate(address)
        else:
            self._duplicates.discard(address)
        if other.node == mesh.me.node:
            raise NoAnswer(f"{address} has this node's name")
        if self._troubles.pop(address, ""):
            log.info("cluster: connected to node %s at %s", other.node, address)
        for one in answer.known:
            self._add_line(one)
        while not self._is_leaving:
            news = queue.get()
            if news is _LineEvent.BROKEN:
                raise NoAnswer("the line broke")
            if news is _LineEvent.ASKED:
                return
            self._peers.notify(address, news)

    def _warn_once(self, address: str, text: str) -> None:
        """Logs a problem once until it changes: each line is dialled again and again."""
        if self._troubles.get(address) != text:
            self._troubles[address] = text
            log.warning("cluster: not connected to %s: %s", address, text)

    def _on_elsewhere(self, address: str, other: NodeIdentity) -> None:
        """Dials the address that the node at `address` advertises: by another one nodes find each other, no more."""
        text = f"node {other.node}, which advertises {other.address}"
        if self._troubles.get(address) != text:
            self._troubles[address] = text
            log.info("cluster: %s leads to %s", address, text)
        if other.boot != self._started_mesh().me.boot:
            self._add_line(other.address)

    def _warn_duplicate(self, address: str) -> None:
        if address not in self._duplicates:
            self._duplicates.add(address)
            log.error("cluster: another node has this node's name, according to %s: give each node its own", address)

    def _is_wanted(self, address: str) -> bool:
        return address in self._cluster.peers or any(peer.record.address == address for peer in self.state.peers)

    def _broadcast(self, news: Notification) -> None:
        for address, queue in list(self._queues.items()):
            if queue.full():
                log.warning("cluster: the node at %s reads no messages, its connection is opened again", address)
                self._peers.hang_up(address)
            else:
                queue.put_nowait(news)

    def on_link_lost(self, event: LinkLost) -> None:
        """Opens the line again. Its node is suspect."""
        self._lost(event.address)

    def _lost(self, address: str) -> None:
        if self._mesh is not None:
            self._mesh.lost(address)
        queue = self._queues.get(address)
        if queue is not None and not queue.full():
            queue.put_nowait(_LineEvent.BROKEN)

    def _started_mesh(self) -> Mesh:
        assert self._mesh is not None
        return self._mesh

    def _tick(self) -> None:
        while True:
            sleep_until_tick(TICK_S)
            self._started_mesh().tick(self._clock())

    def _beat(self) -> None:
        while True:
            sleep_until_tick(BEAT_S)
            self._broadcast(self._started_mesh().beat())

    def _resolve(self) -> None:
        dns, own_address = self._cluster.dns, self._started_mesh().me.address
        while True:
            try:
                for address in addresses_of(dns, own_address):
                    self._add_line(address)
            except OSError as error:
                log.debug("! %s has no addresses now: %s", dns, error)
            gevent.sleep(RESOLVE_S)

    # -- messages of other nodes

    def on_hello(self, hello: Hello) -> HelloAnswer:
        """Answers another node's hello, and opens a line to that node."""
        answer = self._started_mesh().on_hello(hello, self._clock())
        address = hello.node.address
        if not answer.is_duplicate:
            self._add_line(address)
            if address in self._lines:
                self._lines[address].set()
        return answer

    def on_beat(self, beat: Beat) -> None:
        """Takes a sign of life. Raises LinkError, which ends the link, if that process has not sent a hello."""
        mesh = self._started_mesh()
        if not mesh.on_beat(beat, self._clock()):
            raise LinkError(f"a beat of {beat.node!r}, which has not sent a hello")
        if mesh.differs(beat):
            self._ask_for_hello(beat.node)

    def on_node(self, news: NodeNews) -> None:
        """Takes the changed record of another node."""
        self._started_mesh().on_node(news.node, self._clock())

    def on_origin(self, news: OriginNews) -> None:
        """Takes an origin, and asks for a hello if its epoch is over."""
        if not self._started_mesh().on_origin(news.origin, self._clock()):
            self._ask_for_hello(news.origin.node)

    def on_again(self, wish: HelloAgain) -> None:
        """Sends another hello to the node that asks for it."""
        self._queue(wish.node, _LineEvent.ASKED)

    def on_gone(self, gone: OriginGone) -> None:
        """Removes an origin that was given up."""
        self._started_mesh().on_gone(gone.mount, gone.epoch)

    def on_bye(self, goodbye: Goodbye) -> None:
        """Removes a node that stops."""
        self._started_mesh().on_bye(goodbye)

    def on_proposal(self, proposal: Proposal) -> Verdict:
        """Returns this node's verdict on another node's claim."""
        return self._started_mesh().judge(proposal)

    def _ask_for_hello(self, node: str) -> None:
        """Asks a node for a hello. It brings the node's mounts, and its answer lists the epochs that are over."""
        self._queue(node, HelloAgain(self._started_mesh().me.node))

    def _queue(self, node: str, news: Notification | _LineEvent) -> None:
        peer = self.state.peer(node)
        queue = self._queues.get(peer.record.address) if peer is not None else None
        if queue is not None and not queue.full():
            queue.put_nowait(news)
