"""A source on any worker is heard through the shared port, whichever worker accepts; and the end of a worker affects no
other.
"""

import json
import os
import signal
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import pytest

from pycast.testing import Server
from tests.e2e.deadline import until
from tests.e2e.processes import children, sockets
from tests.e2e.wire import Wire, ask, basic, frames, get, listen, source

MOUNT = "/live.mp3"

# The kernel deals connections out by chance: that so many all go to one of two workers does not happen.
MANY = 40

# Long: a source waits here until all listeners are there, which takes seconds on a busy machine.
pytestmark = pytest.mark.pycast(workers=2, source_timeout=60)


def worker_of(server: Server, wire: Wire) -> int:
    """Returns the worker that has accepted a connection."""
    port = wire.sock.getsockname()[1]
    (inode,) = {
        fields[9]
        for fields in (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
        if fields[1].endswith(f":{server.port:04X}") and fields[2].endswith(f":{port:04X}")
    }
    (pid,) = {pid for pid in children(server.pid) if f"socket:[{inode}]" in sockets(pid)}
    return pid


def crowd(server: Server, stack: ExitStack) -> dict[int, list[Wire]]:
    """Listeners by their worker; every worker has some. They come when every worker knows the source."""
    check = f"/readyz?mount={MOUNT}"
    until(lambda: {get(server.port, check).status for _ in range(MANY)} == {200}, "the mount on every worker")
    found: dict[int, list[Wire]] = defaultdict(list)
    for _ in range(MANY):
        wire = stack.enter_context(listen(server.port, MOUNT)[0])
        found[worker_of(server, wire)].append(wire)
    assert len(found) == len(children(server.pid))
    return found


def test_a_source_is_heard_whichever_worker_accepts_it(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as feed, ExitStack() as stack:
        feed.send(frames(0, 10))
        everybody = [wire for wires in crowd(pycast_server, stack).values() for wire in wires]
        feed.send(frames(10, 10))
        for wire in everybody:
            assert wire.read(len(frames(0, 20))) == frames(0, 20)


@pytest.mark.pycast(source_takeover=False)
def test_a_second_source_is_refused_by_whichever_worker(pycast_server: Server) -> None:
    login = basic("source", pycast_server.source_password)
    head = f"SOURCE {MOUNT} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n"
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as feed:
        feed.send(frames(0, 10))
        assert {ask(pycast_server.port, head).status for _ in range(MANY)} == {403}


def test_every_worker_answers_for_all(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as feed, ExitStack() as stack:
        feed.send(frames(0, 10))
        crowd(pycast_server, stack)

        def counts() -> set[int]:
            bodies = [json.loads(get(pycast_server.port, "/status-json.xsl").body) for _ in range(MANY)]
            return {body["icestats"].get("source", {}).get("listeners", 0) for body in bodies}

        until(lambda: counts() == {MANY}, "every worker to count all listeners")
        pycast_server.wait_for_listeners(MOUNT, MANY)


def test_listeners_of_the_others_do_not_hear_a_worker_die(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as feed, ExitStack() as stack:
        feed.send(frames(0, 10))
        origin = worker_of(pycast_server, feed)
        listeners = crowd(pycast_server, stack)
        (other,) = set(listeners) - {origin}
        os.kill(other, signal.SIGKILL)
        feed.send(frames(10, 10))
        for wire in listeners[origin]:
            assert wire.read(len(frames(0, 20))) == frames(0, 20)
        # A new worker takes the place of the old one, and has the mount.
        until(lambda: pycast_server.log().count(" accepts (pid ") == 3, "a third start")
        with ExitStack() as again:
            for wires in crowd(pycast_server, again).values():
                assert wires[0].read(len(frames(0, 20))) == frames(0, 20)


def test_listeners_of_the_others_keep_their_connection_when_the_sources_worker_dies(pycast_server: Server) -> None:
    feed = source(pycast_server.port, MOUNT, pycast_server.source_password)
    with feed, ExitStack() as stack:
        feed.send(frames(0, 10))
        origin = worker_of(pycast_server, feed)
        listeners = crowd(pycast_server, stack)
        (other,) = set(listeners) - {origin}
        for wire in listeners[other]:
            wire.read(len(frames(0, 10)))
        os.kill(origin, signal.SIGKILL)
        until(lambda: "starts again" in pycast_server.log(), "its end")
        with source(pycast_server.port, MOUNT, pycast_server.source_password) as again:
            again.send(frames(100, 20))
            for wire in listeners[other]:
                assert wire.read(len(frames(100, 20))) == frames(100, 20)
