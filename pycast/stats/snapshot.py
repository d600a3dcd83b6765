"""What the node looked like at one moment: frozen values that pages, JSON, XML and metrics are made from.

Times are seconds since the epoch (UTC), counts are totals since the start unless a name says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ListenerSnapshot:
    """One connected player. `lag` is how many bytes it is behind the live edge."""

    id: int
    ip: str
    user_agent: str
    connected_s: int
    bytes_sent: int
    lag: int


@dataclass(frozen=True, slots=True)
class MountSnapshot:
    """One mount. `is_live` is False while the mount waits for its source to come back."""

    name: str
    is_live: bool
    hidden: bool
    public: bool
    content_type: str
    subtype: str
    """Codec names of an Ogg stream joined by "/", e.g. "Vorbis"; empty for other formats."""
    listeners: int
    listener_peak: int
    listener_connections: int
    slow_listeners: int
    max_listeners: int
    """-1: no limit."""
    artist: str
    title: str
    """The title alone for Ogg, "artist - title" as sent to players for everything else."""
    server_name: str
    server_description: str
    server_url: str
    genre: str
    bitrate: str
    """kbit/s as the source's headers or the operator say, else as read from the stream; may be any text or empty."""
    audio_info: str
    stats: Mapping[str, str] = field(default_factory=dict)
    """Further stats under Icecast's names: keys of `ice-audio-info`, and what the format read (audio_samplerate …)."""
    stream_start: float = 0.0
    source_ip: str = ""
    user_agent: str = ""
    connected_s: int = 0
    """How long the present source has been connected."""
    total_bytes_read: int = 0
    total_bytes_sent: int = 0
    sources: int = 1
    """How many sources this mount has had."""
    is_mirror: bool = False
    """Whether its source is on another node."""
    fallback: str = ""
    """The mount where its listeners go on while it has no source."""


@dataclass(frozen=True, slots=True)
class MemberSnapshot:
    """A node of the cluster as this one sees it. `status` is "up", "suspect" or "dead"; `state` is what it says itself,
    "up" or "draining"; `weight` its headroom in per cent.
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
    is_registry_up: bool
    members: tuple[MemberSnapshot, ...]
    origins: int
    """Mounts that have an owner."""
    waiting: int
    """Of these, the ones that wait for their source."""
    mirrors: int
    mirror_bytes: int
    mirror_connections: int
    mirror_gap_bytes: int
    refused_epochs: int
    claims_won: int
    claims_held: int
    claims_provisional: int
    stepdowns: int
    standbys: int


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """The node and its mounts, sorted by name."""

    admin: str
    host: str
    location: str
    server_id: str
    listen_url: str
    """`http://hostname:port`, no slash at the end: what listenurl and playlists begin with."""
    server_start: float
    taken: float
    """When the snapshot was taken."""
    clients: int
    connections: int
    client_connections: int
    listeners: int
    listener_connections: int
    file_connections: int
    sources: int
    source_client_connections: int
    slow_listeners: int
    refused_connections: int
    bytes_read: int
    bytes_sent: int
    fanout_lag_s: float
    """Seconds between the beginnings of the last two passes of the fan-out; the largest of all mounts."""
    mounts: tuple[MountSnapshot, ...] = ()
    bad_requests: int = 0
    """Requests, handshakes and streams that were answered with an error."""
    is_ready: bool = True
    """Whether new listeners are welcome; also of a full node."""
    is_draining: bool = False
    clients_limit: int = 0
    headroom_percent: int = 100
    """As balancers are told it."""
    loop_lag_s: float = 0.0
    open_files: int = 0
    open_files_limit: int = 0
    egress_bps: float = 0.0
    cluster: ClusterSnapshot | None = None
