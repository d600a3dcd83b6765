"""Nodes for the examples in conf/: each on an address of its own of the loopback network, so that an example needs
other numbers and nothing else to run here.

They are single servers, not a cluster: a balancer gets the same from both.
"""

import random
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pycast.testing import Server
from pycast.testing.ports import Ports
from tests.e2e.wire import Wire

CONF = Path(__file__).parents[2] / "conf"
PORTS = (8000, 8001, 8002)
"""In the examples: HTTP, with a PROXY header, agent-check."""


def with_places(text: str, network: str, ports: Sequence[int]) -> str:
    """Returns an example with its nodes' addresses in `network`, such as "127.3.4", and `ports` instead of PORTS."""
    for before, port in zip(PORTS, ports, strict=True):
        named = re.compile(rf"^(\s*(?:default-)?server\b.*\b){before}\b", re.MULTILINE)
        text = named.sub(rf"\g<1>{port}", text)
    return text.replace("10.0.0.", f"{network}.")


def with_quick_checks(text: str) -> str:
    """Returns an example whose checks are as patient as they were, but come every 50 ms."""
    # Without a timeout of its own a check has as long as the time between two: on a busy machine 50 ms is too short.
    quick = re.sub(r"\b((?:agent-)?inter) 2s", r"\1 50ms", text)
    return re.sub(r"^( *)timeout connect .*$", r"\g<0>\n\1timeout check 2s", quick, flags=re.MULTILINE)


@dataclass(slots=True)
class Node:
    """One server, and the connections that take its slots."""

    server: Server
    address: str
    agent_port: int
    clients: int
    """How many it takes."""
    _idle: list[Wire] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port

    def fill(self) -> None:
        """Takes all its client slots, with connections that send nothing."""
        self._idle += [Wire(self.port, self.address) for _ in range(self.clients)]
        self.server.wait_until(lambda: self.server.get("/metrics")[0] == 503, 5, "the server to be full")

    def leave(self) -> None:
        """Frees the slots again."""
        while self._idle:
            self._idle.pop().close()

    def ask_agent(self) -> bytes:
        """Returns the line that HAProxy's agent-check gets."""
        with socket.create_connection((self.address, self.agent_port), 5) as sock:
            line = b""
            while data := sock.recv(100):
                line += data
            return line


class Nodes:
    """`with Nodes(3, clients=5) as nodes:`; `nodes.adapt(text)` puts their addresses and ports into an example."""

    def __init__(self, count: int, **settings: Any) -> None:
        network = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}"
        self.addresses = [f"{network}.{number}" for number in range(1, 4)]
        self._held = Ports()
        self._network = network
        self._ports = [self._held.take(self.addresses) for _ in PORTS]
        self.nodes = [self._node(address, settings) for address in self.addresses[:count]]

    def __enter__(self) -> Self:
        try:
            with ThreadPoolExecutor() as pool:  # most of a start is waiting
                list(pool.map(lambda node: node.server.start(), self.nodes))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def adapt(self, text: str) -> str:
        """Returns an example with these nodes in it, with frequent checks, for a machine with few files."""
        return with_places(with_quick_checks(text.replace("maxconn 50000", "maxconn 2000")), self._network, self._ports)

    def _node(self, address: str, settings: dict[str, Any]) -> Node:
        http, proxied, agent = self._ports
        listen = [
            {"bind_address": address, "port": http, "trusted_proxies": ["127.0.0.1"]},
            {"bind_address": address, "port": proxied, "proxy_protocol": True, "trusted_proxies": ["127.0.0.1"]},
        ]
        balancer = {"agent_address": address, "agent_port": agent}
        server = Server(listen=listen, balancer=balancer, **settings)
        server.host = address
        return Node(server, address, agent, int(settings.get("clients", 0)))

    def _stop(self) -> None:
        for node in self.nodes:
            node.leave()
            node.server.stop()
        self._held.release()
