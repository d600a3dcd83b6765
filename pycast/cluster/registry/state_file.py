"""The last known state of the cluster, on disk: a node that starts while etcd, the name server, or the nodes that its
configuration names are away begins with it.

It is written at most every two seconds, beside its place and then moved there: whoever reads it finds the old one or
the new one whole. A file that cannot be read or written costs a line in the log, and nothing else.
"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gevent

from pycast.cluster.codec import decode, encode
from pycast.cluster.registry.cluster_state import ClusterState, NodeChanged, OriginChanged, Status
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.net.group import Group

log = logging.getLogger(__name__)

INTERVAL_S = 2.0


@dataclass(frozen=True, slots=True)
class Position:
    """How far the registry was. Zeros where it has nothing of the kind."""

    generation: int = 0
    revision: int = 0


class StateFile:
    """Follows a table into a file. With an empty path it does nothing."""

    def __init__(self, path: str, state: ClusterState, group: Group) -> None:
        self._path = Path(path) if path else None
        self._state = state
        self._group = group
        self._position: Callable[[], Position] = Position
        self._is_running = False
        self._is_planned = False
        self._is_broken = False

    def start(self, position: Callable[[], Position] = Position) -> None:
        """Writes each change of the cluster's state from now on, with how far the registry is by then."""
        self._position = position
        self._is_running = self._path is not None

    def stop(self) -> None:
        """Writes what is not written yet, and no more after that."""
        if not self._is_running:
            return
        self._is_running = False
        if self._is_planned:
            self._is_planned = False
            self._write(self._text())

    def load(self, me: str) -> Position:
        """Puts what the file has of others than `me` into the table, nodes as suspect: they may be gone by now.

        Gives how far the registry was.
        """
        if self._path is None:
            return Position()
        try:
            data = json.loads(self._path.read_bytes())
            nodes = [decode(NodeRecord, one) for one in data["nodes"]]
            origins = [decode(OriginRecord, one) for one in data["origins"]]
            position = Position(int(data["generation"]), int(data["revision"]))
        except FileNotFoundError:
            return Position()
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("cannot read the state of the cluster from %s: %s", self._path, error)
            return Position()
        for node in nodes:
            if node.node != me:
                self._state.put_node(node, Status.SUSPECT)
        for origin in origins:
            self._state.see(origin.mount, origin.epoch)
            if origin.node != me:
                self._state.put_origin(origin)
        return position

    def on_changed(self, change: NodeChanged | OriginChanged) -> None:
        """Plans to write the state, if it is not planned yet."""
        if self._is_running and not self._is_planned:
            self._is_planned = True
            self._group.spawn_later(INTERVAL_S, "cluster state", self._save)

    def _save(self) -> None:
        if not self._is_planned:
            return  # stopped, and written then
        self._is_planned = False
        # In a thread: a disk may take its time.
        gevent.get_hub().threadpool.apply(self._write, (self._text(),))

    def _text(self) -> str:
        position = self._position()
        state = {
            "generation": position.generation,
            "revision": position.revision,
            "nodes": [encode(peer.record) for peer in self._state.peers],
            "origins": [encode(origin) for origin in self._state.origins],
        }
        return json.dumps(state, indent=1)

    def _write(self, text: str) -> None:
        assert self._path is not None
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(self._path)
            self._is_broken = False
        except OSError as error:
            if not self._is_broken:
                log.warning("cannot write the state of the cluster: %s", error)
            self._is_broken = True
