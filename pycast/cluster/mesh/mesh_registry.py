"""The mesh's lines: who is dialled, what is said on them, and when. What follows from it is in `protocol.py`.

One greenlet for each address that is known: from the configuration, from DNS, or from another node. It says hello, then
each change and the beats, until the line breaks, and tries again.
"""

import logging
import random
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

import gevent
from gevent import socket
from gevent.event import Event
from gevent.queue import Queue

from pycast.cluster.link.frames import LinkError
from pycast.cluster.link.link import join_address, split_address
from pycast.cluster.link.questions import (
    Beat,
    Goodbye,
    Hello,
    HelloAgain,
    HelloAnswer,
    NodeNews,
    Notification,
    OriginGone,
    OriginNews,
    Proposal,
    Verdict,
)
from pycast.cluster.link.rpc import LinkLost, NoAnswer, RpcClient
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

# A name is asked this often; what it said last holds while it does not answer.
RESOLVE_S = 5.0

# Of CALL_S, for the others' verdicts: one that hangs must not take it all.
PROPOSE_S = 1.0

# A process that was just killed still counts as alive for some seconds where no end of its connection was seen.
DUPLICATE_PATIENCE_S = 6.0

# A claim that loses only against another proposal, not against an owner, is made again.
PROPOSALS = 3

# What waits for a node that takes nothing. Its line breaks before that, and begins with a hello.
QUEUE = 1000


