"""Every key of the configuration, once: its name, type, default, bounds and the sentence that explains it; those of a
mount are in mount_settings.py.

The sample file conf/pycast.toml, the tables in docs/configuration.md (reference.py), the import of icecast.xml and the
list of keys that need a restart are made from here, so a key is added by adding one entry. A `Config` is frozen: a
reload makes a new one and swaps it.

Names are Icecast's with "-" turned into "_", in the section that groups them in icecast.xml; `icecast` says where the
name differs, or that Icecast has no such setting. What this file does not do: read files or the environment (load.py),
or checks that need two keys at once (rules.py).
"""

from functools import cached_property
from typing import Literal

from pycast import __version__
from pycast.config.mount_settings import MountSection, MountSettings, MountTable
from pycast.config.section import Section, key
from pycast.config.units import Size
from pycast.config.values import (
    Addresses,
    Bits,
    Flag,
    Fraction,
    Headers,
    LogLevel,
    MaybeMountName,
    Networks,
    RequiredText,
    Seconds,
    Secret,
    Span,
    Text,
    Urls,
    Whole,
)

__all__ = [
    "AuthenticationSection",
    "BalancerSection",
    "ClusterSection",
    "Config",
    "DrainSection",
    "LimitsSection",
    "ListenSection",
    "LoggingSection",
    "MountSection",
    "MountSettings",
    "ServerSection",
    "Size",
    "TlsSection",
]


class ServerSection(Section):
    """Who this server is."""

    hostname: RequiredText = key(
        "localhost", "The name by which listeners reach this server. It stands in playlists and in listenurl."
    )
    location: Text = key("Earth", "Where the server is: free text for the status page and the statistics.")
    admin: Text = key("webmaster@localhost", "How to reach whoever runs the server: free text, usually an address.")
    server_id: RequiredText = key(f"pycast {__version__}", 'What the "Server" header says.', example="Icecast 2.4.4")
    workers: Whole = key(
        1,
        "Processes on this machine. They share the ports and are nodes of a cluster to each other: a source on one is "
        "heard on all. 0: one for each core.",
        ge=0,
        le=256,
        restart=True,
        icecast=(),
    )
    drain: Flag = key(
        False,
        "Whether SIGTERM drains, as `pycast drain` does, before the server stops. A second SIGTERM stops at once.",
        icecast=(),
    )


class ListenSection(Section):
    """A port to listen on. Repeat the section for more ports."""

    bind_address: RequiredText = key("0.0.0.0", 'The address to listen on. "::" takes IPv6 and IPv4.', restart=True)
    port: Whole = key(8000, "The TCP port. 0 takes any free one (see --ready-file).", ge=0, le=65535, restart=True)
    tls: Flag = key(
        False,
        "Whether clients speak TLS on this port. Needs the certificate in [tls].",
        restart=True,
        icecast=("tls", "ssl"),
    )
    shoutcast_mount: MaybeMountName = key(
        "",
        "If set, SHOUTcast v1 sources are accepted on the next port (8001 for 8000) and feed this mount, "
        'such as "/stream".',
        restart=True,
    )
    proxy_protocol: Flag = key(
        False,
        "Whether every connection must begin with a PROXY header (version 1 or 2), in which a balancer in TCP mode "
        "names its client. Others are closed. If false, only trusted_proxies may send one.",
        restart=True,
        icecast=(),
    )
    trusted_proxies: Networks = key(
        (),
        'Addresses of proxies and balancers, such as ["10.0.0.0/8", "192.0.2.7"], whose word for the address of their '
        "clients is taken: X-Forwarded-For, X-Forwarded-Proto, Forwarded, and PROXY headers. If not empty, nobody else "
        "may send a PROXY header.",
        restart=True,
        icecast=(),
    )


