"""The driver of the registry in etcd, with the methods of `registry.py`. Its work between `start` and `stop` is in
`session.py`.
"""

import logging
from collections.abc import Callable
from random import Random

import gevent

from pycast.cluster.etcd.cache import Cache
from pycast.cluster.etcd.client import EtcdClient, EtcdError, EtcdUnreachable
from pycast.cluster.etcd.etcd_records import Keys
from pycast.cluster.etcd.probes import LivenessProbes
from pycast.cluster.etcd.session import LEASE_S, Session
from pycast.cluster.registry.cluster_state import ClusterState, OriginChanged
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import CALL_S, Claimed, DuplicateNode, Held
from pycast.cluster.registry.state_file import StateFile
from pycast.config.schema import ClusterSection
from pycast.net.group import Group

log = logging.getLogger(__name__)

STOP_S = 0.8


class EtcdRegistry:
    """The registry of `cluster.registry = "etcd"`. `answers` asks a node directly whether it is alive: it may switch,
    and does not raise.
    """

    def __init__(
        self,
        settings: ClusterSection,
        state: ClusterState,
        state_file: StateFile,
        group: Group,
        answers: Callable[[NodeRecord], bool],
        clock: Callable[[], float],
        rng: Random,
        lease_s: int = LEASE_S,
    ) -> None:
        self.state = state
        self._state_file = state_file
        self._settings = settings
        self._group = group
        self._clock = clock
        self._rng = rng
        self._lease_s = lease_s
        self._probes = LivenessProbes(self.state, group, answers, clock)
        self._running: Session | None = None

    @property
    def is_reachable(self) -> bool:
        """Whether etcd answers and this node is registered there."""
        return self._running is not None and self._session.is_up

    def start(self, node: NodeRecord) -> None:
        """Registers this node, and goes on without etcd if it does not answer within CALL_S. Raises DuplicateNode. May
        switch.
        """
        assert self._running is None, "started twice"
        keys = Keys(self._settings.name)
        client = EtcdClient(self._settings.etcd, self._clock, self._settings.tls_ca)
        cache = Cache(keys, node, self.state, self._probes)
        session = Session(client, keys, node, self._group, cache, self._probes, self._clock, self._rng, self._lease_s)
        cache.expect(self._state_file.load(node.node))
        self.state.put_node(node)
        try:
            with gevent.Timeout(CALL_S, EtcdUnreachable(f"not joined within {CALL_S} s")):
                session.join()
        except EtcdError as error:
            session.failed(error)
        except DuplicateNode:
            self._probes.cancel_all()
            client.close()
            raise
        self._state_file.start(lambda: cache.position)
        session.start()
        self._running = session

    def stop(self) -> None:
        """Removes this node and its origins from etcd. May switch, for STOP_S and a second."""
        if self._running is None:
            return
        self._running.stop(STOP_S)
        self._state_file.stop()
        self._running = None

    def update(self, node: NodeRecord) -> None:
        """Takes this node's record, to be written. Never switches."""
        self.state.put_node(node)
        self._session.update(node)

    def claim(self, offer: OriginRecord, over: Epoch) -> Claimed | Held:
        """Claims a mount, provisionally if etcd does not answer. May switch, for CALL_S at most."""
        session, mount = self._session, offer.mount
        highest = self.state.highest(mount)
        if highest > over:
            return Held(highest, self.state.origin(mount))
        if session.is_up and over.generation <= session.cache.meta.generation:
            try:
                return session.claims.claim(offer, over, self._clock)
            except EtcdError as error:
                log.info("the claim of %s is provisional: %s", mount, error)
                session.failed(error)
        highest = self.state.highest(mount)
        if highest > over:
            return Held(highest, self.state.origin(mount))
        return session.claims.claim_provisionally(offer, over)

    def publish(self, origin: OriginRecord) -> None:
        """Plans to write a changed origin. Never switches."""
        self._session.claims.publish(origin)

    def release(self, mount: str, epoch: Epoch) -> None:
        """Gives a mount up, and plans to delete its key. Never switches."""
        self._session.claims.release(mount, epoch)

    def on_origin_changed(self, change: OriginChanged) -> None:
        """Gives up a mount of which a higher epoch was seen. Never switches."""
        if self._running is not None:
            self._running.claims.on_highest(change.mount)

    @property
    def _session(self) -> Session:
        assert self._running is not None, "not started"
        return self._running