class _LineEvent(Enum):
    """What happens to a line, in its queue: either way it begins with another hello."""

    BROKEN = auto()
    ASKED = auto()
    """The other node wants another hello."""


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
        """Who is dialled. Set when there is no reason to wait for the next try: the node itself has just called."""
        self._open: dict[str, _Queue] = {}
        """What is to be said on the lines that are good, or about to be."""
        self._own_addresses: set[str] = set()
        self._is_leaving = False
        self._duplicate = ""
        self._troubles: dict[str, str] = {}
        self._state_file = state_file

    @property
    def is_reachable(self) -> bool:
        """Whether half of the nodes are there."""
        return self._mesh is not None and self._mesh.sees_half

    def start(self, node: NodeRecord) -> None:
        """Dials the others: those of the configuration, and those that were there when it was last written down. Raises
        DuplicateNode. May switch.
        """
        self._mesh = Mesh(node, self.state, len({node.address, *self._cluster.peers}))
        self._own_addresses.add(node.address)
        self._state_file.load(node.node)
        self._mesh.expect_all(self._clock())
        known = [peer.record.address for peer in self.state.peers if peer.record.node != node.node]
        addresses = list(dict.fromkeys([*self._cluster.peers, *known]))
        self._greet(node, addresses)
        for address in addresses:
            self._reach(address)
        self._state_file.start()
        self._group.spawn_forever("mesh clock", self._tick)
        self._group.spawn_forever("mesh beats", self._beat)
        if self._cluster.dns:
            self._group.spawn_forever("names of the cluster", self._resolve)

    def stop(self) -> None:
        """Says goodbye. May switch, for half a second at most."""
        if self._mesh is None or self._is_leaving:
            return
        self._is_leaving = True
        self._state_file.stop()
        goodbye = self._mesh.goodbye()
        with suppress(TimeoutError), gevent.Timeout(0.5, TimeoutError()):
            for address in list(self._lines):
                with suppress(NoAnswer):
                    self._peers.notify(address, goodbye)

    def update(self, node: NodeRecord) -> None:
        """Tells the others."""
        assert self._mesh is not None
        self._mesh.change(node)
        self._broadcast(NodeNews(node))

    def claim(self, offer: OriginRecord, over: Epoch) -> Claimed | Held:
        """Asks all nodes that can be reached. May switch."""
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
            # Of an owner that has to be asked first.
            has_learned = answer.origin is not None and not proposal.knows_owner
            if has_learned or self.state.highest(offer.mount) > over or self._clock() >= deadline:
                break
            gevent.sleep(random.uniform(0.01, 0.05))
        return answer

    def publish(self, origin: OriginRecord) -> None:
        """Tells the others, if the mount is still ours."""
        held = self.state.origin(origin.mount)
        if held is not None and held.epoch == origin.epoch:
            self._own(origin)

    def release(self, mount: str, epoch: Epoch) -> None:
        """The others are told by `on_origin_changed`."""
        self.state.remove_origin(mount, epoch)

    def _own(self, origin: OriginRecord) -> None:
        if self.state.put_origin(origin):
            self._broadcast(OriginNews(origin))

    def on_node_changed(self, change: NodeChanged) -> None:
        """Gives a node that is dead a new line: after a long cut the kernel's next try to send is far off."""
        if change.after is not None and change.after.status is Status.DEAD:
            address = change.after.record.address
            self._peers.hang_up(address)
            self._lost(address)

    def on_origin_changed(self, change: OriginChanged) -> None:
        """Tells the others what this node gives up."""
        gone = self._mesh.gone(change) if self._mesh is not None else None
        if gone is not None:
            self._broadcast(gone)

    # -- lines

    def _greet(self, node: NodeRecord, addresses: list[str]) -> None:
        """Asks those that are there whether the name is free; nobody there is no reason not to start."""
        assert self._mesh is not None
        deadline = self._clock() + DUPLICATE_PATIENCE_S
        while True:
            answers = self._peers.call_all(addresses, self._mesh.hello())
            if not any(answer.is_duplicate for answer in answers.values()):
                for answer in answers.values():
                    self._mesh.on_answer(answer, self._clock())
                return
            if self._clock() >= deadline:
                raise DuplicateNode(f"another node of the cluster has the name {node.node!r} and is alive")
            gevent.sleep(TICK_S)

    def _reach(self, address: str) -> None:
        if address in self._lines or address in self._own_addresses:
            return
        self._lines[address] = Event()
        self._group.spawn_forever(f"line to {address}", lambda: self._run_line(address))

    def _run_line(self, address: str) -> None:
        wait, called = FIRST_RETRY_S, self._lines[address]
        is_wanted = True  # once, whoever told of it: who answers there is known then
        while is_wanted and address not in self._own_addresses and not self._is_leaving:
            begun = self._clock()
            try:
                self._talk(address)
            except NoAnswer as error:
                self._tell_trouble(address, str(error))
                if error.is_refused:
                    self._mesh_of().refused(address)
                if self._clock() - begun > LONGEST_RETRY_S:
                    # A line that was good is tried again at once: whether its node is gone has to be known.
                    wait = FIRST_RETRY_S
                wait = FIRST_RETRY_S if called.wait(wait * random.uniform(0.8, 1.2)) else min(2 * wait, LONGEST_RETRY_S)
                called.clear()
            is_wanted = self._is_wanted(address)
        self._lines.pop(address, None)

    def _talk(self, address: str) -> None:
        # What was said before is in the hello, what is said from now on is not.
        queue = self._open[address] = Queue(QUEUE)
        try:
            self._converse(address, queue)
        finally:
            del self._open[address]

    def _converse(self, address: str, queue: _Queue) -> None:
        mesh = self._mesh_of()
        answer = self._peers.call(address, mesh.hello())
        mesh.on_answer(answer, self._clock())
        other = answer.node
        if other.node == mesh.me.node:
            self._met_own_name(address, other)
            return
        if answer.is_duplicate:
            self._warn_duplicate(address)
        if self._troubles.pop(address, ""):
            log.info("cluster: the line to node %s at %s is there", other.node, address)
        for one in answer.known:
            self._reach(one)
        while not self._is_leaving:
            news = queue.get()
            if news is _LineEvent.BROKEN:
                raise NoAnswer("the line broke")
            if news is _LineEvent.ASKED:
                return
            self._peers.notify(address, news)

    def _tell_trouble(self, address: str, text: str) -> None:
        """Once, until something changes: a node that is gone is tried again for a minute, and one of the configuration
        for ever.
        """
        if self._troubles.get(address) != text:
            self._troubles[address] = text
            log.warning("cluster: no line to %s: %s", address, text)

    def _met_own_name(self, address: str, other: NodeRecord) -> None:
        if other.boot == self._mesh_of().me.boot:
            self._own_addresses.add(address)  # one of our own, by another name
        else:
            self._warn_duplicate(address)
            raise NoAnswer(f"{address} has this node's name")

    def _warn_duplicate(self, address: str) -> None:
        if self._duplicate != address:
            self._duplicate = address
            log.error("cluster: another node has this node's name, as %s says: give each node its own", address)

    def _is_wanted(self, address: str) -> bool:
        return address in self._cluster.peers or any(peer.record.address == address for peer in self.state.peers)

    def _broadcast(self, news: Notification) -> None:
        for address, queue in list(self._open.items()):
            if queue.full():
                log.warning("cluster: the node at %s takes no news, its line begins anew", address)
                self._peers.hang_up(address)
            else:
                queue.put_nowait(news)

    def on_link_lost(self, event: LinkLost) -> None:
        """Begins the line anew, and notes that its node may be gone."""
        self._lost(event.address)

    def _lost(self, address: str) -> None:
        if self._mesh is not None:
            self._mesh.lost(address)
        queue = self._open.get(address)
        if queue is not None and not queue.full():
            queue.put_nowait(_LineEvent.BROKEN)

    def _mesh_of(self) -> Mesh:
        assert self._mesh is not None
        return self._mesh

    def _tick(self) -> None:
        while True:
            sleep_until_tick(TICK_S)
            self._mesh_of().tick(self._clock())

    def _beat(self) -> None:
        while True:
            sleep_until_tick(BEAT_S)
            self._broadcast(self._mesh_of().beat())

    def _resolve(self) -> None:
        host, port = _name_and_port(self._cluster.dns, self._mesh_of().me.address)
        while True:
            try:
                for family, _, _, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                    del family
                    self._reach(join_address(str(where[0]), port))
            except OSError as error:
                log.debug("! %s has no addresses now: %s", host, error)
            gevent.sleep(RESOLVE_S)

    # -- what the others say

    def on_hello(self, hello: Hello) -> HelloAnswer:
        """Answers with all that this node knows, and has a line to the other one."""
        answer = self._mesh_of().on_hello(hello, self._clock())
        address = hello.node.address
        if not answer.is_duplicate:
            self._reach(address)
            if address in self._lines:
                self._lines[address].set()
        return answer

    def on_beat(self, beat: Beat) -> None:
        """Asks for a hello if the node has other mounts than we know. Raises LinkError if it has never said hello."""
        mesh = self._mesh_of()
        if not mesh.on_beat(beat, self._clock()):
            raise LinkError(f"a beat of {beat.node!r}, which has not said hello")
        if mesh.differs(beat):
            self._ask_again(beat.node)

    def on_node(self, news: NodeNews) -> None:
        """Takes another node's record."""
        self._mesh_of().on_node(news.node, self._clock())

    def on_origin(self, news: OriginNews) -> None:
        """Takes an origin; asks for a hello if it is over."""
        if not self._mesh_of().on_origin(news.origin, self._clock()):
            self._ask_again(news.origin.node)

    def on_again(self, wish: HelloAgain) -> None:
        """Says hello again to the node that asks for it."""
        self._queue(wish.node, _LineEvent.ASKED)

    def on_gone(self, gone: OriginGone) -> None:
        """Forgets an origin that was given up."""
        self._mesh_of().on_gone(gone.mount, gone.epoch)

    def on_bye(self, goodbye: Goodbye) -> None:
        """Forgets a node that stops."""
        self._mesh_of().on_bye(goodbye)

    def on_proposal(self, proposal: Proposal) -> Verdict:
        """Judges another node's claim."""
        return self._mesh_of().judge(proposal)

    def _ask_again(self, node: str) -> None:
        """It has other mounts than we know of, or one that is over: its hello tells us, and our answer tells it."""
        self._queue(node, HelloAgain(self._mesh_of().me.node))

    def _queue(self, node: str, news: Notification | _LineEvent) -> None:
        peer = self.state.peer(node)
        queue = self._open.get(peer.record.address) if peer is not None else None
        if queue is not None and not queue.full():
            queue.put_nowait(news)


def _name_and_port(dns: str, own_address: str) -> tuple[str, int]:
    """The name to ask for, and the port of the nodes: this node's own unless the name has one."""
    if dns.rpartition(":")[2].isdecimal() and ":" in dns:
        return split_address(dns)
    return dns, split_address(own_address)[1]
