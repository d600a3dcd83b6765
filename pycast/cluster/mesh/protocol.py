"""The protocol of the mesh, the registry that needs no other server: its messages and what follows from them. Pure.

Each node is the only writer of facts about itself. It sends them to every other node over a line of its own: all of
them at the beginning (`hello`), then each change, and a beat every second. So no fact is lost when a node dies, because
its facts end with it, and there is nothing to merge. Lines are TCP: a message arrives, in order, or the line breaks and
begins again with a hello.

Claims. A node that wants a mount proposes an epoch, higher than any it knows, to all nodes it can reach. It has the
mount if none objects. Three rules decide:

1. `judge`. A node objects to a proposal that does not follow the highest owner it knows; to one that is lower than a
   proposal it has made or agreed to before; and to one by a node that knows the owner's epoch but not the owner (after
   a partition, for example), because that node cannot have asked the owner whether it is alive.
2. `decide`. A node that agrees to a higher proposal while its own is under way has lost. Otherwise both could win, each
   before it learned of the other. Two proposals at the same time differ in the node's name, so that every node prefers
   the same one.
3. `on_hello`. Each part of a partitioned network may have an owner. When it heals the higher epoch is valid, and the
   other owner gives up. The node with the higher epoch may be gone by then. So the answer to a hello lists the mounts
   of that hello whose epoch is over; and a beat carries the number of the node's mounts, so that a node which knows
   others asks for a hello.

An epoch names the process, not only the node, because a process that was restarted does not know which epochs it had.
A claim by a node that sees less than half of the nodes is provisional: of two with the same number it loses against one
that is not.

Times are on this node's own monotonic clock; clocks of two machines are never compared.

Rejected: gossip with digests (a full mesh of a few dozen nodes costs less than the explanation), and Raft (it stops
when half of the nodes are gone, and a radio must not).
"""

from collections.abc import Sequence
from dataclasses import replace

from pycast.cluster.link.questions import Beat, EpochOver, Goodbye, Hello, HelloAnswer, OriginGone, Proposal, Verdict
from pycast.cluster.registry.cluster_state import ClusterState, OriginChanged, Peer, Status
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import Claimed, Held

BEAT_S = 1.0

# After this long without a message a node is suspect, then dead.
SUSPECT_S = 3.0
DEAD_S = 5.0

# After this long without a message a node is removed, with its origins.
FORGET_S = 60.0

# Of so many nodes it is remembered that they have said goodbye.
MOST_LEFT = 1000


