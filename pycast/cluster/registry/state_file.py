"""The last known state of the cluster, on disk. A node reads it at its start, in case etcd, the name server or the
nodes in its configuration do not answer.

The file is written at most every two seconds (`INTERVAL_S`) and once more at the stop: to another file beside it, which
is then renamed. So a reader finds either the old file or the new one, never a part. A file that cannot be read or
written is logged and has no other effect.
"""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import gevent

from pycast.cluster.codec import decode, encode
from pycast.cluster.registry.cluster_state import ClusterState, NodeChanged, OriginChanged, Status
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.disk.calls import DiskStalled, off_hub
from pycast.disk.whole_file import replace_file
from pycast.net.group import Group

log = logging.getLogger(__name__)

INTERVAL_S = 2.0

# A stop does not wait longer for a disk that stalls.
STOP_S = 1.0


@dataclass(frozen=True, slots=True)
class Position:
    """The registry's generation and revision. Both are 0 in a mesh, which has neither."""

    generation: int = 0
    revision: int = 0


class StateFile:
    """The writer and reader of the file. With an empty path it does nothing."""

    def __init__(self, path: str, state: ClusterState, group: Group) -> None:
        self._path = Path(path) if path else None
        self._state = state
        self._group = group
        self._position: Callable[[], Position] = Position
        self._is_running = False
        self._is_planned = False
        self._is_writing = False
        self._is_broken = False

    def start(self, position: Callable[[], Position] = Position) -> None:
        """Begins to write each change of the cluster's state, with the registry's position at that time."""
        self._position = position
        self._is_running = self._path is not None

    def stop(self) -> None:
        """Writes a change that is not written yet, for which it waits at most `STOP_S`, and ends. May switch."""
        if not self._is_running:
            return
        self._is_running = False
        with suppress(DiskStalled), gevent.Timeout(STOP_S, DiskStalled()):
            self._save()

    def load(self, me: str) -> Position:
        """Puts the nodes and origins in the file, except those of `me`, into the cluster's state. The nodes are
        suspect: they may be gone by now. Returns the registry's position when the file was written.
        """
        if self._path is None:
            return Position()
        try:
            data = json.loads(self._path.read_bytes())  # at the start, when nobody is served yet
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
        """Schedules a write of the file, if none is scheduled yet."""
        if self._is_running and not self._is_planned:
            self._is_planned = True
            self._group.spawn_later(INTERVAL_S, "cluster state", self._save)

    def _save(self) -> None:
        if not self._is_planned:
            return  # `stop` has written it
        if self._is_writing:  # the disk stalls; one thread waits for it, and no more
            self._group.spawn_later(INTERVAL_S, "cluster state", self._save)
            return
        self._is_planned = False
        try:
            off_hub(self._write, self._text().encode())
            self._is_broken = False
        except (OSError, DiskStalled) as error:
            if not self._is_broken:
                log.warning("cannot write the state of the cluster to %s: %s", self._path, error)
            self._is_broken = True

    def _text(self) -> str:
        position = self._position()
        state = {
            "generation": position.generation,
            "revision": position.revision,
            "nodes": [encode(peer.record) for peer in self._state.peers],
            "origins": [encode(origin) for origin in self._state.origins],
        }
        return json.dumps(state, indent=1)

    def _write(self, data: bytes) -> None:
        """In a thread."""
        assert self._path is not None
        self._is_writing = True
        try:
            replace_file(self._path, data)
        finally:
            self._is_writing = False