class LimitsSection(Section):
    """How much, and how long. The keys from queue_size on hold for every mount that does not set its own."""

    clients: Whole = key(10000, "Connections at the same time: listeners, sources and all others.", ge=1)
    sources: Whole = key(100, "Sources at the same time.", ge=0)
    client_timeout: Seconds = key(30.0, "How long a client may take to read a reply before it is dropped.", gt=0)
    header_timeout: Seconds = key(15.0, "How long a client may take to send its request head.", gt=0)
    accept_rate: Whole = key(
        0,
        "Connections taken in a second on each port; others wait meanwhile, and none is refused. 0: no limit.",
        ge=0,
        icecast=(),
    )
    half_close_grace: Seconds = key(
        0.0,
        "How long a listener is kept that has closed its sending side, as odd players do after their request. Behind "
        "balancers that is how a listener who left looks, so by default it is let go at once.",
        le=3600,
        icecast=(),
    )
    flush_interval: Seconds = key(
        0.5,
        "The longest time audio is gathered before it is written to the listeners. The server takes less by itself "
        "while few listeners are connected; with many, a larger value costs less CPU and adds as much delay.",
        ge=0.02,
        le=10,
        icecast=(),
    )
    queue_size: Span = key(
        Size(bytes=512 * 1024), "How far a listener may fall behind before it is dropped as too slow."
    )
    burst_size: Span = key(
        Size(bytes=64 * 1024),
        "How much past audio a new listener gets at once, so that its player starts without delay. 0 turns it off.",
    )
    source_timeout: Seconds = key(10.0, "A source that sends nothing for this long is dropped.", gt=0)
    source_grace: Seconds = key(
        5.0, "How long listeners are kept when a source ends, so that they hear it when it comes back.", icecast=()
    )
    source_takeover: Flag = key(
        True,
        "Whether a source that connects again with the same credentials replaces its own earlier connection "
        "when that one is dead or silent.",
        icecast=(),
    )


class AuthenticationSection(Section):
    """Who may log in. Change the three passwords: these defaults are known to everybody."""

    source_user: RequiredText = key("source", "The name with which sources (encoders) log in.")
    source_password: Secret = key("hackme", "The password of sources. A mount can have its own.")
    relay_user: RequiredText = key("relay", "The name with which other servers log in.")
    relay_password: Secret = key("hackme", "The password of other servers.")
    admin_user: RequiredText = key("admin", "The name for everything below /admin/.")
    admin_password: Secret = key("hackme", "The password for everything below /admin/.")


class ClusterSection(Section):
    """Several nodes that are one server: any node takes any source and serves any mount. On as soon as there is a
    secret."""

    name: RequiredText = key("radio", "The cluster's name. Nodes of another name are strangers.", restart=True)
    node: Text = key("", "This node's name, unlike all others. Empty: what advertise says.", example="a", restart=True)
    advertise: Text = key(
        "",
        "Host and port at which the other nodes reach this one. Empty: the host's own address and the first port that "
        "listens without proxy_protocol.",
        example="10.0.0.1:8000",
        restart=True,
    )
    secret: Text = key(
        "",
        "What all nodes know and nobody else: with it they prove themselves to each other. Empty: no cluster.",
        restart=True,
    )
    registry: Literal["mesh", "etcd"] = key(
        "mesh",
        'Where nodes find each other and agree on who has which source. "mesh": among themselves, nothing else to run. '
        '"etcd": an etcd of version 3.4 or newer, for large or automatically scaled fleets.',
        restart=True,
    )
    peers: Addresses = key(
        (), 'For "mesh": other nodes, such as ["10.0.0.2:8000"]. One that runs is enough to join.', restart=True
    )
    dns: Text = key(
        "",
        'For "mesh": a name, such as "nodes.radio.internal:8000", whose A and AAAA records are the nodes. It is asked '
        "again and again. Without a port, this node's own is taken.",
        restart=True,
    )
    etcd: Urls = key((), 'For "etcd": its members, such as ["http://10.0.0.9:2379"].', restart=True)
    zone: Text = key(
        "",
        "The availability zone. A mount crosses the line to another zone once, whatever the number of nodes.",
        example="eu-west-1a",
        restart=True,
    )
    mirror: Literal["on_demand", "always"] = key(
        "on_demand",
        'When this node pulls a mount from the node that has its source: "on_demand" with the first listener, '
        '"always" at once.',
    )
    on_conflict: Literal["standby", "reject", "take_over"] = key(
        "standby",
        'What a second source for a mount gets: "standby" keeps it connected, and it goes on when the first one ends; '
        '"reject" refuses it, as Icecast does; "take_over": the newest wins, and the old one stands by.',
    )
    tls: Flag = key(
        False, "Whether nodes speak TLS with each other; advertise then names a port with tls = true.", restart=True
    )
    tls_ca: Text = key(
        "", "A PEM file with who may have signed the other nodes' certificates. Empty: the system's list.", restart=True
    )
    link_port: Whole = key(
        0,
        "With several workers: worker k talks to the other nodes on this port + k. 0: free ports of the loopback "
        "interface, which is enough if all nodes are workers of this machine.",
        ge=0,
        le=65000,
        restart=True,
    )
    state_file: Text = key(
        "",
        "A file that keeps the last known state of the cluster: a node that starts while etcd, the name server, or the "
        "nodes that `peers` names are away knows the others.",
        example="/var/lib/pycast/cluster.json",
        restart=True,
    )