class Mesh:
    """This node's part in the mesh."""

    def __init__(self, me: NodeRecord, state: ClusterState, expected: int) -> None:
        """`expected` is the number of nodes in the configuration, this one included."""
        self.me = me
        self._state = state
        self._expected = expected
        self._last_seen: dict[str, float] = {}
        self._promised: dict[str, Epoch] = {}
        self._left: dict[str, str] = {}
        """The processes that have said goodbye, by node."""
        state.put_node(me)

    # -- messages of this node

    def hello(self) -> Hello:
        """Returns this node's record and all its origins."""
        return Hello(self.me, tuple(self._state.origins_of(self.me.node)))

    def beat(self) -> Beat:
        """Returns a sign of life with the number of this node's mounts."""
        return Beat(self.me.node, self.me.boot, self._state.count_origins(self.me.node))

    def change(self, me: NodeRecord) -> None:
        self.me = me
        self._state.put_node(me)

    def goodbye(self) -> Goodbye:
        """Returns the message that this node stops."""
        return Goodbye(self.me.node, self.me.boot)

    def gone(self, change: OriginChanged) -> OriginGone | None:
        """Returns the message that an origin of this node is given up or over; None if the change is another one."""
        before = change.before
        if before is None or not self._is_ours(before):
            return None
        if change.after is not None and self._is_ours(change.after):
            return None
        return OriginGone(before.mount, before.epoch)

    # -- messages of other nodes

    def on_hello(self, hello: Hello, now: float) -> HelloAnswer:
        """Takes everything about another node. Returns the same about this one, the addresses of the nodes it knows,
        and the epochs of the hello that are over.
        """
        node, origins = hello.node, hello.origins
        is_duplicate = self._is_duplicate(node)
        over: tuple[EpochOver, ...] = ()
        # A second process of the same name changes nothing, nor one that has said goodbye.
        if node.node != self.me.node and not is_duplicate and not self._has_left(node):
            self._put(node, now)
            # The hello is complete: origins of this node that it does not list are given up.
            listed = {origin.mount: origin.epoch for origin in origins if origin.node == node.node}
            for held in list(self._state.origins_of(node.node)):
                if listed.get(held.mount) != held.epoch:
                    self._state.remove_origin(held.mount, held.epoch)
            # Take the others; the sender has to learn of those for which a higher epoch was seen.
            refused = [origin.mount for origin in origins if not self.on_origin(origin, now)]
            over = tuple(EpochOver(mount, self._state.highest(mount)) for mount in refused)
        # The answer is a hello too, so that one exchange makes each node known to the other.
        ours = self.hello()
        known = tuple(peer.record.address for peer in self._state.peers if peer.status is not Status.DEAD)
        return HelloAnswer(ours.node, ours.origins, is_duplicate, known, over)

    def on_beat(self, beat: Beat, now: float) -> bool:
        """Notes a sign of life. Returns whether its process is known; if not it has to send a hello."""
        peer = self._state.peer(beat.node)
        if peer is None or peer.record.boot != beat.boot:
            return False
        self._last_seen[peer.record.node] = now
        if not peer.is_up:
            self._state.set_status(peer.record.node, Status.UP)
        return True

    def differs(self, beat: Beat) -> bool:
        """Whether the beat counts another number of mounts than are known here. Then one of them is over, or it was
        given up before this node learned of it.
        """
        return self._state.count_origins(beat.node) != beat.origins

    def on_node(self, node: NodeRecord, now: float) -> None:
        """Takes the changed record of another node."""
        if self._is_known(node.node, node.boot):
            self._put(node, now)

    def on_origin(self, origin: OriginRecord, now: float) -> bool:
        """Takes a new or changed origin of another node. Returns False if a higher epoch has been seen."""
        if not self._is_known(origin.node, origin.boot):
            return True
        self._last_seen[origin.node] = now
        return self._state.put_origin(origin)

    def on_gone(self, mount: str, epoch: Epoch) -> None:
        """Removes an origin that was given up."""
        self._state.remove_origin(mount, epoch)

    def on_bye(self, goodbye: Goodbye) -> None:
        """Removes a node that stops, and its mounts, at once. What still arrives of that process is not taken: it
        answers until it has stopped, and another line may be slower.
        """
        self._left[goodbye.node] = goodbye.boot
        while len(self._left) > MOST_LEFT:
            del self._left[next(iter(self._left))]
        if self._is_known(goodbye.node, goodbye.boot):
            self._last_seen.pop(goodbye.node, None)
            self._state.remove_node(goodbye.node)

    # -- which nodes answer

    def expect_all(self, now: float) -> None:
        """Counts the silence of the nodes from the state file from now on."""
        for peer in self._state.peers:
            self._last_seen.setdefault(peer.record.node, now)

    def tick(self, now: float) -> None:
        """Sets the status of nodes that have been silent for too long, and removes those that are dead for long."""
        for peer in self._state.peers:
            name = peer.record.node
            if name == self.me.node:
                continue
            silent = now - self._last_seen.get(name, now)
            if silent >= FORGET_S:
                self._last_seen.pop(name, None)
                self._state.remove_node(name)
            elif silent >= DEAD_S:
                self._state.set_status(name, Status.DEAD)
            elif silent >= SUSPECT_S and peer.status is Status.UP:
                self._state.set_status(name, Status.SUSPECT)

    def lost(self, address: str) -> None:
        """Notes that the line to the node at `address` broke: the node is suspect."""
        for peer in self._at(address):
            if peer.status is Status.UP:
                self._state.set_status(peer.record.node, Status.SUSPECT)

    def refused(self, address: str) -> None:
        """Notes that nothing listens at `address`: the node is dead."""
        for peer in self._at(address):
            self._state.set_status(peer.record.node, Status.DEAD)

    def on_answer(self, answer: HelloAnswer, now: float) -> None:
        """Takes the answer to our hello: a node that starts knows all mounts when all have answered."""
        node = answer.node
        if node.node != self.me.node and not answer.is_duplicate and not self._has_left(node):
            self._put(node, now)
            for origin in answer.origins:
                # A message on that node's own line may be newer than this answer.
                if origin.epoch > self._state.highest(origin.mount):
                    self.on_origin(origin, now)
            for one in answer.over:
                self._state.see(one.mount, one.highest)

    @property
    def sees_half(self) -> bool:
        """Whether at least half of the nodes answer, this one included."""
        peers = self._state.peers
        up = sum(1 for peer in peers if peer.is_up)
        return 2 * up >= max(self._expected, len(peers))

    # -- claims

    def propose(self, mount: str, over: Epoch) -> Proposal:
        """Returns a claim to send to the other nodes; `decide` takes their verdicts."""
        # Above every owner and every proposal that this node knows.
        known = max(self._state.highest(mount), self._promised.get(mount, NO_EPOCH))
        name = f"{self.me.node}/{self.me.boot}"
        epoch = Epoch(known.generation, known.number + 1, int(self.sees_half), name)
        self._promised[mount] = epoch
        return Proposal(mount, epoch, over, self._state.origin(mount) is not None)

    def judge(self, proposal: Proposal) -> Verdict:
        """Returns this node's verdict on another node's claim: whether it objects, and why."""
        highest, origin = self._state.highest(proposal.mount), self._state.origin(proposal.mount)
        promised = self._promised.get(proposal.mount, NO_EPOCH)
        # It follows an owner that is no longer the highest, or one that it cannot have asked: report the owner.
        is_blind = origin is not None and not proposal.knows_owner and self._has_living_owner(origin, proposal)
        if highest > proposal.over or is_blind:
            return Verdict(objects=True, highest=highest, origin=origin)
        # A higher proposal was made or agreed to: report it, so that the next try is above it.
        if promised > proposal.epoch:
            return Verdict(objects=True, promised=promised)
        # Agree, and so refuse every lower proposal from now on. This node's own, if one is under way, has lost.
        self._promised[proposal.mount] = proposal.epoch
        return Verdict(objects=False)

    def decide(self, proposal: Proposal, verdicts: Sequence[Verdict]) -> Claimed | Held:
        """Returns the result of a claim from the verdicts that came in time. A node that did not answer has no vote."""
        # Learn from every verdict, whatever the result: the highest promise, the owner, its epoch.
        for verdict in verdicts:
            if verdict.promised is not None:
                known = self._promised.get(proposal.mount, NO_EPOCH)
                self._promised[proposal.mount] = max(verdict.promised, known)
            origin = verdict.origin
            if origin is not None and self._is_known(origin.node, origin.boot):
                self._state.put_origin(origin)
            if verdict.highest is not None:
                self._state.see(proposal.mount, verdict.highest)
        # Lost, if meanwhile another owner was seen or a higher proposal agreed to, or if any node objects.
        highest = self._state.highest(proposal.mount)
        is_lost = highest >= proposal.epoch or self._promised[proposal.mount] > proposal.epoch
        if is_lost or any(verdict.objects for verdict in verdicts):
            return Held(highest, self._state.origin(proposal.mount))
        # The rank of the epoch is 1 if half of the nodes were seen when it was proposed.
        return Claimed(proposal.epoch, is_provisional=not proposal.epoch.rank)

    # -- the rest

    def _put(self, node: NodeRecord, now: float) -> None:
        before = self._state.peer(node.node)
        if before is not None and before.record.boot != node.boot:
            # Another process of the node: what the former one announced is over.
            self._state.remove_node(node.node)
        self._last_seen[node.node] = now
        self._state.put_node(node)

    def _has_living_owner(self, origin: OriginRecord, proposal: Proposal) -> bool:
        """Whether the mount has a live owner that answers, other than the node that proposes."""
        is_other = f"{origin.node}/{origin.boot}" != proposal.epoch.node
        return is_other and origin.is_live and self._state.is_up(origin.node)

    def _is_ours(self, origin: OriginRecord) -> bool:
        return (origin.node, origin.boot) == (self.me.node, self.me.boot)

    def _is_known(self, name: str, boot: str) -> bool:
        """Whether this process of another node has sent a hello: messages of a former one may come after it."""
        peer = self._state.peer(name)
        return name != self.me.node and peer is not None and peer.record.boot == boot

    def _has_left(self, node: NodeRecord) -> bool:
        return self._left.get(node.node) == node.boot

    def _is_duplicate(self, node: NodeRecord) -> bool:
        """Whether another living process has this name. One at the same address has replaced a dead one."""
        if node.node == self.me.node:
            return node.boot != self.me.boot
        known = self._state.peer(node.node)
        return (
            known is not None
            and known.is_up
            and known.record.boot != node.boot
            and known.record.address != node.address
        )

    def _at(self, address: str) -> list[Peer]:
        others = (peer for peer in self._state.peers if peer.record.node != self.me.node)
        return [peer for peer in others if peer.record.address == address]


def with_epoch(offer: OriginRecord, claimed: Claimed) -> OriginRecord:
    """Returns the record of a mount that was claimed."""
    return replace(offer, epoch=claimed.epoch, is_provisional=claimed.is_provisional)
