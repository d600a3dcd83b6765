"""Every key of the configuration, once: its name, type, default, bounds and the sentence that explains it.

The sample file conf/pycast.toml and the table in docs/configuration.md are made from here (reference.py), so a key is
added by adding one line. A `Config` is frozen: a reload makes a new one and swaps it.

Names are Icecast's with "-" turned into "_", in the section that groups them in icecast.xml. What this file does not
do: read files or the environment (load.py), or checks that need two keys at once (rules.py).
"""

from functools import cached_property
from typing import Literal

from pycast import __version__
from pycast.config.mount_settings import MountSettings, MountTable
from pycast.config.units import Size
from pycast.config.values import (
    Addresses,
    Bitrate,
    Bits,
    Charset,
    Flag,
    Fraction,
    Headers,
    LogLevel,
    MaybeMountName,
    MountName,
    Networks,
    Public,
    RequiredText,
    Seconds,
    Secret,
    Section,
    Span,
    Text,
    Urls,
    Whole,
    key,
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
    )
    drain: Flag = key(
        False,
        "Whether SIGTERM drains, as `pycast drain` does, before the server stops. A second SIGTERM stops at once.",
    )


class ListenSection(Section):
    """A port to listen on. Repeat the section for more ports."""

    bind_address: RequiredText = key("0.0.0.0", 'The address to listen on. "::" takes IPv6 and IPv4.')
    port: Whole = key(8000, "The TCP port. 0 takes any free one (see --ready-file).", ge=0, le=65535)
    tls: Flag = key(False, "Whether clients speak TLS on this port. Needs the certificate in [tls].")
    shoutcast_mount: MaybeMountName = key(
        "",
        "If set, SHOUTcast v1 sources are accepted on the next port (8001 for 8000) and feed this mount, "
        'such as "/stream".',
    )
    proxy_protocol: Flag = key(
        False,
        "Whether every connection must begin with a PROXY header (version 1 or 2), in which a balancer in TCP mode "
        "names its client. Others are closed. If false, only trusted_proxies may send one.",
    )
    trusted_proxies: Networks = key(
        (),
        'Addresses of proxies and balancers, such as ["10.0.0.0/8", "192.0.2.7"], whose word for the address of their '
        "clients is taken: X-Forwarded-For, X-Forwarded-Proto, Forwarded, and PROXY headers. If not empty, nobody else "
        "may send a PROXY header.",
    )


class LimitsSection(Section):
    """How much, and how long. The keys from queue_size on hold for every mount that does not set its own."""

    clients: Whole = key(10000, "Connections at the same time: listeners, sources and all others.", ge=1)
    sources: Whole = key(100, "Sources at the same time.", ge=0)
    client_timeout: Seconds = key(30.0, "How long a client may take to read a reply before it is dropped.", gt=0)
    header_timeout: Seconds = key(15.0, "How long a client may take to send its request head.", gt=0)
    accept_rate: Whole = key(
        0, "Connections taken in a second on each port; others wait meanwhile, and none is refused. 0: no limit.", ge=0
    )
    half_close_grace: Seconds = key(
        0.0,
        "How long a listener is kept that has closed its sending side, as odd players do after their request. Behind "
        "balancers that is how a listener who left looks, so by default it is let go at once.",
        le=3600,
    )
    flush_interval: Seconds = key(
        0.5,
        "The longest time audio is gathered before it is written to the listeners. The server takes less by itself "
        "while few listeners are connected; with many, a larger value costs less CPU and adds as much delay.",
        ge=0.02,
        le=10,
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
        5.0, "How long listeners are kept when a source ends, so that they hear it when it comes back."
    )
    source_takeover: Flag = key(
        True,
        "Whether a source that connects again with the same credentials replaces its own earlier connection "
        "when that one is dead or silent.",
    )


class AuthenticationSection(Section):
    """Who may log in. Change the three passwords: these defaults are known to everybody."""

    source_user: RequiredText = key("source", "The name with which sources (encoders) log in.")
    source_password: Secret = key("hackme", "The password of sources. A mount can have its own.")
    relay_user: RequiredText = key("relay", "The name with which other servers log in.")
    relay_password: Secret = key("hackme", "The password of other servers.")
    admin_user: RequiredText = key("admin", "The name for everything below /admin/.")
    admin_password: Secret = key("hackme", "The password for everything below /admin/.")


