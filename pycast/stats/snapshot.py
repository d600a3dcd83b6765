"""The state of a node at one moment: frozen values that pages, JSON, XML and metrics are made from.

Times are seconds since the epoch (UTC), counts are totals since the start unless a name says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pycast.stats.counters import Counters, LinkCounters, MirrorCounters, OwnershipCounters
from pycast.stats.metric import NESTED, metric


@dataclass(frozen=True, slots=True)
class ListenerSnapshot:
    """One connected listener. `lag` is how many bytes it is behind the mount's latest audio."""

    id: int
    ip: str
    user_agent: str
    connected_s: int
    bytes_sent: int
    lag: int
    user: str = ""
    """The name that it has given, or that a server gave it."""


@dataclass(frozen=True, slots=True)
class PlayedTitle:
    """A song that a mount has played, and when it began."""

    at: float
    artist: str
    title: str


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """Something that has happened to a mount. `number` counts the events of its node."""

    number: int
    at: float
    trigger: str
    """Icecast 2.5's name for it."""
    mount: str
    media_type: str
    listeners: int
    """Those of the mount on that node, right after it."""
    ip: str = ""
    user: str = ""
    agent: str = ""
    connection: int = 0
    """The number of the listener."""
    artist: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class NodeEvents:
    """What has happened on a node since somebody asked last."""

    boot: str
    """The name of the process."""
    last: int
    """The number of its newest event."""
    missed: int
    """How many events it does not have any more."""
    events: tuple[FeedEvent, ...]
    listeners: Mapping[str, str] = field(default_factory=dict)
    """How many listen to each mount on it, where somebody does."""


@dataclass(frozen=True, slots=True)
class UpstreamLine:
    """Where a relay gets its stream, without passwords."""

    server: str
    mount: str
    port: int
    is_active: bool = False
    """Whether the relay has its stream from there now."""


@dataclass(frozen=True, slots=True)
class RelayLine:
    """A relay and what it does."""

    mount: str
    on_demand: bool
    upstreams: tuple[UpstreamLine, ...]
    """The best first."""
    state: str = "new"
    """The name of a RelayState, in small letters."""
    is_enabled: bool = True
    from_master: bool = False
    """Whether it is from a master's list."""
    run_on_s: float = 0.0
    for_s: float = 0.0
    """For how long it has its present stream."""
    retry_in_s: float = 0.0
    """When the next upstream is tried, if it waits for that."""
    trouble: str = ""
    """Why its last try failed; empty once it is on the air."""


@dataclass(frozen=True, slots=True)
class MountSnapshot:
    """One mount. `is_live` is False while the mount waits for its source to come back."""

    name: str
    is_live: bool = field(
        metadata=metric("pycast_mount_live", "1 while a source feeds the mount, 0 while the mount waits for one.")
    )
    hidden: bool
    public: bool
    content_type: str
    subtype: str
    """Codec names of an Ogg stream joined by "/", e.g. "Vorbis"; empty for other formats."""
    listeners: int = field(metadata=metric("pycast_mount_listeners", "Listeners connected now.", is_summed=True))
    listener_peak: int = field(
        metadata=metric("pycast_mount_listeners_peak", "Most listeners at one time.", is_summed=True)
    )
    listener_connections: int = field(
        metadata=metric("pycast_mount_listener_connections_total", "Listeners accepted.", is_summed=True)
    )
    slow_listeners: int = field(
        metadata=metric(
            "pycast_mount_slow_listeners_total", "Listeners dropped because they fell too far behind.", is_summed=True
        )
    )
    max_listeners: int = field(
        metadata=metric("pycast_mount_listeners_limit", "Most listeners allowed; absent without a limit.", unset=-1)
    )
    """-1: no limit."""
    artist: str
    title: str
    """The title alone if its artist is known, else all that is known of the song."""
    server_name: str
    server_description: str
    server_url: str
    genre: str
    bitrate: str
    """kbit/s from the source's headers or the configuration, else from the stream; may be any text or empty."""
    audio_info: str
    stats: Mapping[str, str] = field(default_factory=dict)
    """Further stats under Icecast's names: keys of `ice-audio-info`, and what was read from the stream
    (audio_samplerate …)."""
    stream_start: float = field(
        default=0.0,
        metadata=metric(
            "pycast_mount_stream_start_time_seconds", "When the stream started, seconds since the epoch.", unset=0.0
        ),
    )
    source_ip: str = ""
    user_agent: str = ""
    connected_s: int = field(
        default=0, metadata=metric("pycast_mount_source_connected_seconds", "How long the present source is connected.")
    )
    """How long the present source has been connected."""
    total_bytes_read: int = field(
        default=0, metadata=metric("pycast_mount_received_bytes_total", "Audio bytes read from the mount's sources.")
    )
    total_bytes_sent: int = field(
        default=0,
        metadata=metric("pycast_mount_sent_bytes_total", "Bytes sent to the mount's listeners.", is_summed=True),
    )
    sources: int = field(
        default=1, metadata=metric("pycast_mount_source_connections_total", "Sources the mount has had.")
    )
    """How many sources this mount has had."""
    is_mirror: bool = False
    """Whether its source is on another node."""
    on_demand: bool = False
    """Whether it is a relay that has its stream only while somebody listens; it is not live in between."""
    fallback: str = ""
    """The mount to which its listeners are moved while it has no source."""
    listen_url: str = ""
    """Its `listenurl` in the configuration; see `stream_url`."""
    authenticator: str = ""
    """What decides who may listen, "htpasswd", "url" or "signed"; empty if nothing does."""
    history: tuple[PlayedTitle, ...] = ()
    """Its last titles, the newest first."""
    is_listed: bool = False
    """Whether directories are told what plays on it."""


