"""What an admin asks or orders, carried out on all nodes of the cluster: `node_control.py` on each of them.

A node that does not answer within `ASK_S` is left out, with a line in the log. Statistics are asked for by every page
that polls, so an answer holds for `FRESH_S`.
"""

import logging
import time
from collections.abc import Iterator
from typing import cast

from gevent.event import AsyncResult
from pydantic import TypeAdapter, ValidationError

from pycast.cluster.link.rpc import Handler, Message
from pycast.cluster.member import ClusterMember
from pycast.control.node_control import NodeControl
from pycast.errors import Refused
from pycast.stats.merge import merge
from pycast.stats.snapshot import ListenerSnapshot, NodeSnapshot

log = logging.getLogger(__name__)

ASK_S = 1.0

# Pages poll every few seconds: not each of a hundred viewers has to reach all nodes.
FRESH_S = 1.0

_SNAPSHOT = TypeAdapter(NodeSnapshot)
_LISTENERS = TypeAdapter(list[ListenerSnapshot])


class ClusterControl:
    """The cluster as one server."""

    def __init__(self, local: NodeControl, cluster: ClusterMember) -> None:
        self._local = local
        self._cluster = cluster
        self._asked_at = 0.0
        self._snapshot: AsyncResult[NodeSnapshot] | None = None
        self.handlers: dict[str, Handler] = {
            "site.snapshot": lambda message: {"snapshot": _SNAPSHOT.dump_python(local.snapshot(), mode="json")},
            "site.listeners": self._answer_listeners,
            "site.kill": lambda message: {"done": local.kill(str(message["mount"]), int(message["id"]))},
            "site.kill_source": lambda message: {"done": local.kill_source(str(message["mount"]))},
            "site.title": self._answer_title,
            "site.move": self._answer_move,
        }
        """What other nodes ask and order of this one."""

    # -- questions

    def snapshot(self) -> NodeSnapshot:
        """All nodes as one server. May switch."""
        now = time.monotonic()
        if self._snapshot is None or now - self._asked_at >= FRESH_S:
            self._asked_at, self._snapshot = now, AsyncResult()
            try:
                self._snapshot.set(merge(self._local.snapshot(), list(self._snapshots())))
            except BaseException:
                # Who waits for it makes do with what is here.
                self._snapshot.set(self._local.snapshot())
                raise
        return cast(NodeSnapshot, self._snapshot.get())

    def knows(self, mount: str) -> bool:
        """Whether a node has the mount."""
        return self._local.knows(mount) or self._cluster.registry.state.origin(mount) is not None

    def listeners(self, mount: str) -> list[ListenerSnapshot]:
        """The mount's listeners on all nodes. May switch."""
        found = self._local.listeners(mount)
        for answer in self._ask_all("site.listeners", {"mount": mount}):
            try:
                found += _LISTENERS.validate_python(answer.get("listeners"))
            except ValidationError as error:
                log.warning("another node's list of listeners makes no sense: %s", error)
        return found

    # -- orders

    def kill(self, mount: str, id: int) -> bool:
        """Ends a listener, wherever it is. Whether it was there. May switch."""
        return self._local.kill(mount, id) or self._any("done", "site.kill", {"mount": mount, "id": id})

    def kill_source(self, mount: str) -> bool:
        """Ends a mount's source, wherever it is. Whether there was one. May switch."""
        return self._local.kill_source(mount) or self._any("done", "site.kill_source", {"mount": mount})

    def set_title(self, mount: str, artist: str, title: str, url: str) -> bool:
        """Sets what plays, on the node that has the source. Whether the stream takes titles. May switch."""
        if self._local.has_source(mount):
            return self._local.set_title(mount, artist, title, url)
        return self._any("done", "site.title", {"mount": mount, "artist": artist, "title": title, "url": url})

    def move(self, mount: str, to: str) -> int:
        """Moves a mount's listeners to another mount, on all nodes. How many. Raises Refused. May switch."""
        moved = self._local.move(mount, to)
        return moved + sum(int(one.get("done") or 0) for one in self._ask_all("site.move", {"mount": mount, "to": to}))

    # -- what this node answers

    def _answer_listeners(self, message: Message) -> Message:
        return {"listeners": _LISTENERS.dump_python(self._local.listeners(str(message["mount"])), mode="json")}

    def _answer_title(self, message: Message) -> Message:
        mount, artist, title, url = (str(message[key]) for key in ("mount", "artist", "title", "url"))
        return {"done": self._local.has_source(mount) and self._local.set_title(mount, artist, title, url)}

    def _answer_move(self, message: Message) -> Message:
        try:
            return {"done": self._local.move(str(message["mount"]), str(message["to"]))}
        except Refused as error:
            log.warning("listeners are not moved: %s", error)
            return {}

    # -- the others

    def _snapshots(self) -> Iterator[NodeSnapshot]:
        for answer in self._ask_all("site.snapshot", {}):
            try:
                yield _SNAPSHOT.validate_python(answer.get("snapshot"))
            except ValidationError as error:
                log.warning("another node's statistics make no sense: %s", error)

    def _any(self, key: str, what: str, message: Message) -> bool:
        return any(answer.get(key) for answer in self._ask_all(what, message))

    def _ask_all(self, what: str, message: Message) -> list[Message]:
        others = [node.address for node in self._cluster.others()]
        answers = self._cluster.rpc.call_all(others, what, message, ASK_S)
        for address in others:
            if address not in answers:
                log.warning("the node at %s did not answer %s: it is left out", address, what)
        return list(answers.values())
