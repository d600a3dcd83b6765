"""The mounts that directories are told of: those that are public and whose source is on this node.

So in a cluster the node with the source speaks for the mount, and says how many listen on all nodes. While a mount
waits for its source it stays listed, as its listeners stay.
"""

from collections.abc import Callable

from pycast.config.live import Live
from pycast.control.node_snapshot import snapshot_mount
from pycast.control.own_address import OwnAddress
from pycast.directories.yp_forms import PublicStream
from pycast.stats.icestats import stream_url
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts


class Catalogue:
    """The public mounts of this node."""

    def __init__(self, settings: Live, mounts: Mounts, address: OwnAddress, listeners: Callable[[Mount], int]) -> None:
        """`listeners` returns how many listen to a mount, on all nodes; it may switch."""
        self._settings = settings
        self._mounts = mounts
        self._address = address
        self._listeners = listeners
        self._had: set[str] = set()
        """The mounts that had a source here, until they are over."""

    def titles(self) -> dict[str, str]:
        """Returns what plays on each public mount whose source is on this node. Never switches."""
        found = {mount.name: mount for mount in self._mounts if self._is_ours(mount)}
        self._had = set(found)
        return {name: _title(mount) for name, mount in found.items() if is_public(mount)}

    def stream(self, name: str, base: str) -> PublicStream | None:
        """Returns a mount as directories are told of it, with an address that begins with `base`, or with the usual one
        if that is empty; None if it is over. May switch.
        """
        mount = self._mounts.get(name)
        if mount is None:
            return None
        listeners = self._listeners(mount)
        shown = snapshot_mount(mount)
        most = shown.max_listeners if shown.max_listeners >= 0 else self._settings.now.limits.clients
        return PublicStream(
            name=shown.server_name or "Unspecified name",
            genre=shown.genre or "various",
            description=shown.server_description or "Unspecified description",
            url=shown.server_url,
            listenurl=stream_url(base or self._address.url, name, "" if base else shown.listen_url),
            type=shown.content_type,
            subtype=shown.subtype,
            bitrate=shown.bitrate,
            audio_info=shown.audio_info,
            cluster_password=mount.settings.cluster_password,
            title=_title(mount),
            listeners=listeners,
            max_listeners=most,
        )

    def _is_ours(self, mount: Mount) -> bool:
        if self._mounts.is_mirror(mount.name):
            return False
        begins = mount.state is MountState.LIVE and self._mounts.source(mount.name) is not None
        return begins or (mount.name in self._had and mount.state is not MountState.ENDED)


def is_public(mount: Mount) -> bool:
    """Whether directories may list a mount: its settings say so, or else its source."""
    setting = mount.settings.public
    return mount.description.info.is_public if setting is None else setting


def _title(mount: Mount) -> str:
    return mount.timeline.title.text if mount.timeline.title else ""
