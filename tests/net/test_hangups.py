"""Hang-ups are detected also when nothing is sent, and however the peer leaves."""

import socket as stdlib_socket
import struct
from collections.abc import Iterator

import pytest
from gevent import socket
from gevent.event import Event
from gevent.socket import wait_read

from pycast.net.group import Group
from pycast.net.hangups import Hangups


class Stage:
    def __init__(self) -> None:
        self.gone: list[tuple[str, bool]] = []
        self.changed = Event()
        self.group = Group()
        self.hangups: Hangups[str] = Hangups(self._on_gone)
        self.group.spawn("hang-ups", self.hangups.run)
        self.server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self.server]

    def connect(self, name: str) -> tuple[socket.socket, socket.socket]:
        client = socket.create_connection(self.server.getsockname())
        accepted, _ = self.server.accept()
        self._open += [client, accepted]
        self.hangups.watch(accepted.fileno(), name)
        return client, accepted

    def wait(self) -> None:
        assert self.changed.wait(5), "no hang-up was noticed"
        self.changed.clear()

    def close(self) -> None:
        self.group.kill()
        self.hangups.close()
        for sock in self._open:
            sock.close()

    def _on_gone(self, name: str, failed: bool) -> None:
        self.gone.append((name, failed))
        self.changed.set()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def test_a_close_is_detected(stage: Stage) -> None:
    client, _ = stage.connect("a")
    client.close()
    stage.wait()
    assert stage.gone == [("a", False)]


def test_a_half_close_counts_as_gone(stage: Stage) -> None:
    client, _ = stage.connect("a")
    client.shutdown(stdlib_socket.SHUT_WR)
    stage.wait()
    assert stage.gone == [("a", False)]


def test_a_reset_is_reported_as_a_failure(stage: Stage) -> None:
    client, _ = stage.connect("a")
    client.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    stage.wait()
    assert stage.gone == [("a", True)]


def test_a_peer_that_closed_before_it_was_watched_is_detected(stage: Stage) -> None:
    client = socket.create_connection(stage.server.getsockname())
    accepted, _ = stage.server.accept()
    client.close()
    wait_read(accepted.fileno(), 5)  # its end is there
    stage.hangups.watch(accepted.fileno(), "late")
    stage.wait()
    assert stage.gone == [("late", False)]
    stage.hangups.forget(accepted.fileno())
    accepted.close()


def test_bytes_from_a_listener_are_no_hang_up(stage: Stage) -> None:
    talker, _ = stage.connect("talker")
    leaver, _ = stage.connect("leaver")
    talker.sendall(b"anything")
    leaver.close()
    stage.wait()
    assert stage.gone == [("leaver", False)]


def test_a_forgotten_descriptor_is_silent(stage: Stage) -> None:
    client, accepted = stage.connect("forgotten")
    stage.hangups.forget(accepted.fileno())
    stage.hangups.forget(accepted.fileno())
    client.close()
    other, _ = stage.connect("other")
    other.close()
    stage.wait()
    assert stage.gone == [("other", False)]
