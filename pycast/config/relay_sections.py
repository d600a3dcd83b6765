"""The keys of the sections for relays, like those of schema.py: each written once, with type, default, bounds and the
sentence that explains it.
"""

from pycast.config.section import Section, key
from pycast.config.values import (
    Flag,
    MaybeMountName,
    MaybeSecret,
    MountName,
    Seconds,
    StreamUrls,
    Text,
    Whole,
)

_RUN_ON = "With {}: how long the stream goes on after its last listener has left."


class RelaySection(Section):
    """A stream of another server, Icecast, SHOUTcast or pycast, that is a mount of this one. Repeat it for more."""

    server: Text = key("", "The other server's name or address.", example="radio.example.org")
    port: Whole = key(8000, "Its port.", ge=1, le=65535)
    tls: Flag = key(False, "Whether that port uses TLS.", icecast=("tls", "ssl"))
    mount: MountName = key("/", "The mount there.", example="/live.mp3")
    local_mount: MaybeMountName = key("", "The mount here. Empty: the same name.", example="/relayed.mp3")
    username: Text = key("", "The user name, if the stream needs a login.", example="relay")
    password: MaybeSecret = key("", "The password for it.", example="secret")
    upstreams: StreamUrls = key(
        (),
        "Further addresses of the stream. They are tried in this order, after the one above if server is set; the "
        "relay returns to an earlier one when that is back. They may have a login of their own, "
        '"https://user:password@host/live.mp3".',
        example=("http://backup.example.org:8000/live.mp3",),
        icecast=(),
    )
    on_demand: Flag = key(False, "Whether the stream is fetched only while somebody listens.")
    run_on: Seconds = key(30.0, _RUN_ON.format("on_demand"))
    relay_shoutcast_metadata: Flag = key(
        True,
        "Whether the titles in the stream are asked for and passed on.",
        icecast=("relay-shoutcast-metadata", "relay-icy-metadata"),
    )

    @property
    def local_name(self) -> str:
        """The mount that the relay feeds."""
        return self.local_mount or self.mount.partition("?")[0]


class MasterSection(Section):
    """A server, Icecast or pycast, all of whose mounts are relayed under their own names. On if server is set."""

    server: Text = key("", "The master's name or address.", example="master.example.org", icecast=("master-server",))
    port: Whole = key(8000, "Its port.", ge=1, le=65535, icecast=("master-server-port",))
    tls: Flag = key(False, "Whether that port uses TLS.", icecast=())
    update_interval: Seconds = key(
        10.0, "How often its list of mounts is read.", ge=1, le=86400, icecast=("master-update-interval",)
    )
    username: Text = key("relay", "Its user name for relays.", icecast=("master-username",))
    password: MaybeSecret = key("", "Its password for relays.", example="secret", icecast=("master-password",))
    relays_on_demand: Flag = key(
        False, "Whether each stream is fetched only while somebody listens to it here.", icecast=()
    )
    run_on: Seconds = key(30.0, _RUN_ON.format("relays_on_demand"), icecast=())