@dataclass(frozen=True, slots=True)
class MemberSnapshot:
    """A node of the cluster as this one sees it. `status` is "up", "suspect" or "dead"; `state` is what it announces
    itself, "up" or "draining"; `weight` is its headroom in per cent.
    """

    node: str
    address: str
    zone: str
    status: str
    state: str
    listeners: int
    used: int
    slots: int
    weight: int
    version: str
    origins: tuple[str, ...] = ()
    """Mounts whose sources are on it."""


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """The cluster as this node sees it, and what this node did in it."""

    name: str
    node: str
    registry: str
    """"mesh" or "etcd"."""
    is_registry_up: bool = field(metadata=metric("pycast_registry_up", "1 while the registry answers, else 0."))
    members: tuple[MemberSnapshot, ...]
    origins: int = field(metadata=metric("pycast_cluster_origins", "Mounts of the cluster that have an owner."))
    """Mounts that have an owner."""
    waiting: int = field(
        metadata=metric("pycast_cluster_mounts_waiting", "Mounts with an owner that wait for their source.")
    )
    """How many of these wait for their source."""
    mirrors: int = field(metadata=metric("pycast_mirrors", "Mounts mirrored from other nodes now."))
    standbys: int = field(metadata=metric("pycast_standbys", "Sources that stand by here."))
    mirror_counters: MirrorCounters = field(default_factory=MirrorCounters, metadata=NESTED)
    ownership_counters: OwnershipCounters = field(default_factory=OwnershipCounters, metadata=NESTED)
    link_counters: LinkCounters = field(default_factory=LinkCounters, metadata=NESTED)


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """The node and its mounts, sorted by name."""

    admin: str
    host: str
    location: str
    server_id: str
    listen_url: str
    """`http://hostname:port` or what replaces it, no slash at the end: what listenurl and playlists begin with."""
    server_start: float = field(
        metadata=metric("pycast_start_time_seconds", "When the server started, seconds since the epoch.")
    )
    taken: float
    """When the snapshot was taken."""
    clients: int = field(metadata=metric("pycast_clients", "Connections open now, of every kind.", is_summed=True))
    listeners: int = field(
        metadata=metric("pycast_listeners", "Listeners connected now, on all mounts.", is_summed=True)
    )
    sources: int = field(metadata=metric("pycast_sources", "Sources connected now.", is_summed=True))
    fanout_lag_s: float = field(
        metadata=metric(
            "pycast_fanout_round_seconds",
            "Duration of the last complete round of the fan-out, the wait before it included.",
        )
    )
    """Seconds between the beginnings of the last two passes of the fan-out; the largest of all mounts."""
    counters: Counters = field(default_factory=Counters, metadata=NESTED)
    """A copy, which includes what the present mounts have sent and read."""
    mounts: tuple[MountSnapshot, ...] = ()
    is_ready: bool = field(default=True, metadata=metric("pycast_ready", "1 while new listeners are welcome, else 0."))
    """Whether new listeners are welcome; True also for a full node."""
    is_draining: bool = field(
        default=False, metadata=metric("pycast_draining", "1 while the server empties itself, else 0.")
    )
    clients_limit: int = field(
        default=0, metadata=metric("pycast_clients_limit", "Connections taken at the same time.")
    )
    headroom_percent: int = field(
        default=100,
        metadata=metric(
            "pycast_headroom_percent",
            "What is free of the scarcest of connections, descriptors, egress and time; 0 only if full.",
        ),
    )
    """As announced to balancers."""
    loop_lag_s: float = field(
        default=0.0, metadata=metric("pycast_loop_lag_seconds", "How late the event loop is, smoothed.")
    )
    open_files: int = field(default=0, metadata=metric("pycast_open_files", "Descriptors in use."))
    open_files_limit: int = field(
        default=0, metadata=metric("pycast_open_files_limit", "Descriptors the process may have.")
    )
    greenlets: int = field(
        default=0,
        metadata=metric("pycast_greenlets", "Tasks of the server's own that go on side by side; a listener has none."),
    )
    egress_bps: float = field(
        default=0.0, metadata=metric("pycast_egress_bits_per_second", "Sent to clients over the last 5 seconds.")
    )
    cluster: ClusterSnapshot | None = None
    pid: int = 0
    """The number of its process on its machine."""
    worker: str = ""
    """Its number among the workers of one server; empty if it is not one of several."""
