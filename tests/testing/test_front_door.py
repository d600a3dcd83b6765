"""The door opens, refuses, closes, and opens again."""

import socket

import pytest

from tests.e2e.wire import Wire
from tests.testing.upstream import HEAD, MOUNT, Upstream


def test_it_opens_again_after_it_was_closed() -> None:
    with Upstream() as upstream:
        upstream.door.close("once")
        upstream.door.close("twice")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", upstream.port), 5)
        upstream.door.open([upstream.gate])
        with Wire(upstream.port) as client:
            assert client.send(f"GET {MOUNT} HTTP/1.0\r\n\r\n").read(len(HEAD)) == HEAD


def test_who_is_there_stays_when_it_refuses_others() -> None:
    with Upstream() as upstream, Wire(upstream.port) as client:
        client.send(f"GET {MOUNT} HTTP/1.0\r\n\r\n").read(len(HEAD))
        upstream.door.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", upstream.port), 5)
        assert client.read(1000)


def test_requests_for_titles_are_noted_with_what_became_of_them() -> None:
    with Upstream() as upstream, Wire(upstream.port) as client:
        client.send(f"GET /admin/metadata?mode=updinfo&mount={MOUNT}&song=A+-+B HTTP/1.0\r\nUser-Agent: E\r\n\r\n")
        client.read(len(HEAD) + 1)
        with upstream.door.changed:
            assert upstream.door.changed.wait_for(lambda: upstream.door.sources[MOUNT].updates, 10)
        (update,) = upstream.door.sources[MOUNT].updates
        # The server of this test has answered with audio, which is no success.
        assert (update.title, update.status, update.is_taken, update.headers["user-agent"]) == (
            "A - B",
            200,
            False,
            "E",
        )
        assert len(upstream.door.listeners["/admin/metadata"]) == 0
        (title,) = upstream.door.sources[MOUNT].titles
        assert (title, title.at) == (f"A on {MOUNT}", 1763794860.0)
