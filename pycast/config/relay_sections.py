"""The keys of the sections for relays, like those of schema.py: each written once, with type, default, bounds and the
sentence that explains it.
"""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import unquote

from pycast.config.address_values import StreamUrls
from pycast.config.section import Section, key
from pycast.config.values import Flag, MaybeMountName, MaybeSecret, MountName, Seconds, Text, Whole


def _own_address(value: object) -> str:
    text = str(value).strip()
    try:
        return str(ip_address(text.strip("[]"))) if text else ""
    except ValueError:
        raise ValueError("expected an address of this machine, such as 192.0.2.7") from None


MaybeOwnAddress = Annotated[str, _own_address]

_RUN_ON = "With {}: how long the stream goes on after its last listener has left."
_BIND = "The address of this machine to connect from. Empty: the system chooses."
_TLS_CA = "A PEM file with the authorities that sign the other server's certificate. Empty: the system's list."


class RelaySection(Section):
    """A stream of another server, Icecast, SHOUTcast or pycast, that is a mount of this one. Repeat it for more."""

    server: Text = key("", "The other server's name or address.", example="radio.example.org")
    port: Whole = key(8000, "Its port.", ge=1, le=65535)
    tls: Flag = key(False, "Whether that port uses TLS.", icecast=("tls", "ssl"))
    tls_ca: Text = key("", _TLS_CA, example="/etc/pycast/upstream-ca.pem", icecast=())
    bind: MaybeOwnAddress = key("", _BIND, example="192.0.2.7")
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
        """The mount that the relay feeds. `mount` is a part of an address, in which `%20` is a blank."""
        return self.local_mount or unquote(self.mount.partition("?")[0])


class RedirectSection(Section):
    """A server with the same mounts, to which listeners are sent for whom there is no room here. Repeat it for more."""

    host: Text = key("", "Its name or address.", example="second.example.org")
    port: Whole = key(8000, "Its port.", ge=1, le=65535)


class MasterSection(Section):
    """A server, Icecast or pycast, all of whose mounts are relayed under their own names. On if server is set."""

    server: Text = key("", "The master's name or address.", example="master.example.org", icecast=("master-server",))
    port: Whole = key(8000, "Its port.", ge=1, le=65535, icecast=("master-server-port",))
    tls: Flag = key(False, "Whether that port uses TLS.", icecast=())
    tls_ca: Text = key("", _TLS_CA, example="/etc/pycast/master-ca.pem", icecast=())
    bind: MaybeOwnAddress = key("", _BIND, example="192.0.2.7", icecast=("master-bind",))
    update_interval: Seconds = key(
        10.0, "How often its list of mounts is read.", ge=1, le=86400, icecast=("master-update-interval",)
    )
    username: Text = key("relay", "Its user name for relays.", icecast=("master-username",))
    password: MaybeSecret = key("", "Its password for relays.", example="secret", icecast=("master-password",))
    redirect: Flag = key(
        False,
        "Whether the master, icecast-kh or pycast, is told where this server listens (hostname and port), so that it "
        "sends its listeners here when it has no room for more.",
        icecast=("master-redirect",),
    )
    relays_on_demand: Flag = key(
        False, "Whether each stream is fetched only while somebody listens to it here.", icecast=()
    )
    run_on: Seconds = key(30.0, _RUN_ON.format("relays_on_demand"), icecast=())
