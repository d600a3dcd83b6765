"""Tests of pycast.app.passed_sockets: which of the sockets that systemd passes is for which port."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from gevent import socket

from pycast.app import passed_sockets
from pycast.app.passed_sockets import PassedSockets
from pycast.net.sockets import bind


@contextmanager
def passed(*addresses: str, port: int = 0) -> Iterator[tuple[PassedSockets, list[int]]]:
    """Sockets that were passed, one for each address, and their ports."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(bind(address, port)) for address in addresses]
        yield PassedSockets([os.dup(sock.fileno()) for sock in sockets]), [sock.getsockname()[1] for sock in sockets]


def take(sockets: PassedSockets, address: str, port: int) -> list[str]:
    """The addresses of the sockets that are taken; they are closed."""
    found = sockets.take(address, port)
    names = [str(sock.getsockname()[0]) for sock in found]
    for sock in found:
        assert not sock.get_inheritable()
        sock.close()
    return names


@pytest.mark.parametrize("bound", ["127.0.0.1", "::"])
def test_a_socket_is_for_the_section_with_its_port(bound: str) -> None:
    with passed(bound, "127.0.0.1") as (sockets, (port, other)):
        assert take(sockets, "0.0.0.0", port) == [bound]
        assert take(sockets, "0.0.0.0", port) == []
        assert take(sockets, "127.0.0.1", other) == ["127.0.0.1"]


def test_of_several_with_one_port_each_section_takes_that_with_its_address() -> None:
    with passed("127.0.0.1") as (first, (port,)), passed("127.0.0.2", port=port) as (second, _):
        both = PassedSockets([sock.detach() for each in (first, second) for sock in each.take("", port)])
        assert take(both, "127.0.0.2", port) == ["127.0.0.2"]
        assert take(both, "localhost", port) == ["127.0.0.1"]


def test_what_no_section_has_is_closed_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with passed("127.0.0.1") as (sockets, (port,)):
        sockets.close_rest()
        assert f"systemd passed a socket for 127.0.0.1 port {port}, which no [[listen]] section has" in caplog.text
        assert take(sockets, "127.0.0.1", port) == []


def test_a_socket_that_is_none_of_tcp_is_told_as_well(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        PassedSockets([os.dup(unix.fileno())]).close_rest()
    assert "which no [[listen]] section has" in caplog.text


def test_systemds_are_taken_from_its_variables_which_children_do_not_get(monkeypatch: pytest.MonkeyPatch) -> None:
    with bind("127.0.0.1", 0) as first, bind("127.0.0.1", 0) as second:
        start = 200  # no test has so many open
        os.dup2(first.fileno(), start)
        os.dup2(second.fileno(), start + 1)
        monkeypatch.setattr(passed_sockets, "FIRST", start)
        environ = {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "a:b", "HOME": "/"}
        sockets = PassedSockets.from_systemd(environ)
        assert environ == {"HOME": "/"}
        assert take(sockets, "127.0.0.1", first.getsockname()[1]) == ["127.0.0.1"]
        assert take(sockets, "127.0.0.1", second.getsockname()[1]) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())}]
)
def test_those_of_another_process_are_not_taken(environ: dict[str, str]) -> None:
    PassedSockets.from_systemd(environ).close_rest()
    assert environ == {}
