"""One relay of a node that listens to nothing, and upstreams for it, in the test's own process.

Helpers only. Invariant: after `close` nothing of it is left.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from gevent import socket

from pycast.control.on_demand import OnDemand
from pycast.relay import relay as relay_module
from pycast.relay import upstreams as upstreams_module
from pycast.relay.dial import Dialler
from pycast.relay.place import Place, RelaySpec
from pycast.relay.relay import Relay
from pycast.relay.resolver import Resolve
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from tests.relay.upstream import Play, Upstream, comes
from tests.server.contexts import make_bench
from tests.stream.memory import WHO, MemoryTransport

MOUNT = "/relayed.mp3"


def numbers(host: str, port: int) -> list[Any]:
    return [(socket.AF_INET, (host, port))]


class RelayStage:
    """A node with one relay, which runs."""

    def __init__(self, *places: Place, toml: str = "", resolve: Resolve = numbers, **spec: Any) -> None:
        self.bench = make_bench(toml)
        self.context = self.bench.context
        self.on_demand = OnDemand()
        self.children = 0
        self.states: list[MountState] = []
        self.relay = Relay(
            RelaySpec(MOUNT, places, **spec),
            self.context,
            Dialler(resolve, "me"),
            self.on_demand,
            lambda mount: self.children,
            lambda: 0.0,
        )
        self.task = self.bench.spawn(self.relay.run)
        self._listeners = 0

    @property
    def mount(self) -> Mount:
        """The mount, when it is live."""
        assert comes(lambda: self.is_live), "the relay is not on the air"
        mount = self.context.mounts.get(MOUNT)
        assert mount is not None
        return mount

    @property
    def is_live(self) -> bool:
        mount = self.context.mounts.get(MOUNT)
        return mount is not None and mount.state is MountState.LIVE

    @property
    def head(self) -> int:
        mount = self.context.mounts.get(MOUNT)
        return mount.ring.head if mount is not None else 0

    def grows(self) -> bool:
        """Whether audio arrives."""
        before = self.head
        return comes(lambda: self.head > before)

    def listen(self, mount: Mount) -> MemoryTransport:
        self._listeners += 1
        transport = MemoryTransport()
        mount.join(self._listeners, transport, WHO, b"", 0, time.monotonic())
        return transport

    def close(self) -> None:
        self.task.kill()
        self.bench.close()


@contextmanager
def relaying(*plays: Play, **settings: Any) -> Iterator[tuple[RelayStage, list[Upstream]]]:
    """A relay of upstreams that play that, best first."""
    servers = [Upstream(play) for play in plays]
    stage = RelayStage(*(server.place() for server in servers), **settings)
    try:
        yield stage, servers
    finally:
        stage.close()
        for server in servers:
            server.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks and stays take a moment."""
    monkeypatch.setattr(relay_module, "LOOK_S", 0.02)
    monkeypatch.setattr(upstreams_module, "STAY_S", 0.1)
    monkeypatch.setattr(upstreams_module, "FIRST_PAUSE_S", 0.05)
