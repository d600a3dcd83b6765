"""The keys of the sections for clusters and balancers, like those of schema.py: each written once, with type, default,
bounds and the sentence that explains it.
"""

from typing import Literal

from pycast.config.address_values import Addresses, MaybeDnsName, MaybeNodeAddress, Urls
from pycast.config.section import Section, key
from pycast.config.values import Bits, Flag, Fraction, MaybeSecret, RequiredText, Seconds, Text, Whole


class ClusterSection(Section):
    """Several nodes that act as one server: any of them takes any source and serves any mount. On if secret is set."""

    name: RequiredText = key("radio", "The cluster's name. Only nodes with the same name can join.", restart=True)
    node: Text = key(
        "", "This node's name, unique in the cluster. Empty: the value of advertise.", example="a", restart=True
    )
    advertise: MaybeNodeAddress = key(
        "",
        "Host and port at which the other nodes reach this one. Empty: the machine's own address and the first port "
        "without proxy_protocol.",
        example="10.0.0.1:8000",
        restart=True,
    )
    secret: MaybeSecret = key(
        "",
        "A secret that all nodes share; they authenticate each other with it. Empty: no cluster.",
        restart=True,
    )
    registry: Literal["mesh", "etcd"] = key(
        "mesh",
        'How nodes find each other and agree on which node has which source. "mesh": among themselves, with nothing '
        'else to run. "etcd": through etcd 3.4 or newer, for large or automatically scaled clusters.',
        restart=True,
    )
    peers: Addresses = key(
        (), 'For "mesh": other nodes, such as ["10.0.0.2:8000"]. One that is up is enough to join.', restart=True
    )
    dns: MaybeDnsName = key(
        "",
        'For "mesh": a DNS name, such as "nodes.radio.internal:8000", whose A and AAAA records are the nodes. It is '
        "looked up repeatedly. Without a port, this node's own port is used.",
        restart=True,
    )
    etcd: Urls = key((), 'For "etcd": the URLs of its members, such as ["http://10.0.0.9:2379"].', restart=True)
    zone: Text = key(
        "",
        "The availability zone. A mount is sent to another zone only once, whatever the number of nodes there.",
        example="eu-west-1a",
        restart=True,
    )
    mirror: Literal["on_demand", "always"] = key(
        "on_demand",
        'When this node mirrors a mount whose source is on another node: "on_demand" when its first listener connects, '
        '"always" at once.',
    )
    on_conflict: Literal["standby", "reject", "take_over"] = key(
        "standby",
        'What happens to a second source for a mount. "standby": it stays connected and goes on the air when the first '
        'one ends. "reject": it is refused, as Icecast does. "take_over": it goes on the air, and the first one stands '
        "by.",
    )
    tls: Flag = key(
        False, "Whether nodes use TLS with each other. The port in advertise must then have tls = true.", restart=True
    )
    tls_ca: Text = key(
        "", "A PEM file with the authorities that sign the nodes' certificates. Empty: the system's list.", restart=True
    )
    link_port: Whole = key(
        0,
        "With several workers: the other nodes reach worker k on this port + k. 0: free ports of the loopback "
        "interface, which is enough if all nodes are workers of this machine.",
        ge=0,
        le=65000,
        restart=True,
    )
    state_file: Text = key(
        "",
        "A file that keeps the last known state of the cluster. With it a node knows the others even if it starts "
        "while etcd, the name server or the nodes in `peers` are down.",
        example="/var/lib/pycast/cluster.json",
        restart=True,
    )


class DrainSection(Section):
    """How the node is drained before it stops, by `pycast drain` or by SIGTERM with server.drain."""

    readiness: Literal["fail", "hold"] = key(
        "fail",
        'What /readyz answers during a drain. "fail" is right for HAProxy, ALB and Kubernetes. "hold" is right for '
        "AWS's network balancer, which resets the connections of a target that turns unhealthy.",
    )
    lead: Seconds = key(
        30.0,
        "How long the drain waits for the balancer to send new listeners elsewhere, before it disconnects the first "
        "one. For AWS's network balancer: 150.",
    )
    rate: Fraction = key(0.02, "The part of the listeners that is disconnected in each second after that.", gt=0, le=1)
    deadline: Seconds = key(
        300.0, "The longest time a drain may take. After it the remaining listeners are disconnected.", gt=0
    )


class BalancerSection(Section):
    """What the node reports about its headroom to the balancer in front of it."""

    agent_address: RequiredText = key("0.0.0.0", "The address to listen on for HAProxy's agent-check.", restart=True)
    agent_port: Whole = key(0, "The port for it. 0: off.", ge=0, le=65535, restart=True)
    egress: Bits = key(
        0, 'The capacity of the network, in bit/s or with a unit: "950M", "10G". 0: unknown, and no limit.'
    )
