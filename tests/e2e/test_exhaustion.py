"""No file descriptors left: health checks are answered, new clients get 503, connected ones are not affected."""

import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from pycast.testing import Server
from tests.e2e.programs import require
from tests.e2e.steady import SteadyStream
from tests.e2e.wire import Wire, get, parse

OPEN_FILES = 320


class LimitedServer(Server):
    """A server with a low limit of open files."""

    command = (require("prlimit"), f"--nofile={OPEN_FILES}:{OPEN_FILES}", "--", sys.executable, "-m", "pycast")


@pytest.fixture
def server() -> Iterator[Server]:
    with LimitedServer() as server:
        yield server


def test_lb_18_server_with_few_descriptors_refuses_with_503_and_stays_healthy(server: Server) -> None:
    with SteadyStream(server.port, server.source_password) as stream, ExitStack() as stack:
        refused = 0
        for _ in range(OPEN_FILES):
            wire = stack.enter_context(Wire(server.port))
            reply = parse(wire.send("GET /steady.mp3 HTTP/1.0\r\n\r\n").read_to(b"\r\n\r\n"))
            if reply.status == 503:
                refused += 1
                assert int(reply.header("Retry-After")) > 0
        assert refused > 10
        assert get(server.port, "/livez").status == 200
        assert get(server.port, "/readyz").status == 200
        assert "cannot accept" not in server.log()
        stream.verify()
    server.wait_until(lambda: get(server.port, "/").status == 200, 5, "the server to recover")
    with SteadyStream(server.port, server.source_password, "/after.mp3") as stream:
        stream.verify()


def test_server_that_runs_out_of_descriptors_all_the_same_survives() -> None:
    """The limit is lowered under the running server: no reserve was planned for that."""
    with Server() as server, SteadyStream(server.port, server.source_password) as stream:
        before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (30, before[1]))
        with ExitStack() as stack:
            wires = [stack.enter_context(Wire(server.port)) for _ in range(60)]
            server.wait_until(lambda: "cannot accept" in server.log(), 5, "the server to notice")
            stream.verify()
            reply = parse(wires[-1].send("GET /livez HTTP/1.0\r\n\r\n").read_all(8))
            assert reply.status in (200, 503)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
        server.wait_until(lambda: is_served(server), 8, "the server to recover")
        stream.verify()


def is_served(server: Server) -> bool:
    with suppress(OSError), server.listen("/steady.mp3") as heard:
        return heard.status == 200
    return False
