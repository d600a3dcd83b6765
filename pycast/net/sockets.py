"""Socket options, and why each is set. Nothing here reads or writes a stream."""

import _socket
import resource
import socket
from collections.abc import Callable

from gevent import socket as gsocket

# A listener that acknowledges nothing for this long is gone: set-top boxes lose power, phones lose the network, and no
# FIN comes.
USER_TIMEOUT_MS = 20_000

# Below the 350 s after which AWS's network balancer forgets a silent flow; 60 + 4 * 15 s to notice a dead peer.
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 60, 15, 4

# A player that reads slowly leaves its backlog in our ring, where it costs nothing, not in kernel memory. Room for a
# default burst.
NOTSENT_LOWAT = 128 << 10

# A reconnect storm arrives faster than any accept loop: 5,000 players within a second.
BACKLOG = 4096

# For SHOUTcast: free ports in pairs are not rare.
PAIR_TRIES = 20

# linux/tcp_states.h; all others mean that one side has closed.
TCP_ESTABLISHED = 1


def bind(address: str, port: int) -> gsocket.socket:
    """A listening TCP socket, port 0 for any free one. Raises OSError.

    Connections inherit the options (Linux copies them in accept), which saves a storm of players seven calls each.
    """
    sock = _tcp_socket(address)
    return _set_up(sock, lambda: _listen(sock, address, port))


def bind_shared(address: str, port: int) -> gsocket.socket:
    """As `bind`, on a port that other processes have bound in the same way: the kernel deals connections out to all
    who listen.
    """
    sock = _tcp_socket(address)

    def share() -> None:
        sock.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_REUSEPORT, 1)
        _listen(sock, address, port)

    return _set_up(sock, share)


def reserve(address: str, port: int) -> gsocket.socket:
    """A socket that holds a port for those who `bind_shared` it, and takes no connections itself. Raises OSError.

    The port is shared only after it was bound: so a port that another server shares already is taken, and not joined.
    """
    sock = _tcp_socket(address)

    def hold() -> None:
        sock.bind((address, port))
        sock.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_REUSEPORT, 1)

    return _set_up(sock, hold)


def _tcp_socket(address: str) -> gsocket.socket:
    return gsocket.socket(gsocket.AF_INET6 if ":" in address else gsocket.AF_INET, gsocket.SOCK_STREAM)


def _set_up(sock: gsocket.socket, bind_it: Callable[[], None]) -> gsocket.socket:
    try:
        sock.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_REUSEADDR, 1)
        if sock.family == gsocket.AF_INET6:
            # "::" takes IPv4 too, as Icecast does.
            sock.setsockopt(gsocket.IPPROTO_IPV6, gsocket.IPV6_V6ONLY, 0)
        bind_it()
    except BaseException:
        sock.close()
        raise
    return sock


def _listen(sock: gsocket.socket, address: str, port: int) -> None:
    set_connection_options(sock)
    sock.bind((address, port))
    sock.listen(BACKLOG)


def set_connection_options(sock: gsocket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
    # What we write is complete: batches, replies. Nagle would only hold back their ends.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT)


def detach(sock: gsocket.socket) -> _socket.socket:
    """Takes the connection out of gevent's hands: a bare non-blocking socket, a tenth of the memory, and `send` never
    waits.
    """
    bare = _socket.socket(sock.family, sock.type, sock.proto, sock.detach())
    bare.setblocking(False)
    return bare


def has_closed(sock: gsocket.socket) -> bool:
    """Whether the peer has closed the connection, also while there is still something to read."""
    try:
        # The first byte of tcp_info is the state.
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_ESTABLISHED
    except OSError:
        return True


def peer_ip(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """The peer's address as text; an IPv4 one that arrived over IPv6 is written as IPv4."""
    return address[0].removeprefix("::ffff:")


def raise_file_limit() -> int:
    """Raises the soft limit of open files to the hard one; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20
