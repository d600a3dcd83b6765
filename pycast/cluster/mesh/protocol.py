"""The registry that needs nothing else to run: what nodes say to each other, and what follows. Pure.

Every node is the only writer of facts about itself, and says them to every other one over a line of its own: all of
them at the beginning (`hello`), then each change, and a beat every second. So there is nothing to lose when a node
dies, for its facts die with it, and nothing to merge. Lines are TCP: what was said arrives, in order, or the line
breaks and begins again with a hello.

Claims. Who wants a mount proposes an epoch, one higher than any it knows, to all nodes it can reach, and has it if none
objects. A node objects to a proposal that does not follow the highest owner it knows, to one lower than a proposal
that it made or agreed to before, and to one by a node that has heard of the owner's epoch but not of the owner (after a
cut, say), and so cannot have asked it. Two at the same time differ in the node's name, so the higher one wins on every
node. Who agrees to a higher one while its own is under way has lost: else the two would both win, each before it heard
of the other. An epoch names the process, not just the node: one that starts anew has forgotten which epochs it had.

In a network that is cut in two each part may have an owner; when it heals, the higher epoch holds and the other owner
steps down. Whoever had the higher one may be gone by then, so each hello is answered with what is over of what it said;
and a beat tells how many mounts its node has, so that it is asked for a hello where others are known. A claim by a node
that sees less than half of the others is provisional: at the same number it loses against one that is not.

Times are on this node's own monotonic clock; no two machines' clocks are ever compared.

Rejected: gossip with digests (a full mesh of a few dozen nodes costs less than explaining it); Raft (it stops where
half of the nodes are gone, and a radio must not).
"""

from collections.abc import Sequence
from dataclasses import replace

from pycast.cluster.link.questions import (
    Beat,
    EpochOver,
    Goodbye,
    Hello,
    HelloAnswer,
    OriginGone,
    Proposal,
    Verdict,
)
from pycast.cluster.registry.cluster_state import ClusterState, OriginChanged, Peer, Status
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import Claimed, Held

BEAT_S = 1.0
SUSPECT_S = 3.0
DEAD_S = 5.0

# A node that is dead for this long is forgotten, and with it what it said.
FORGET_S = 60.0