class DrainSection(Section):
    """How the node empties itself before it stops: `pycast drain`, or SIGTERM with server.drain."""

    readiness: Literal["fail", "hold"] = key(
        "fail",
        'What /readyz says meanwhile. "fail" is right for HAProxy, ALB, Kubernetes. "hold" is right for AWS\'s network '
        "balancer, which resets the connections of a target that turns unhealthy.",
    )
    lead: Seconds = key(
        30.0,
        "How long the balancer gets to send new listeners elsewhere before the first one is touched. For AWS's network "
        "balancer: 150.",
    )
    rate: Fraction = key(0.02, "Which part of the listeners is let go in each second after that.", gt=0, le=1)
    deadline: Seconds = key(300.0, "After this time in all the node stops, whoever is still there.", gt=0)


class BalancerSection(Section):
    """What the node tells the balancer in front of it about its headroom."""

    agent_address: RequiredText = key("0.0.0.0", "Where HAProxy's agent-check connects to.", restart=True)
    agent_port: Whole = key(0, "The port for it. 0: none.", ge=0, le=65535, restart=True)
    egress: Bits = key(0, 'What the network takes, in bit/s or with a unit: "950M", "10G". 0: not known, and no limit.')


class LoggingSection(Section):
    """Where the logs go: a file, "-" for stderr, "" for nowhere. SIGHUP opens the files anew."""

    access_log: Text = key(
        "-", "One line for each request, in the format of Icecast and Apache.", icecast=("accesslog",)
    )
    error_log: Text = key("-", "What the server does and what goes wrong.", icecast=("errorlog",))
    playlist_log: Text = key("", "One line for each title that is played.", icecast=("playlistlog",))
    log_level: LogLevel = key(
        "info", 'How much the error log tells: "debug", "info", "warning" or "error".', icecast=("loglevel",)
    )


class TlsSection(Section):
    """The certificate for [[listen]] sections with tls = true. Read again when the files change."""

    certificate: Text = key(
        "",
        "A PEM file: the certificate, then those that signed it.",
        restart=True,
        icecast=("ssl-certificate", "tls-certificate"),
    )
    private_key: Text = key(
        "",
        "The PEM file of its key. Empty: the key is in the certificate's file.",
        restart=True,
        icecast=("ssl-private-key", "tls-key"),
    )


class Config(Section):
    """The whole configuration."""

    server: ServerSection = key(ServerSection())
    listen: tuple[ListenSection, ...] = key((ListenSection(),))
    limits: LimitsSection = key(LimitsSection())
    authentication: AuthenticationSection = key(AuthenticationSection())
    mount: tuple[MountSection, ...] = key(())
    http_headers: Headers = key(
        {"Access-Control-Allow-Origin": "*"},
        "Headers of every reply. This one lets web pages of other sites play the streams and read status-json.xsl.",
    )
    logging: LoggingSection = key(LoggingSection())
    tls: TlsSection = key(TlsSection())
    cluster: ClusterSection = key(ClusterSection())
    drain: DrainSection = key(DrainSection())
    balancer: BalancerSection = key(BalancerSection())

    @property
    def is_clustered(self) -> bool:
        """Whether this node is one of a cluster."""
        return bool(self.cluster.secret)

    def for_mount(self, name: str) -> MountSettings:
        """Every setting of the mount `name` as it holds, whether the file names the mount or not. Cheap: cached."""
        return self._mount_table.settings(name)

    @cached_property
    def _mount_table(self) -> MountTable:
        inherited = {name: self._value_at(one.inherits) for name, one in MountSettings.KEYS.items() if one.inherits}
        if not self.is_clustered:
            # Alone, a second source for a mount is refused, as Icecast does; in a cluster it stands by.
            inherited["on_conflict"] = "reject"
        return MountTable(self.mount, inherited, self.http_headers)

    def _value_at(self, dotted: str) -> object:
        section, name = dotted.split(".")
        return getattr(getattr(self, section), name)
