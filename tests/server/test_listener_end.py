"""Tests of pycast.server.listener_end: a listener that leaves frees its slot, is counted, and has a line in the log."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket

from pycast.server.connection import Connection
from pycast.server.listener_end import SINGLED_OUT, HangupHandler
from pycast.server.listeners import serve_listener
from pycast.stream.fanout import Reason
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from tests.conftest import WaitUntil
from tests.server.contexts import Bench, FakeSource, connect, make_bench
from tests.web.sites import make_request

GRACE = "[limits]\nhalf_close_grace = 0.05\n"


@pytest.fixture(params=[GRACE])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(f'[logging]\naccess_log = "{tmp_path}/access.log"\n', limits=request.param)
    yield made
    made.close()


@pytest.fixture
def peer(bench: Bench) -> Iterator[socket.socket]:
    """The player's end of a listener that has received head and burst."""
    connection, theirs = connect()
    mount = bench.context.mounts.attach_source("/x", FakeSource("text/plain"))
    mount.feed(b"audio")
    bench.context.admission.enter()
    serve(bench, connection, mount)
    yield theirs
    theirs.close()


def serve(bench: Bench, connection: Connection, mount: Mount) -> None:
    serve_listener(bench.context, connection, make_request("/x", more="User-Agent: player\r\n"), mount)


def only(bench: Bench) -> tuple[Mount, Listener]:
    mount = bench.context.mounts.get("/x")
    assert mount is not None
    (listener,) = mount.fanout
    return mount, listener


def handler(bench: Bench) -> HangupHandler:
    return HangupHandler(bench.context.settings, bench.context.mounts, bench.context.group)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_listener_that_leaves_frees_its_slot_and_has_one_line_in_the_access_log(
    bench: Bench, peer: socket.socket, reason: Reason, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    mount, listener = only(bench)
    mount.fanout.drop(listener, reason)
    mount.fanout.drop(listener, reason)
    assert bench.context.admission.open == 0
    assert bench.context.counters.slow_listeners == (reason is Reason.SLOW)
    assert bench.context.counters.listeners_of_other_format == (reason is Reason.OTHER_FORMAT)
    assert len([one for one in caplog.messages if reason.value in one]) == (reason in SINGLED_OUT)
    sent = len(peer.recv(65_536))
    bench.logs.close()
    (line,) = (tmp_path / "access.log").read_text().splitlines()
    assert f'"GET /x HTTP/1.0" 200 {sent} ' in line and '"player"' in line


def test_a_listener_whose_connection_failed_is_dropped_at_once(bench: Bench, peer: socket.socket) -> None:
    mount, listener = only(bench)
    handler(bench).on_hangup((mount, listener), True)
    assert len(mount.fanout) == 0


def test_a_half_closed_listener_is_dropped_after_its_grace_also_if_it_was_moved(
    bench: Bench, peer: socket.socket, wait_until: WaitUntil
) -> None:
    mount, listener = only(bench)
    handler(bench).on_hangup((mount, listener), False)
    assert len(mount.fanout) == 1
    mount.fanout.wait_until_resting()
    other = bench.context.mounts.attach_source("/y", FakeSource("text/plain"))
    mount.fanout.take_out([listener])
    other.fanout.put_in(listener)
    wait_until(lambda: len(other.fanout) == 0, "the end of the grace")


@pytest.mark.parametrize("bench", ["[limits]\nhalf_close_grace = 0\n"], indirect=True)
def test_without_a_grace_a_half_closed_listener_is_dropped_at_once(bench: Bench, peer: socket.socket) -> None:
    mount, listener = only(bench)
    handler(bench).on_hangup((mount, listener), False)
    assert len(mount.fanout) == 0