class Mesh:
    """This node's part in the mesh."""

    def __init__(self, me: NodeRecord, state: ClusterState, expected: int) -> None:
        """`expected`: how many nodes the configuration names, this one included."""
        self.me = me
        self._state = state
        self._expected = expected
        self._heard: dict[str, float] = {}
        self._promised: dict[str, Epoch] = {}
        state.put_node(me)

    # -- what this node says

    def hello(self) -> Hello:
        """Everything about this node."""
        return Hello(self.me, tuple(self._state.origins_of(self.me.node)))

    def beat(self) -> Beat:
        """That it is still there, and has so many mounts."""
        return Beat(self.me.node, self.me.boot, self._state.count_origins(self.me.node))

    def change(self, me: NodeRecord) -> None:
        """This node's record has changed."""
        self.me = me
        self._state.put_node(me)

    def goodbye(self) -> Goodbye:
        """That it stops."""
        return Goodbye(self.me.node, self.me.boot)

    def gone(self, change: OriginChanged) -> OriginGone | None:
        """What the others are told of an origin of ours that is given up, or over."""
        before = change.before
        if before is None or not self._is_ours(before):
            return None
        if change.after is not None and self._is_ours(change.after):
            return None
        return OriginGone(before.mount, before.epoch)

    # -- what the others say

    def on_hello(self, hello: Hello, now: float) -> HelloAnswer:
        """Another node's everything. The answer has ours, and whom we know."""
        node, origins = hello.node, hello.origins
        is_duplicate = self._is_duplicate(node)
        over: tuple[EpochOver, ...] = ()
        if node.node != self.me.node and not is_duplicate:
            self._put(node, now)
            said = {origin.mount: origin.epoch for origin in origins if origin.node == node.node}
            for held in list(self._state.origins_of(node.node)):
                if said.get(held.mount) != held.epoch:
                    self._state.remove_origin(held.mount, held.epoch)
            refused = [origin.mount for origin in origins if not self.on_origin(origin, now)]
            over = tuple(EpochOver(mount, self._state.highest(mount)) for mount in refused)
        ours = self.hello()
        known = tuple(peer.record.address for peer in self._state.peers if peer.status is not Status.DEAD)
        return HelloAnswer(ours.node, ours.origins, is_duplicate, known, over)

    def on_beat(self, beat: Beat, now: float) -> bool:
        """Whether the beat is of a node that we know; if not it has to say hello again."""
        peer = self._state.peer(beat.node)
        if peer is None or peer.record.boot != beat.boot:
            return False
        self._heard[peer.record.node] = now
        if not peer.is_up:
            self._state.set_status(peer.record.node, Status.UP)
        return True

    def differs(self, beat: Beat) -> bool:
        """Whether the node of this beat has other mounts than we know of: one of them is over, or it has given one up
        before we were told that it has it.
        """
        return self._state.count_origins(beat.node) != beat.origins

    def on_node(self, node: NodeRecord, now: float) -> None:
        """Another node's record has changed."""
        if self._is_known(node.node, node.boot):
            self._put(node, now)

    def on_origin(self, origin: OriginRecord, now: float) -> bool:
        """Another node has a mount's source, or something about that changed. False if a higher epoch has been seen."""
        if not self._is_known(origin.node, origin.boot):
            return True
        self._heard[origin.node] = now
        return self._state.put_origin(origin)

    def on_gone(self, mount: str, epoch: Epoch) -> None:
        """An owner has given its mount up."""
        self._state.remove_origin(mount, epoch)

    def on_bye(self, goodbye: Goodbye) -> None:
        """A node stops as its operator wants: it is gone at once, and its mounts with it."""
        if self._is_known(goodbye.node, goodbye.boot):
            self._heard.pop(goodbye.node, None)
            self._state.remove_node(goodbye.node)

    # -- who is there

    def expect_all(self, now: float) -> None:
        """The nodes that this one remembers have as long to be heard of as any that is silent."""
        for peer in self._state.peers:
            self._heard.setdefault(peer.record.node, now)

    def tick(self, now: float) -> None:
        """Looks who has not been heard of for too long."""
        for peer in self._state.peers:
            name = peer.record.node
            if name == self.me.node:
                continue
            silent = now - self._heard.get(name, now)
            if silent >= FORGET_S:
                self._heard.pop(name, None)
                self._state.remove_node(name)
            elif silent >= DEAD_S:
                self._state.set_status(name, Status.DEAD)
            elif silent >= SUSPECT_S and peer.status is Status.UP:
                self._state.set_status(name, Status.SUSPECT)

    def lost(self, address: str) -> None:
        """The line to the node at `address` broke."""
        for peer in self._at(address):
            if peer.status is Status.UP:
                self._state.set_status(peer.record.node, Status.SUSPECT)

    def refused(self, address: str) -> None:
        """Nothing listens at `address`: its process is gone."""
        for peer in self._at(address):
            self._state.set_status(peer.record.node, Status.DEAD)

    def on_answer(self, answer: HelloAnswer, now: float) -> None:
        """Another node's answer to our hello: a node that starts knows all mounts as soon as it is answered."""
        node = answer.node
        if node.node != self.me.node and not answer.is_duplicate:
            self._put(node, now)
            for origin in answer.origins:
                # What that node says on its own line may be newer than its answer.
                if origin.epoch > self._state.highest(origin.mount):
                    self.on_origin(origin, now)
            for one in answer.over:
                self._state.see(one.mount, one.highest)

    @property
    def sees_half(self) -> bool:
        """Whether at least half of the nodes are there, this one included."""
        peers = self._state.peers
        up = sum(1 for peer in peers if peer.is_up)
        return 2 * up >= max(self._expected, len(peers))

    # -- claims

    def propose(self, mount: str, over: Epoch) -> Proposal:
        """A claim to be put to the others; `decide` takes what they say."""
        known = max(self._state.highest(mount), self._promised.get(mount, NO_EPOCH))
        name = f"{self.me.node}/{self.me.boot}"
        epoch = Epoch(known.generation, known.number + 1, int(self.sees_half), name)
        self._promised[mount] = epoch
        return Proposal(mount, epoch, over, self._state.origin(mount) is not None)

    def judge(self, proposal: Proposal) -> Verdict:
        """What this node says to another one's claim."""
        highest, origin = self._state.highest(proposal.mount), self._state.origin(proposal.mount)
        promised = self._promised.get(proposal.mount, NO_EPOCH)
        is_blind = origin is not None and not proposal.knows_owner and self._is_well(origin, proposal)
        if highest > proposal.over or is_blind:
            return Verdict(objects=True, highest=highest, origin=origin)
        if promised > proposal.epoch:
            return Verdict(objects=True, promised=promised)
        self._promised[proposal.mount] = proposal.epoch
        return Verdict(objects=False)

    def decide(self, proposal: Proposal, verdicts: Sequence[Verdict]) -> Claimed | Held:
        """What came of a claim, with the verdicts of all who answered in time."""
        for verdict in verdicts:
            if verdict.promised is not None:
                known = self._promised.get(proposal.mount, NO_EPOCH)
                self._promised[proposal.mount] = max(verdict.promised, known)
            origin = verdict.origin
            if origin is not None and self._is_known(origin.node, origin.boot):
                self._state.put_origin(origin)
            if verdict.highest is not None:
                self._state.see(proposal.mount, verdict.highest)
        highest = self._state.highest(proposal.mount)
        is_lost = highest >= proposal.epoch or self._promised[proposal.mount] > proposal.epoch
        if is_lost or any(verdict.objects for verdict in verdicts):
            return Held(highest, self._state.origin(proposal.mount))
        return Claimed(proposal.epoch, is_provisional=not proposal.epoch.rank)

    # -- the rest

    def _put(self, node: NodeRecord, now: float) -> None:
        before = self._state.peer(node.node)
        if before is not None and before.record.boot != node.boot:
            # Another process: what the former one said is over.
            self._state.remove_node(node.node)
        self._heard[node.node] = now
        self._state.put_node(node)

    def _is_well(self, origin: OriginRecord, proposal: Proposal) -> bool:
        """Whether the mount has an owner that is there and sends, other than who proposes to have it."""
        is_other = f"{origin.node}/{origin.boot}" != proposal.epoch.node
        return is_other and origin.is_live and self._state.is_up(origin.node)

    def _is_ours(self, origin: OriginRecord) -> bool:
        return (origin.node, origin.boot) == (self.me.node, self.me.boot)

    def _is_known(self, name: str, boot: str) -> bool:
        """Whether that very process of another node has said hello: what a former one said may come after it."""
        peer = self._state.peer(name)
        return name != self.me.node and peer is not None and peer.record.boot == boot

    def _is_duplicate(self, node: NodeRecord) -> bool:
        """Whether another living process has this name. One at the same address took over from a dead one."""
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
    """The record of a mount that was claimed."""
    return replace(offer, epoch=claimed.epoch, is_provisional=claimed.is_provisional)