class MountSection(Section):
    """Settings of one mount. Needed only for mounts that differ from [limits] and [authentication]."""

    mount_name: MountName | None = key(
        None,
        "The mount, or a pattern: * ? and [abc] match within one part of the path. An exact name wins over a pattern, "
        "and an earlier pattern over a later one.",
        example="/live.mp3",
    )
    type: Literal["normal", "default"] = key(
        "normal", 'A section of type "default" gives values to every mount that does not set its own.'
    )
    username: RequiredText | None = key(None, "Its own source user.", example="source")
    password: Secret | None = key(None, "Its own source password.", example="secret")
    max_listeners: Whole | None = key(None, "Listeners at the same time. -1: no limit.", example=-1, ge=-1)
    max_listener_duration: Seconds | None = key(
        None, "After this time a listener is disconnected. 0: never.", example=0
    )
    fallback_mount: MaybeMountName | None = key(
        None,
        "Where listeners go on while this mount has no source: another mount with the same kind of stream, which may "
        "have a fallback itself.",
        example="/backup.mp3",
    )
    fallback_override: Flag | None = key(
        None, "Whether they come back when this mount has a source again.", example=True
    )
    fallback_when_full: Flag | None = key(
        None, "Whether listeners for whom this mount has no room get the fallback mount.", example=False
    )
    dump_file: Text | None = key(
        None,
        "Where to record what the source sends. %Y, %m, %d, %H, %M and %S stand for the time the source connected, "
        "{mount} for the mount's name. A file that exists is continued.",
        example="/var/spool/pycast/live-%Y%m%d-%H%M%S.mp3",
    )
    hidden: Flag | None = key(None, "Keeps the mount off the status page and status-json.xsl.", example=False)
    public: Public = key(
        None, "Whether directories may list the mount. Unset (or Icecast's -1): the source decides.", example=False
    )
    burst_size: Span | None = key(None, "As in [limits], but for this mount.", example="64k")
    queue_size: Span | None = key(None, "As in [limits], but for this mount.", example="512k")
    source_timeout: Seconds | None = key(None, "As in [limits], but for this mount.", gt=0, example=10)
    source_grace: Seconds | None = key(None, "As in [limits], but for this mount.", example=5)
    source_takeover: Flag | None = key(None, "As in [limits], but for this mount.", example=True)
    on_conflict: Literal["standby", "reject", "take_over"] | None = key(
        None, 'As in [cluster], but for this mount. Without a cluster: "reject".', example="standby"
    )
    mp3_metadata_interval: Whole | None = key(
        None, "Bytes of audio between two titles in the stream. 0: no titles.", example=16000, ge=0, le=1 << 24
    )
    charset: Charset | None = key(
        None, "The character set of titles that do not name their own, and of titles sent to players.", example="UTF-8"
    )
    stream_name: Text | None = key(None, "Replaces the name that the source sends.", example="Radio Example")
    stream_description: Text | None = key(None, "Replaces the source's description.", example="All day, all night")
    stream_url: Text | None = key(None, "Replaces the source's address.", example="https://radio.example.org/")
    genre: Text | None = key(None, "Replaces the source's genre.", example="various")
    bitrate: Bitrate | None = key(None, "Replaces the source's bitrate, in kbit/s.", example="128")
    on_connect: Text | None = key(
        None,
        "A program to run when a source connects, with the mount's name as its argument.",
        example="/usr/local/bin/on-air",
    )
    on_disconnect: Text | None = key(
        None, "A program to run when the source is gone, in the same way.", example="/usr/local/bin/off-air"
    )
    http_headers: Headers | None = key(
        None,
        "Headers of replies to listeners, added to [http_headers]; one of the same name replaces it, "
        "an empty one removes it.",
        example={"X-Station": "demo"},
    )


