"""The addresses of nodes behind a DNS name (`cluster.dns`)."""

from gevent import socket

from pycast.cluster.link.link import join_address, split_address


def addresses_of(dns: str, own_address: str) -> list[str]:
    """Returns the addresses of the nodes. Their port is in `dns`, or it is that of `own_address`. Raises OSError. May
    switch.
    """
    host, port = _name_and_port(dns, own_address)
    return [join_address(str(where[0]), port) for *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _name_and_port(dns: str, own_address: str) -> tuple[str, int]:
    if ":" in dns and dns.rpartition(":")[2].isdecimal():
        return split_address(dns)
    return dns, split_address(own_address)[1]
