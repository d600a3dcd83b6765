"""What the handlers need of the node."""

from collections.abc import Sequence
from typing import Protocol

from pycast.config.schema import Config
from pycast.stats.counters import Counters
from pycast.stats.snapshot import ListenerSnapshot, NodeSnapshot
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts


class Site(Protocol):
    """The node as the web sees it; `server.service.Service` is one."""

    config: Config
    mounts: Mounts
    counters: Counters

    @property
    def is_ready(self) -> bool: ...
    @property
    def listen_url(self) -> str: ...
    def snapshot(self) -> NodeSnapshot: ...
    def listeners(self, mount: Mount) -> Sequence[ListenerSnapshot]: ...