class ClusterSection(Section):
    """Several nodes that are one server: any node takes any source and serves any mount. On as soon as there is a
    secret."""

    name: RequiredText = key("radio", "The cluster's name. Nodes of another name are strangers.")
    node: Text = key("", "This node's name, unlike all others. Empty: what advertise says.", example="a")
    advertise: Text = key(
        "",
        "Host and port at which the other nodes reach this one. Empty: the host's own address and the first port that "
        "listens without proxy_protocol.",
        example="10.0.0.1:8000",
    )
    secret: Text = key(
        "", "What all nodes know and nobody else: with it they prove themselves to each other. Empty: no cluster."
    )
    registry: Literal["mesh", "etcd"] = key(
        "mesh",
        'Where nodes find each other and agree on who has which source. "mesh": among themselves, nothing else to run. '
        '"etcd": an etcd of version 3.4 or newer, for large or automatically scaled fleets.',
    )
    peers: Addresses = key((), 'For "mesh": other nodes, such as ["10.0.0.2:8000"]. One that runs is enough to join.')
    dns: Text = key(
        "",
        'For "mesh": a name, such as "nodes.radio.internal:8000", whose A and AAAA records are the nodes. It is asked '
        "again and again. Without a port, this node's own is taken.",
    )
    etcd: Urls = key((), 'For "etcd": its members, such as ["http://10.0.0.9:2379"].')
    zone: Text = key(
        "",
        "The availability zone. A mount crosses the line to another zone once, whatever the number of nodes.",
        example="eu-west-1a",
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
    tls: Flag = key(False, "Whether nodes speak TLS with each other; advertise then names a port with tls = true.")
    tls_ca: Text = key(
        "", "A PEM file with who may have signed the other nodes' certificates. Empty: the system's list."
    )
    link_port: Whole = key(
        0,
        "With several workers: worker k talks to the other nodes on this port + k. 0: free ports of the loopback "
        "interface, which is enough if all nodes are workers of this machine.",
        ge=0,
        le=65000,
    )
    state_file: Text = key(
        "",
        "A file that keeps the last known state of the cluster: a node that starts while etcd, the name server, or the "
        "nodes that `peers` names are away knows the others.",
        example="/var/lib/pycast/cluster.json",
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

    agent_address: RequiredText = key("0.0.0.0", "Where HAProxy's agent-check connects to.")
    agent_port: Whole = key(0, "The port for it. 0: none.", ge=0, le=65535)
    egress: Bits = key(0, 'What the network takes, in bit/s or with a unit: "950M", "10G". 0: not known, and no limit.')


class LoggingSection(Section):
    """Where the logs go: a file, "-" for stderr, "" for nowhere. SIGHUP opens the files anew."""

    access_log: Text = key("-", "One line for each request, in the format of Icecast and Apache.")
    error_log: Text = key("-", "What the server does and what goes wrong.")
    playlist_log: Text = key("", "One line for each title that is played.")
    log_level: LogLevel = key("info", 'How much the error log tells: "debug", "info", "warning" or "error".')


class TlsSection(Section):
    """The certificate for [[listen]] sections with tls = true. Read again when the files change."""

    certificate: Text = key("", "A PEM file: the certificate, then those that signed it.")
    private_key: Text = key("", "The PEM file of its key. Empty: the key is in the certificate's file.")


class Config(Section):
    """The whole configuration."""

    server: ServerSection = ServerSection()
    listen: tuple[ListenSection, ...] = (ListenSection(),)
    limits: LimitsSection = LimitsSection()
    authentication: AuthenticationSection = AuthenticationSection()
    mount: tuple[MountSection, ...] = ()
    http_headers: Headers = key(
        {"Access-Control-Allow-Origin": "*"},
        "Headers of every reply. This one lets web pages of other sites play the streams and read status-json.xsl.",
    )
    logging: LoggingSection = LoggingSection()
    tls: TlsSection = TlsSection()
    cluster: ClusterSection = ClusterSection()
    drain: DrainSection = DrainSection()
    balancer: BalancerSection = BalancerSection()

    @property
    def is_clustered(self) -> bool:
        """Whether this node is one of a cluster."""
        return bool(self.cluster.secret)

    def for_mount(self, name: str) -> MountSettings:
        """Every setting of the mount `name` as it holds, whether the file names the mount or not. Cheap: cached."""
        return self._mount_table.settings(name)

    @cached_property
    def _mount_table(self) -> MountTable:
        # Alone, a second source for a mount is refused, as Icecast does; in a cluster it stands by.
        on_conflict = self.cluster.on_conflict if self.is_clustered else "reject"
        return MountTable(self.mount, self.limits, self.authentication, self.http_headers, on_conflict)
