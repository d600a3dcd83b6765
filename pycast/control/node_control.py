"""What an admin asks or orders, on this node: the counterpart of `everywhere.py`, with the same methods."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from pycast.errors import Refused
from pycast.stats.snapshot import ListenerSnapshot, NodeSnapshot
from pycast.stream.fanout import Reason
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.relocation import attach, detach

if TYPE_CHECKING:
    from pycast.server.service import Service

log = logging.getLogger(__name__)


class NodeControl:
    """This node alone."""

    def __init__(self, service: "Service") -> None:
        self._service = service

    def snapshot(self) -> NodeSnapshot:
        """The node as it is now."""
        return self._service.snapshot()

    def knows(self, mount: str) -> bool:
        """Whether the mount is here."""
        return self._maybe(mount) is not None

    def has_source(self, mount: str) -> bool:
        """Whether the mount's source is here, or waited for here."""
        return self.knows(mount) and not self._service.mounts.is_mirror(mount)

    def listeners(self, mount: str) -> list[ListenerSnapshot]:
        """The mount's listeners."""
        found = self._maybe(mount)
        return self._service.listeners(found) if found else []

    def kill(self, mount: str, id: int) -> bool:
        """Ends a listener. Whether it was there."""
        found = self._maybe(mount)
        listener = found.fanout.get(id) if found else None
        if found is None or listener is None:
            return False
        found.fanout.drop(listener, Reason.KILLED)
        return True

    def kill_source(self, mount: str) -> bool:
        """Ends a mount's source. Whether there was one."""
        source = self._service.mounts.source(mount)
        if source is None:
            return False
        source.stop("removed by an admin")
        return True

    def set_title(self, mount: str, artist: str, title: str, url: str) -> bool:
        """Sets what plays. Whether the stream takes titles."""
        found = self._maybe(mount)
        return found is not None and found.family != "webm" and found.set_title(artist, title, url)

    def move(self, mount: str, to: str) -> int:
        """Moves a mount's listeners to another mount, for good. How many. Raises Refused. May switch."""
        found = self._maybe(mount)
        if found is None or not len(found.fanout):
            return 0
        other = self._service.fallbacks.find(to)
        if other is None or other is found or other.family != found.family:
            raise Refused("Destination not running", status=400, cause=f"{to} cannot take the listeners of {mount}")
        return self._move(found, other, lambda listener: True, requested_mount="")

    def send_to_fallback(self, mount: Mount, other: Mount) -> int:
        """Moves a mount's listeners to its fallback. They remember where they come from. May switch."""
        return self._move(mount, other, lambda listener: True, requested_mount=mount.name)

    def bring_back(self, mount: str, requested_mount: str) -> int:
        """Moves those listeners of a mount to `home` who wanted to be there. How many. May switch."""
        found, other = self._maybe(mount), self._service.fallbacks.find(requested_mount)
        if found is None or other is None or other.name != requested_mount or other.family != found.family:
            return 0
        return self._move(
            found, other, lambda listener: listener.requested_mount == requested_mount, requested_mount=""
        )

    def _move(self, mount: Mount, other: Mount, which: Callable[[Listener], bool], requested_mount: str) -> int:
        mount.fanout.wait_until_resting()
        moving = detach(mount, which)
        for one in moving:
            # Who comes from a fallback already still wants to be where it asked to be.
            one.listener.requested_mount = (one.listener.requested_mount or requested_mount) if requested_mount else ""
            self._service.hangups.change(one.listener.transport.fileno(), (other, one.listener))
        attach(other, moving)
        if moving:
            log.info("mount %s: %d listeners go on with %s", mount.name, len(moving), other.name)
        return len(moving)

    def _maybe(self, name: str) -> Mount | None:
        mount = self._service.mounts.get(name)
        return mount if mount is not None and mount.description is not None else None
