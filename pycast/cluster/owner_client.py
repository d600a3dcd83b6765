"""The questions to the nodes that own mounts, and announcements to them without the registry."""

import logging
from dataclasses import dataclass, replace
from typing import TypeVar

from pycast.cluster.link.message_kinds import Question
from pycast.cluster.link.questions import Announce, IsAlive, Yield
from pycast.cluster.link.rpc import BadAnswer, NoAnswer, RpcClient
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.mirror.mirrors import Mirrors
from pycast.cluster.registry.cluster_state import Status
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.own_record import OwnRecord
from pycast.cluster.registry.records import OriginRecord
from pycast.cluster.registry.registry import Held, Registry
from pycast.net.group import Group
from pycast.stream.source import Source, SourceDescription

log = logging.getLogger(__name__)

# How long the owner of a mount may take to answer. An encoder waits for that before its mount is claimed.
ASK_S = 1.0

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class OwnerClient:
    """The client of the nodes that own mounts."""

    own: OwnRecord
    registry: Registry
    peers: RpcClient
    mirrors: Mirrors
    lineages: Lineages
    group: Group

    def publish(self, origin: OriginRecord, source: Source | None, *, is_live: bool) -> OriginRecord:
        """Tells the other nodes whether a mount of this one is live, and from which source. Returns the new record.
        Never switches.
        """
        origin = replace(origin, is_live=is_live)
        if source is not None:
            one = source.description
            origin = replace(origin, content_type=one.short_type, source_ip=one.ip, started=one.started)
        self.registry.publish(origin)
        if origin.is_provisional:
            self.announce(origin)
        return origin

    def release(self, owned: OriginRecord) -> None:
        """Gives up a mount that has closed."""
        self.registry.release(owned.mount, owned.epoch)
        self.lineages.forget(owned.mount)

    def announce(self, origin: OriginRecord) -> None:
        """Announces an origin to all known nodes, because the registry could not be told. Never switches."""
        for peer in self.registry.state.peers:
            if peer.record.node != self.own.now.node:
                self.group.spawn(f"announce {origin.mount}", self._notify, peer.record.address, origin)

    def on_announcement(self, announcement: Announce) -> None:
        """Takes another node's announcement, if that process is known."""
        origin = announcement.origin
        peer = self.registry.state.peer(origin.node)
        if peer is not None and peer.record.boot == origin.boot:
            self.registry.state.put_origin(origin)

    def claim(self, name: str, description: SourceDescription, over: Epoch) -> OriginRecord | None:
        """Claims a mount over the epoch that it follows. Returns this node's record, whose offset is set later (see
        `level`); None if another node was faster. May switch.
        """
        me = self.own.now
        offer = OriginRecord(
            mount=name,
            node=me.node,
            boot=me.boot,
            epoch=NO_EPOCH,
            base=0,
            is_live=True,
            content_type=description.short_type,
            source_ip=description.ip,
            started=description.started,
        )
        answer = self.registry.claim(offer, over)
        if isinstance(answer, Held):
            return None
        return replace(offer, epoch=answer.epoch, is_provisional=answer.is_provisional)

    def begin_epoch(self, origin: OriginRecord) -> None:
        """Adds the origin's epoch to the mount's lineage, from the origin's base on."""
        lineage = self.lineages.get(origin.mount)
        self.lineages.put(origin.mount, lineage.with_epoch(origin.epoch, origin.base))

    def is_alive_elsewhere(self, name: str) -> bool:
        """Whether another node has the mount's source and answers that it sends. May switch, for `ASK_S` at most."""
        origin = self.registry.state.origin(name)
        if origin is None or origin.node == self.own.now.node or not origin.is_live:
            return False
        answer = self._ask(origin.node, IsAlive(name), name)
        return answer is not None and answer.is_alive

    def ask_to_yield(self, name: str) -> None:
        """Asks the node that has the mount's source to take it off the air. May switch, for `ASK_S` at most."""
        origin = self.registry.state.origin(name)
        if origin is not None and origin.node != self.own.now.node:
            self._ask(origin.node, Yield(name), name)

    def _notify(self, address: str, origin: OriginRecord) -> None:
        try:
            self.peers.notify(address, Announce(origin))
        except NoAnswer as error:
            log.info("mount %s: could not be announced to the node at %s: %s", origin.mount, address, error)

    def _ask(self, node: str, question: Question[AnswerT], name: str) -> AnswerT | None:
        """Returns another node's answer; None if there is none. May switch."""
        state = self.registry.state
        peer = state.peer(node)
        if peer is None:
            return None
        try:
            return self.peers.call(peer.record.address, question, ASK_S)
        except BadAnswer as error:  # the node runs, so its status stays
            log.warning("mount %s: node %s, which has its source: %s", name, node, error)
            return None
        except NoAnswer as error:
            log.info("mount %s: node %s, which has its source, does not answer: %s", name, node, error)
            if peer.is_up:  # so that the claim and the steps after it do not wait for it again
                state.set_status(node, Status.SUSPECT)
            return None
