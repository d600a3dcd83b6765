"""LB-01, LB-03, LB-20: connections as balancers leave them, and as they come after one has failed."""

import os
import re
import select
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack

import pytest

from pycast.testing import Server
from tests.e2e.deadline import quickest_s
from tests.e2e.steady import SteadyStream
from tests.e2e.wire import Wire, get, listen

MOUNT = "/live.mp3"


def ss(*arguments: str) -> list[str]:
    """Returns the kernel's sockets, a line for each."""
    program = shutil.which("ss", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin")
    assert program, "ss is not installed: apt-get install iproute2"
    done = subprocess.run([program, "-H", "-t", "-n", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def open_files(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


@pytest.mark.pycast(queue_size="16M")
def test_lb_01_half_closed_listener_that_does_not_read_is_dropped_with_its_queue(
    pycast_server: Server,
) -> None:
    """A balancer leaves it so: a FIN, and a full socket that is not read (icecast-kh #152)."""
    server = pycast_server
    with server.stream(MOUNT, headers={"Content-Type": "text/plain"}, speed=0) as stream:
        stream.send_bytes(b"x")
        server.wait_for_bytes(MOUNT, 1)  # the dump's file counts
        before = open_files(server)
        listener, _ = listen(server.port, MOUNT, receive_buffer=4096)
        with listener:
            stream.send_bytes(bytes(4 << 20))
            server.wait_for_bytes(MOUNT, 1 + (4 << 20))
            queued = [int(line.split()[2]) for line in ss(f"( sport = :{server.port} )") if int(line.split()[2])]
            assert queued, "nothing waits in the kernel"
            listener.sock.shutdown(socket.SHUT_WR)
            server.wait_for_listeners(MOUNT, 0, 5)
            server.wait_until(lambda: open_files(server) <= before, 5, "the descriptor")


@pytest.mark.pycast(half_close_grace=1.0, burst_size=0)
def test_lb_01_half_closed_players_are_served_for_a_grace_if_so_configured(pycast_server: Server) -> None:
    server = pycast_server
    with server.stream(MOUNT, headers={"Content-Type": "text/plain"}, speed=0) as stream:
        with listen(server.port, MOUNT)[0] as listener:
            began = time.monotonic()
            listener.sock.shutdown(socket.SHUT_WR)
            stream.send_bytes(b"still there")
            assert listener.read(11) == b"still there"
            listener.read_all(5.0)
            assert time.monotonic() - began > 0.7

        def go() -> None:
            with listen(server.port, MOUNT)[0] as listener:
                listener.sock.shutdown(socket.SHUT_WR)
                listener.hang_up()
                server.wait_for_listeners(MOUNT, 0)

        assert quickest_s(go, 0.9) < 0.9, "one that is gone stays as long"


@pytest.mark.pycast(accept_rate=50)
def test_lb_20_a_limit_on_accepts_makes_clients_wait_and_refuses_none(pycast_server: Server) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(pycast_server.port)) for _ in range(60)]
        for wire in wires:
            wire.send("GET /livez HTTP/1.0\r\n\r\n")
        assert all(wire.read_head().status == 200 for wire in wires)
    assert time.monotonic() - began > 0.8


def test_lb_03_every_connection_is_kept_alive_in_less_than_350_s(pycast_server: Server) -> None:
    port = pycast_server.port
    with (
        pycast_server.stream(MOUNT, speed=0),
        pycast_server.listen(MOUNT),
        Wire(port),
        Wire(port).send("GET / HT"),
    ):
        lines: list[str] = []

        def all_idle() -> bool:
            lines[:] = ss("-o", "state", "established", f"( sport = :{port} )")
            return len(lines) == 4 and all("timer:(keepalive" in line for line in lines)

        pycast_server.wait_until(all_idle, 5, "four connections on which nothing is under way")
        for line in lines:
            (seconds,) = re.findall(r"timer:\(keepalive,(\d+)(?:\.\d+)?sec", line) or re.findall(r"(1)min", line)
            assert 50 <= int(seconds) * (60 if int(seconds) == 1 else 1) <= 60, line


def test_lb_20_the_backlog_takes_a_storm(pycast_server: Server) -> None:
    with open("/proc/sys/net/core/somaxconn") as file:
        most = int(file.read())
    (line,) = ss("-l", f"( sport = :{pycast_server.port} )")
    assert int(line.split()[2]) == min(4096, most)


@pytest.mark.pycast(clients=3000)
def test_lb_20_none_of_2000_listeners_who_come_at_once_is_refused(pycast_server: Server) -> None:
    """They connect without waiting for each other, and ask as soon as they are connected."""
    with ExitStack() as stack:
        stack.enter_context(pycast_server.stream(MOUNT, speed=0)).send(10)
        began = time.monotonic()
        crowd = {}
        for _ in range(2000):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", pycast_server.port))
            crowd[sock.fileno()] = sock
        assert time.monotonic() - began < 3, "this machine is too busy for a storm"
        poll = select.epoll()
        stack.callback(poll.close)
        for number in crowd:
            poll.register(number, select.EPOLLOUT | select.EPOLLONESHOT)
        answers: list[bytes] = []
        while len(answers) < len(crowd):
            assert time.monotonic() - began < 15, f"{len(answers)} were answered"
            for number, _ in poll.poll(1):
                if crowd[number].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise AssertionError("a connection was refused")
                answers += maybe_answer(crowd[number], poll)
        assert {answer[:15] for answer in answers} == {b"HTTP/1.0 200 OK"}
        assert b"pycast_refused_connections_total 0.0" in get(pycast_server.port, "/metrics").body


def maybe_answer(sock: socket.socket, poll: select.epoll) -> list[bytes]:
    """Asks one that is connected; takes the answer of one that has it."""
    try:
        return [sock.recv(1 << 16)]
    except BlockingIOError:
        sock.sendall(f"GET {MOUNT} HTTP/1.0\r\n\r\n".encode())
        poll.modify(sock.fileno(), select.EPOLLIN | select.EPOLLONESHOT)
        return []


def test_lb_20_a_listener_gets_every_byte_while_hundreds_connect(pycast_server: Server) -> None:
    with SteadyStream(pycast_server.port, pycast_server.source_password) as stream, ExitStack() as stack:
        for _ in range(5):
            wires = [stack.enter_context(Wire(pycast_server.port)) for _ in range(50)]
            for wire in wires:
                wire.send("GET /status-json.xsl HTTP/1.0\r\n\r\n")
            stream.verify(2)
