"""What the handlers need of the node."""

from collections.abc import Sequence
from typing import Protocol

from pycast.cluster.drain_plan import Progress
from pycast.config.schema import Config
from pycast.stats.counters import Counters
from pycast.stats.snapshot import ListenerSnapshot, NodeSnapshot
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts


class Drain(Protocol):
    """The node's way out; `server.drain.Drain` is one."""

    def begin(self, *, now: bool = False) -> None: ...
    def cancel(self) -> None: ...
    def progress(self) -> Progress: ...


class Site(Protocol):
    """The node as the web sees it; `server.service.Service` is one."""

    config: Config
    mounts: Mounts
    counters: Counters

    @property
    def drain(self) -> Drain: ...
    @property
    def is_ready(self) -> bool: ...
    @property
    def listen_url(self) -> str: ...
    def has_source(self, mount: str) -> bool: ...
    def snapshot(self) -> NodeSnapshot: ...
    def listeners(self, mount: Mount) -> Sequence[ListenerSnapshot]: ...
