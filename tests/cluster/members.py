"""Nodes in one process that are a cluster: `Host` with a mesh, mirrors and a `ClusterMember`.

Helpers only. Invariant: after `stop` nothing of it is left.
"""

from typing import Any

from gevent import socket

from pycast.cluster.link.link import READ_SIZE
from pycast.cluster.link.questions import Ping
from pycast.cluster.member import AnnouncedLoad, ClusterMember
from pycast.cluster.mirror.mirrors import Mirrors
from pycast.cluster.registry.records import NodeRecord
from pycast.errors import Refused
from pycast.http.request import HeadReader
from tests.cluster.hosts import Host


class Member(Host):
    """One node, configured with the addresses of `others`."""

    def __init__(self, name: str, *others: Host, **settings: Any) -> None:
        super().__init__()
        peers = [other.address for other in others]
        self.configure(**{"node": name, "advertise": self.address, "peers": peers} | settings)
        self.is_node(NodeRecord("", self.own.now.boot, ""))  # until it joins
        self.registry = self.mesh()
        self.mirrors = Mirrors(
            self.settings,
            self.own,
            self.connector,
            self.peers,
            self.mounts,
            self.lineages,
            self.registry.state,
            self.children,
            lambda name: False,
            self.group,
            self.clock,
        )
        self.load = AnnouncedLoad(slots=100, used=0, listeners=0, weight=100)
        self.member = ClusterMember(
            self.settings,
            self.own,
            self.registry,
            self.connector,
            self.peers,
            self.answers,
            self.mirrors,
            self.mirror_server,
            lambda: self.load,
            self.group,
        )
        self.answers.on(Ping, self.member.on_ping)

    def join(self, machine: str = "") -> "Member":
        self.member.start(int(self.address.rpartition(":")[2]), machine)
        return self

    def sees(self, other: "Member") -> NodeRecord | None:
        """Returns the other node's record if it is up."""
        return next((node for node in self.member.others() if node.node == other.own.now.node), None)

    def stop(self) -> None:
        self.member.stop()
        super().stop()

    def _connection(self, sock: socket.socket) -> None:
        """Accepts a link as the server does."""
        reader, request = HeadReader(), None
        try:
            while request is None:
                data = sock.recv(READ_SIZE)
                if not data:
                    return
                request = reader.feed(data)
            self.member.serve(sock, request, reader.rest, "another node", lambda: None)
        except OSError as error:
            self.refused.append(str(error))
        except Refused as error:
            self.refuse(sock, error)
        finally:
            sock.close()


class Fleet:
    """Members that are stopped together."""

    def __init__(self) -> None:
        self.members: list[Member] = []

    def join(self, name: str, machine: str = "", **settings: Any) -> Member:
        """Makes a node that joins all before it."""
        member = Member(name, *self.members, **settings)
        self.members.append(member)
        return member.join(machine)

    def stop(self) -> None:
        for member in self.members:
            member.stop()
