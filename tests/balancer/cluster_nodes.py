"""A cluster of three nodes as conf/ has it, each on an address of its own of the loopback network, with the examples'
ports: plain HTTP, with a PROXY header, agent-check. What a balancer does before them is the example's own text.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pycast.testing import Cluster, Server
from pycast.testing.ports import Ports
from tests.balancer.nodes import CONF, PORTS, with_places
from tests.cluster_e2e.hearing import Report
from tests.cluster_e2e.nodes import MOUNT, metric
from tests.e2e.deadline import until
from tests.e2e.haproxy import HAProxy

TCP, HTTP = ":8000", ":80"
BACKENDS = ("nodes_tcp", "nodes_http")
NAMES = ("a", "b", "c")
CONNECTIONS = 8000
"""Of HAProxy: two descriptors each, of the 20,000 that the smallest machines allow."""


class Site:
    """`with site(…) as one:`; `one.cluster` are its nodes, `one.adapted(text)` an example with them in it."""

    def __init__(self, ports: Ports, **settings: Any) -> None:
        self._network = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}"
        self.addresses = [f"{self._network}.{number}" for number in range(1, 4)]
        self._ports = [ports.take(self.addresses) for _ in PORTS]
        # What a thousand listeners hear is judged by them; dumps would only keep the disk busy.
        settings.setdefault("mount", [{"type": "default", "dump_file": ""}])
        settings.setdefault("source_grace", 10)
        self.cluster = Cluster(3, hosts=self.addresses, advertise=self._advertise, build=self._node, **settings)

    def adapted(self, text: str) -> str:
        """Returns an example with these nodes' addresses and ports. All else stays, the pace of the checks too."""
        return with_places(text.replace("maxconn 50000", f"maxconn {CONNECTIONS}"), self._network, self._ports)

    @property
    def port(self) -> int:
        """For plain HTTP, on each node."""
        return self._ports[0]

    def is_complete(self) -> bool:
        """Whether each node knows all others."""
        return all(metric(server, "pycast_cluster_nodes", status="up") == 3 for server in self.cluster)

    def source_node(self) -> str:
        """Returns the node to which the encoder is connected."""
        (name,) = [name for name in NAMES if metric(self.cluster[name], "pycast_sources")]
        return name

    def wait_for_mount(self, mount: str = MOUNT, on: Sequence[str] = NAMES) -> None:
        """Returns once these nodes serve it."""
        self.cluster.wait_for_mount(mount, on)

    def _advertise(self, name: str, address: str) -> str:
        return f"{address.rpartition(':')[0]}:{self._ports[0]}"

    def _node(self, name: str, settings: Mapping[str, Any]) -> Server:
        http, proxied, agent = self._ports
        address = self.addresses[NAMES.index(name)]
        trusted = {"bind_address": address, "trusted_proxies": ["127.0.0.1"]}
        return Server(
            **{
                **settings,
                "listen": [
                    {**trusted, "port": http},
                    {**trusted, "port": proxied, "proxy_protocol": True, "serves": ["listeners", "sources"]},
                ],
                "balancer": {"agent_address": address, "agent_port": agent},
            }
        )


@contextmanager
def site(**settings: Any) -> Iterator[Site]:
    """Starts three nodes that know each other."""
    with Ports() as ports:
        one = Site(ports, **settings)
        with one.cluster:
            until(one.is_complete, "three nodes")
            yield one


@contextmanager
def behind_haproxy(one: Site) -> Iterator[HAProxy]:
    """Starts HAProxy with conf/haproxy.cfg before them. Returns once it has the state of every node."""
    with HAProxy(one.adapted((CONF / "haproxy.cfg").read_text()), [TCP, HTTP]) as proxy:
        wait_for_all(proxy, status="UP", check="L7OK", agent="L7OK")
        yield proxy


def wait_for_all(proxy: HAProxy, names: Sequence[str] = NAMES, **wanted: object) -> None:
    """Returns once HAProxy sees these nodes so, for both ways in."""
    for backend in BACKENDS:
        for name in names:
            proxy.wait_for(f"{backend}/{name}", **wanted)


def connected_listeners(one: Site, names: Sequence[str] = NAMES) -> dict[str, int]:
    """Returns how many listeners each of these nodes has."""
    return {name: int(metric(one.cluster[name], "pycast_listeners")) for name in names}


def audio_again_s(reports: Sequence[Report], since: float) -> list[float]:
    """Returns the seconds after which each of these listeners, which were cut off, had audio again, in order."""
    return sorted(report.connections[-1].first_audio - since for report in reports)
