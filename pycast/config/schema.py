"""The keys of the configuration, each written once: name, type, default, bounds and the sentence that explains it. The
keys of a mount are in mount_settings.py and mount_authentication.py, those for logs in logging_section.py, those for
relays in relay_sections.py, those for clusters and balancers in cluster_sections.py.

The sample file conf/pycast.toml, the tables in docs/configuration.md (both by reference.py), the import of icecast.xml
and the list of keys that need a restart are made from these entries, so adding a key means adding one entry. A `Config`
is frozen: a reload makes a new one and swaps it.

Names are Icecast's with "-" turned into "_", in the section that groups them in icecast.xml; `icecast` says where the
name differs, or that Icecast has no such setting. Files and the environment are read in load.py; checks that need two
keys at once are in rules.py.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from pycast import __version__
from pycast.config.address_values import BindAddress, MaybeAddress, Networks
from pycast.config.alias_section import AliasSection, by_source
from pycast.config.cluster_sections import BalancerSection, ClusterSection, DrainSection
from pycast.config.directory_section import DirectorySection
from pycast.config.host_sections import PathsSection, SecuritySection
from pycast.config.logging_section import LoggingSection
from pycast.config.mount_authentication import MountAuthentication
from pycast.config.mount_settings import MountSection, MountSettings, MountTable
from pycast.config.relay_sections import MasterSection, RedirectSection, RelaySection
from pycast.config.section import Section, key
from pycast.config.units import Size
from pycast.config.values import (
    SERVED,
    Bits,
    Flag,
    Headers,
    MaybeMountName,
    RequiredText,
    Seconds,
    Secret,
    Served,
    Span,
    Text,
    TlsMode,
    Whole,
)

__all__ = [
    "AuthenticationSection",
    "BalancerSection",
    "ClusterSection",
    "Config",
    "DirectorySection",
    "DrainSection",
    "LimitsSection",
    "ListenSection",
    "LoggingSection",
    "MasterSection",
    "MountAuthentication",
    "MountSection",
    "MountSettings",
    "PathsSection",
    "RedirectSection",
    "RelaySection",
    "SecuritySection",
    "ServerSection",
    "Size",
    "TlsSection",
]


class ServerSection(Section):
    """General settings of the server."""

    hostname: RequiredText = key(
        "localhost", "The host name by which listeners reach this server. It is used in playlists and in listenurl."
    )
    public_url: MaybeAddress = key(
        "",
        "What listeners use instead of http://hostname:port, for example behind a proxy or a CDN: in the statistics, "
        "in playlists and on the page. Empty: in playlists and on the page the address that was asked for, in the "
        "statistics too if a trusted proxy passed it on.",
        example="https://radio.example.org",
        icecast=(),
    )
    location: Text = key("Earth", "Where the server is: free text, shown on the status page and in the statistics.")
    admin: Text = key("webmaster@localhost", "How to contact the operator: free text, usually an email address.")
    server_id: RequiredText = key(
        f"pycast {__version__}",
        'The value of the "Server" header.',
        example="Icecast 2.4.4",
        icecast=("server-id", "server_id"),
    )
    workers: Whole = key(
        1,
        "The number of processes on this machine. They share the ports and form a cluster, so a source on one of them "
        "is heard on all. 0: one for each core.",
        ge=0,
        le=256,
        restart=True,
        icecast=(),
    )
    watchdog: Seconds = key(
        10.0,
        "With several workers: one whose event loop stands still for this long is killed and replaced, and its stack "
        "is written to the error log. 0: never. Less than 1 counts as 1. A process alone is watched by systemd, "
        "see WatchdogSec in pycast.service.",
        icecast=(),
    )
    fileserve: Flag = key(
        True, "Whether the files in paths.webroot are served. Pages of the station's own (*.xsl) are in any case."
    )
    max_redirect_slaves: Whole = key(
        0,
        "The most slaves that may ask to get the listeners for whom there is no room here: those that log in as relays "
        "and name their address, as icecast-kh and pycast do (master.redirect). 0: none.",
        ge=0,
        le=1000,
    )
    drain: Flag = key(
        False,
        "Whether SIGTERM drains the server before it stops, as `pycast drain` does. A second SIGTERM stops at once.",
        icecast=(),
    )


class ListenSection(Section):
    """A port to listen on. Repeat the section for more ports."""

    bind_address: BindAddress = key(
        "0.0.0.0",
        'The address to listen on. "::" accepts IPv6 and IPv4, but IPv6 only if another section has the same port for '
        "IPv4.",
        restart=True,
    )
    port: Whole = key(8000, "The TCP port. 0: any free one (see --ready-file).", ge=0, le=65535, restart=True)
    tls: TlsMode = key(
        False,
        'Whether this port uses TLS, with the certificate in [tls]. "auto": it takes TLS and plain connections, told '
        'apart by the first byte. "auto_no_plain": it takes TLS, and tells others to upgrade (status 426). On both, a '
        "request without TLS may ask for it (RFC 2817).",
        restart=True,
        icecast=("tls", "ssl"),
    )
    shoutcast_mount: MaybeMountName = key(
        "",
        "If set, SHOUTcast v1 sources are accepted on the next port (8001 for 8000) and feed this mount, "
        'such as "/stream".',
        restart=True,
    )
    serves: Served = key(
        SERVED,
        'What this port answers: "listeners" (streams, pages and playlists), "sources" (encoders and their titles), '
        '"admin" (/admin/), "metrics" (/metrics) and "health" (/livez and /readyz). All else does not exist there. The '
        "other nodes of a cluster are answered on every port.",
        restart=True,
        icecast=(),
    )
    proxy_protocol: Flag = key(
        False,
        "Whether every connection must begin with a PROXY header (version 1 or 2), in which a balancer in TCP mode "
        "names its client. Connections without one are closed. If false, only trusted_proxies may send one.",
        restart=True,
        icecast=(),
    )
    trusted_proxies: Networks = key(
        (),
        'Addresses of proxies and balancers, such as ["10.0.0.0/8", "192.0.2.7"], that are trusted to name their '
        "clients in X-Forwarded-For, Forwarded and PROXY headers, and the address that these asked for in "
        "X-Forwarded-Proto, -Host and -Port. If not empty, only these addresses may send a PROXY header.",
        restart=True,
        icecast=(),
    )

    @property
    def is_tls_only(self) -> bool:
        """Whether this port takes no connections without TLS."""
        return bool(self.tls) and self.tls != "auto"


class LimitsSection(Section):
    """Limits and timeouts. The keys from queue_size on apply to every mount that does not set its own value."""

    clients: Whole = key(10000, "The most connections at the same time: listeners, sources and all others.", ge=1)
    sources: Whole = key(100, "The most sources at the same time.", ge=0)
    max_listeners: Whole = key(
        -1,
        "The most listeners at the same time, on all mounts together; in a cluster and with several workers on all "
        "nodes, whose numbers are up to two seconds old. -1: no limit.",
        ge=-1,
    )
    listeners_per_ip: Whole = key(
        -1,
        "The most listeners from one address at the same time, and from one /64 of IPv6, which is what one customer "
        "has. Behind trusted_proxies the client's address counts. Each node counts for itself. -1: no limit.",
        ge=-1,
        icecast=(),
    )
    max_bandwidth: Bits = key(
        0,
        'The most that listeners may need together, in bit/s or with a unit: "950M", "10G". Further ones are refused. '
        "Each node counts for itself. 0: no limit.",
    )
    client_timeout: Seconds = key(30.0, "How long a client may take to read a reply before it is dropped.", gt=0)
    header_timeout: Seconds = key(15.0, "How long a client may take to send its request head.", gt=0)
    accept_rate: Whole = key(
        0,
        "Connections accepted per second on each port. Further ones wait; none is refused. 0: no limit.",
        ge=0,
        icecast=(),
    )
    half_close_grace: Seconds = key(
        0.0,
        "How long a listener stays connected after it has closed its sending side, as some players do after their "
        "request. Behind balancers a listener that has left looks the same, so by default it is disconnected at once.",
        le=3600,
        icecast=(),
    )
    flush_interval: Seconds = key(
        0.5,
        "The longest time for which audio is collected before it is written to the listeners. With few listeners the "
        "server uses a shorter time by itself. With many, a larger value costs less CPU and adds as much delay; a "
        "crowded node takes up to twice as long, where half a burst covers it.",
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
    source_timeout: Seconds = key(10.0, "A source that sends no audio for this long is dropped.", gt=0)
    source_grace: Seconds = key(
        5.0,
        "How long listeners stay connected after a source ends, so that they hear it when it comes back.",
        icecast=(),
    )
    listener_patience: Seconds = key(
        0.0,
        "The longest silence that a listener bears. When a mount has had no audio for so long, its listeners are "
        "disconnected, so that their players connect again. 0: for as long as source_timeout and source_grace allow "
        "together, at least 19 s.",
        icecast=(),
    )
    source_takeover: Flag = key(
        True,
        "Whether a source that connects again with the same credentials replaces its own earlier connection "
        "when that one is dead or silent.",
        icecast=(),
    )


class AuthenticationSection(Section):
    """User names and passwords. Change the three passwords: these defaults are publicly known."""

    source_user: RequiredText = key("source", "The user name of sources (encoders).")
    source_password: Secret = key("hackme", "The password of sources. A mount can have its own.")
    relay_user: RequiredText = key("relay", "The user name of other servers.")
    relay_password: Secret = key("hackme", "The password of other servers.")
    admin_user: RequiredText = key("admin", "The user name for everything below /admin/.")
    admin_password: Secret = key("hackme", "The password for everything below /admin/.")


class TlsSection(Section):
    """The certificate for [[listen]] sections with tls. It is read again when the files change."""

    certificate: Text = key(
        "",
        "A PEM file: the certificate, then those that signed it.",
        icecast=("ssl-certificate", "tls-certificate", "ssl_certificate"),
    )
    private_key: Text = key(
        "",
        "The PEM file of its private key. Empty: the key is in the certificate's file.",
        icecast=("ssl-private-key", "tls-key"),
    )


class Config(Section):
    """A whole configuration: what one file, with the environment, says."""

    server: ServerSection = key(ServerSection())
    listen: tuple[ListenSection, ...] = key((ListenSection(),))
    limits: LimitsSection = key(LimitsSection())
    authentication: AuthenticationSection = key(AuthenticationSection())
    mount: tuple[MountSection, ...] = key(())
    relay: tuple[RelaySection, ...] = key(())
    master: MasterSection = key(MasterSection())
    redirect: tuple[RedirectSection, ...] = key(())
    http_headers: Headers = key(
        {"Access-Control-Allow-Origin": "*"},
        "Headers of every reply. The default lets web pages of other sites play the streams and read status-json.xsl; "
        "replies that need a password never have headers that begin with Access-Control-. A table has texts by status: "
        '"Retry-After" = { "503" = "60", "4*" = "3600" }.',
    )
    paths: PathsSection = key(PathsSection())
    alias: tuple[AliasSection, ...] = key(())
    security: SecuritySection = key(SecuritySection())
    logging: LoggingSection = key(LoggingSection())
    tls: TlsSection = key(TlsSection())
    cluster: ClusterSection = key(ClusterSection())
    drain: DrainSection = key(DrainSection())
    balancer: BalancerSection = key(BalancerSection())
    directory: tuple[DirectorySection, ...] = key(())

    notes: tuple[str, ...] = ()
    """What of an icecast.xml did not simply come over, a line each with its place. It is no setting."""

    def noted(self, notes: tuple[str, ...]) -> Self:
        """Returns the same configuration with these notes."""
        copy = super().replace()
        vars(copy)["notes"] = notes
        return copy

    def replace(self, **values: Any) -> Self:
        """Returns a copy with `values` changed; it has the same notes."""
        return super().replace(**values).noted(self.notes) if self.notes else super().replace(**values)

    @property
    def is_clustered(self) -> bool:
        """Whether this node belongs to a cluster."""
        return bool(self.cluster.secret)

    @property
    def has_relays(self) -> bool:
        """Whether any stream of another server is a mount of this one."""
        return bool(self.relay or self.master.server)

    def for_mount(self, name: str) -> MountSettings:
        """Returns the effective settings of the mount `name`, whether the file names it or not. Cheap: cached."""
        return self._mount_table.settings(name)

    def names_mount(self, name: str) -> bool:
        """Whether the file names this mount, and not by a pattern only."""
        return (
            self._mount_table.names(name)
            or any(listen.shoutcast_mount == name for listen in self.listen)
            or any(relay.local_name == name for relay in self.relay)
        )

    def lets_on(self, asked: str, other: str) -> bool:
        """Whether listeners who were let into the mount `asked` may hear `other` too without being asked again."""
        there = self.for_mount(other).authentication
        return not there.asks_listeners or there == self.for_mount(asked).authentication

    def describes_mount(self, name: str) -> bool:
        """Whether the file has a section for this mount, by its name or by a pattern."""
        return self._mount_table.describes(name)

    @cached_property
    def aliases(self) -> Mapping[str, tuple[AliasSection, ...]]:
        """The aliases by the path that is asked for."""
        return by_source(self.alias)

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
