"""A small ServerContext: a node alone with real mounts, ownership and admission, without sockets and loops."""

import itertools
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import gevent
from gevent import socket

from pycast.balance.admission import Admission
from pycast.balance.drain import Drain
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.ownership import Ownership
from pycast.config.live import Live
from pycast.config.load import loads
from pycast.control.mount_finder import MountFinder
from pycast.http.source_headers import SourceInfo
from pycast.logs.access import AccessEntry
from pycast.net.group import Group, Task
from pycast.net.hangups import Hangups
from pycast.net.sockets import bind
from pycast.server.connection import Connection
from pycast.server.context import ServerContext
from pycast.server.reserve import Reserve
from pycast.stats.counters import Counters
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.stream.source import Sink, SourceDescription
from tests.web.sites import make_site

LIMITS = "[limits]\nheader_timeout = 0.3\nclient_timeout = 0.3\n"
SOURCE = b"Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n"  # source:hackme


@dataclass(frozen=True, slots=True)
class Bench:
    """A context, and what a test looks at besides."""

    context: ServerContext
    accesses: list[AccessEntry]
    drain: Any

    def spawn(self, run: Any, *args: Any) -> Task:
        """Runs what may switch in a greenlet that ends with the bench."""
        return self.context.group.spawn("under test", run, *args)

    def close(self) -> None:
        """Ends everything."""
        self.context.mounts.stop()
        self.context.group.kill()
        self.context.hangups.close()


def make_bench(
    toml: str = "", *, fallbacks: Any = None, others: int | None = None, clients: int = 100, limits: str = LIMITS
) -> Bench:
    """A bench for a node with this configuration. With `others` it is in a cluster with so many other nodes, of which
    nothing but their number is there.
    """
    settings = Live(loads(limits + toml, {}, "test"))
    accesses: list[AccessEntry] = []
    group, counters = Group(), Counters()
    pacer = Pacer(settings.now.limits.flush_interval, time.thread_time)
    mounts = Mounts(settings.now, pacer, group, lambda mount, listener, reason: None, time.monotonic)
    ids = itertools.count(1)
    cluster: Any = None if others is None else SimpleNamespace(others=lambda: [None] * others)
    stand_in: Any = fallbacks or SimpleNamespace(next_of=lambda mount: None)
    drain: Any = Drain(mounts, group, lambda: settings.now.drain)
    context = ServerContext(
        settings=settings,
        group=group,
        counters=counters,
        pacer=pacer,
        mounts=mounts,
        finder=MountFinder(settings, mounts, None),
        fallbacks=stand_in,
        ownership=Ownership(lambda: settings.now, mounts, Lineages(), group, time.monotonic),
        cluster=cluster,
        hangups=Hangups(lambda watched, failed: None),
        admission=Admission(clients, 10_000),
        reserve=Reserve(counters),
        drain=drain,
        log_access=accesses.append,
        next_listener_id=lambda: next(ids),
        site=make_site(toml=limits + toml),
    )
    return Bench(context, accesses, drain)


def connect() -> tuple[Connection, socket.socket]:
    """The server's connection, and its peer's end."""
    ours, peer = socket.socketpair()
    peer.settimeout(5)
    return Connection(ours, "127.0.0.1", False), peer


def connect_tcp() -> tuple[Connection, socket.socket]:
    """As `connect`, for what asks the kernel about TCP."""
    listening = bind("127.0.0.1", 0)
    peer = socket.create_connection(listening.getsockname(), 5)
    ours, _ = listening.accept()
    listening.close()
    return Connection(ours, "127.0.0.1", False), peer


class FakeSource:
    """A source whose bytes a test feeds by hand."""

    def __init__(self, content_type: str = "audio/mpeg", *, is_ending: bool = False) -> None:
        self.credentials = ("source", "hackme")
        self.description = SourceDescription(SourceInfo(), content_type, (("ice-name", "x"),), "127.0.0.1", 0.0)
        self.sink: Sink | None = None
        self.last_data = time.monotonic()
        self.is_ending = is_ending
        self.waits = 0

    def wait_for_end(self, seconds: float) -> None:
        self.waits += 1

    def stop(self, why: str) -> None:
        self.sink = None

    def replace(self) -> None:
        self.sink = None


def read_all(peer: socket.socket) -> bytes:
    """What comes until the end."""
    data = b""
    with gevent.Timeout(10):
        while piece := peer.recv(65_536):
            data += piece
    return data
