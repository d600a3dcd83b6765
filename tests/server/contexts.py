"""A ServerContext of a node alone, as assembly makes it: real parts, but no listening sockets and no loops."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import gevent
from gevent import socket

from pycast.app.assembly import assemble
from pycast.config.load import loads
from pycast.http.source_headers import SourceInfo
from pycast.logs.access import AccessEntry
from pycast.logs.log_set import LogSet
from pycast.net.group import Group, Task
from pycast.net.sockets import bind
from pycast.server.answers import Answers
from pycast.server.connection import Connection
from pycast.server.context import ServerContext
from pycast.stream.source import SourceDescription, SourceOutput
from tests.web.sites import make_site

LIMITS = "[limits]\nheader_timeout = 0.3\nclient_timeout = 0.3\n"


@dataclass(frozen=True, slots=True)
class Bench:
    """A context, and the other parts that a test looks at."""

    context: ServerContext
    accesses: list[AccessEntry]
    logs: LogSet
    loops: Group
    """What a node runs in its group, apart from it so that tests can count what they start."""

    def spawn(self, run: Any, *args: Any) -> Task:
        """Runs `run` in a greenlet that ends with the bench."""
        return self.context.group.spawn("under test", run, *args)

    def close(self) -> None:
        """Ends all greenlets and closes the logs."""
        self.context.mounts.stop()
        self.context.group.kill()
        self.loops.kill()
        self.context.hangups.close()
        self.context.answers.close()
        self.logs.close()


def make_bench(toml: str = "", *, fallbacks: Any = None, others: int | None = None, limits: str = LIMITS) -> Bench:
    """Returns a bench for a node with this configuration. With `others` its cluster says that
    it has that many other nodes.
    """
    parts = assemble(loads(limits + toml, {}, "test"), 10_000)
    accesses: list[AccessEntry] = []
    parts.context.answers.close()
    answers = Answers(parts.context.settings, parts.context.admission, parts.context.counters, accesses.append)
    loops = Group()
    loops.spawn("answers", answers.run)
    cluster: Any = None if others is None else SimpleNamespace(others=lambda: [None] * others)
    context = parts.context._replace(
        fallbacks=fallbacks or parts.context.fallbacks,
        cluster=cluster,
        log_access=accesses.append,
        answers=answers,
        site=make_site(toml=limits + toml),
    )
    return Bench(context, accesses, parts.logs, loops)


def connect() -> tuple[Connection, socket.socket]:
    """Returns the server's connection, and its peer's end."""
    ours, peer = socket.socketpair()
    peer.settimeout(5)
    return Connection(ours, "127.0.0.1", False), peer


def connect_tcp() -> tuple[Connection, socket.socket]:
    """Connects as `connect` does, over TCP."""
    listening = bind("127.0.0.1", 0)
    peer = socket.create_connection(listening.getsockname(), 5)
    ours, _ = listening.accept()
    listening.close()
    return Connection(ours, "127.0.0.1", False), peer


class FakeSource:
    """A source whose bytes a test feeds by hand."""

    credentials = ("source", "hackme")
    takes_over = is_silent = False

    def __init__(self, content_type: str = "audio/mpeg") -> None:
        self.description = SourceDescription(SourceInfo(), content_type, (("ice-name", "x"),), "127.0.0.1", 0.0)
        self.output = SourceOutput()
        self.waits = 0

    def wait_until_out(self, seconds: float) -> None:
        self.waits += 1

    def end(self, why: str) -> None:
        self.output.take_out()


def read_all(peer: socket.socket) -> bytes:
    """Returns all bytes until the end of the stream."""
    data = b""
    with gevent.Timeout(10):
        while piece := peer.recv(65_536):
            data += piece
    return data
