"""TCP sockets: their options and the reason for each, listening, detaching from gevent. Nothing here reads or writes a
stream.
"""

import _socket
import errno
import resource
import socket
from collections.abc import Callable
from typing import Protocol, TypeGuard, cast

from gevent import socket as gsocket

# A peer that acknowledges nothing for this long is gone: set-top boxes lose power and phones lose the network, and no
# FIN arrives.
USER_TIMEOUT_MS = 20_000

# Below the 350 s after which AWS's network balancer drops an idle flow. A dead peer is detected after 60 + 4 * 15 s.
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 60, 15, 4

# Limits the unsent bytes in the kernel: what a slow player does not read stays in the ring, where it costs nothing.
# There is room for a burst of the default size.
NOTSENT_LOWAT = 128 << 10

# A reconnect storm may arrive faster than any accept loop takes it: ten thousand players in a tenth of a second. The
# kernel allows no more than `net.core.somaxconn`, 4,096 by default.
BACKLOG = 16_384

# How often two free ports next to each other are tried for (SHOUTcast). Such pairs are not rare.
PAIR_TRIES = 20

# From linux/in.h; Python 3.11 has no name for it.
IP_BIND_ADDRESS_NO_PORT = 24

# From linux/tcp_states.h. In all other states of a connection one side has closed.
TCP_ESTABLISHED = 1


def bind_hint(error: OSError, port: int) -> str:
    """Returns what to do about an error of `bind` and the like; empty if its text says all there is to say."""
    if isinstance(error, gsocket.gaierror):
        return "bind_address is an address of this machine, such as 127.0.0.1, 0.0.0.0, ::1 or ::, without a port."
    if error.errno == errno.EACCES and port < 1024:
        return f"Port {port} is below 1024: a process needs CAP_NET_BIND_SERVICE for it, as conf/pycast.service has it."
    return ""


def bind(address: str, port: int, *, is_v6_only: bool = False) -> gsocket.socket:
    """Returns a listening TCP socket. Port 0 means any free one. "::" accepts IPv4 too, as in Icecast, unless
    `is_v6_only`. Raises OSError.

    Connections inherit the options (Linux copies them in accept), which saves a storm of players seven calls each.
    """
    sock = _tcp_socket(address)
    return _set_up(sock, is_v6_only, lambda: _listen(sock, address, port))


def bind_shared(address: str, port: int, *, is_v6_only: bool = False) -> gsocket.socket:
    """Returns a listening socket on a port that other processes bind in the same way; the kernel distributes
    connections among them. Raises OSError.
    """
    sock = _tcp_socket(address)

    def share() -> None:
        sock.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_REUSEPORT, 1)
        _listen(sock, address, port)

    return _set_up(sock, is_v6_only, share)


def inherit(fd: int) -> gsocket.socket:
    """Returns a listening socket that this process has from the one that started it. Raises OSError."""
    sock = gsocket.socket(fileno=fd)
    sock.set_inheritable(False)
    if sock.family in (gsocket.AF_INET, gsocket.AF_INET6):
        set_connection_options(sock)
    return sock


def reserve(address: str, port: int, *, is_v6_only: bool = False) -> gsocket.socket:
    """Returns a socket that reserves a port for processes that `bind_shared` it, and does not listen. Raises OSError.

    The port is made shareable only after it was bound. So this fails on a port that another server shares.
    """
    sock = _tcp_socket(address)

    def hold() -> None:
        sock.bind((address, port))
        sock.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_REUSEPORT, 1)

    return _set_up(sock, is_v6_only, hold)


def _tcp_socket(address: str) -> gsocket.socket:
    return gsocket.socket(family_of(address), gsocket.SOCK_STREAM)


def _set_up(sock: gsocket.socket, is_v6_only: bool, bind_it: Callable[[], None]) -> gsocket.socket:
    try:
        sock.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_REUSEADDR, 1)
        if sock.family == gsocket.AF_INET6:
            sock.setsockopt(gsocket.IPPROTO_IPV6, gsocket.IPV6_V6ONLY, is_v6_only)
        bind_it()
    except BaseException:
        sock.close()
        raise
    return sock


def _listen(sock: gsocket.socket, address: str, port: int) -> None:
    set_connection_options(sock)
    sock.bind((address, port))
    sock.listen(BACKLOG)


def family_of(address: str) -> int:
    """Returns the family of an address."""
    return gsocket.AF_INET6 if ":" in address else gsocket.AF_INET


def bind_outgoing(sock: gsocket.socket, address: str) -> None:
    """Has a socket connect from this address of the machine. Raises OSError."""
    # The port is chosen when it connects: so one port serves connections to different servers.
    sock.setsockopt(gsocket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((address, 0))


def set_connection_options(sock: gsocket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
    # Every write is complete: a batch or a reply. Nagle's algorithm would only delay its last segment.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)


class _Listening(Protocol):
    def _accept(self) -> tuple[int, tuple[str, int]]: ...


def accept(sock: gsocket.socket) -> tuple[_socket.socket, tuple[str, int]]:
    """Returns the next connection as a bare non-blocking socket, which costs a tenth of gevent's, and its address.
    Raises BlockingIOError and other errors of accept(2). Never switches.
    """
    fd, address = cast(_Listening, sock)._accept()
    accepted = _socket.socket(sock.family, sock.type, sock.proto, fd)
    accepted.setblocking(False)
    return accepted, address


def is_bare(sock: object) -> TypeGuard[_socket.socket]:
    """Whether this is a bare socket. gevent's are no subclass of those, whatever the type stubs say."""
    return isinstance(sock, _socket.socket)


def attach(bare: _socket.socket) -> gsocket.socket:
    """Returns a bare socket's connection as gevent's object, on which greenlets can wait."""
    return gsocket.socket(bare.family, bare.type, bare.proto, bare.detach())


def detach(sock: gsocket.socket | _socket.socket) -> _socket.socket:
    """Returns the connection as a bare non-blocking socket, and closes gevent's object. The bare one takes a tenth of
    the memory, and its `send` never waits.
    """
    if is_bare(sock):
        return sock
    bare = _socket.socket(sock.family, sock.type, sock.proto, sock.detach())
    bare.setblocking(False)
    return bare


def has_closed(sock: gsocket.socket) -> bool:
    """Whether the peer has closed the connection, also while there are still bytes to read."""
    try:
        # The first byte of tcp_info is the state.
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_ESTABLISHED
    except OSError:
        return True


def peer_ip(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Returns the peer's address as text; an IPv4 address mapped into IPv6 is returned as IPv4."""
    return address[0].removeprefix("::ffff:")


def raise_file_limit() -> int:
    """Raises the soft limit of open files to the hard one. Returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20
