"""Reads the relays of an icecast.xml, and the master that it is a slave of.

The forms are Icecast 2.4's (one server in each <relay>), 2.5's (several <upstream>, with an <uri> or its parts, and
what holds for all of them in one of type "default"; also inside <mount>) and icecast-kh's (several <host> or <master>
with a priority, all of it as attributes too, and a <master> for the whole server).

Pure: nodes in, tables out. The one invariant: a login is in the table of the server that it is for, and in no note.
"""

from urllib.parse import quote, unquote, urlsplit

from pycast.config.address_values import EVERYWHERE, is_reached
from pycast.config.icecast_settings import KEYS, SettingReader
from pycast.config.icecast_values import is_yes
from pycast.config.import_notes import ImportNote, NoteKind, name_of
from pycast.config.toml_table import TomlTable
from pycast.config.xml_tree import XmlNode

_SERVERS = ("upstream", "host", "master")

# icecast-kh's names in <master>: the elements of the old form.
_OF_MASTER = {
    "server": "master-server",
    "ip": "master-server",
    "port": "master-server-port",
    "interval": "master-update-interval",
    "username": "master-username",
    "password": "master-password",
    "bind": "master-bind",
    "redirect": "master-redirect",
}

_OF_PLACE = ("server", "port", "mount", "tls", "username", "password", "bind")


_PORT = 8000

_NAMES = {"mount": "mount", "local-mount": "local_mount"}


class RelayReader:
    """The [[relay]] sections and the [master] of one file."""

    def __init__(self, settings: SettingReader, root: XmlNode) -> None:
        self._settings = settings
        self._root = root
        self._on_demand = is_yes(root.take("relays-on-demand"))

    def read(self) -> list[TomlTable]:
        """Returns the sections in the order of the file."""
        blocks = [(block, "") for block in self._root.all("relay")]
        for mount in self._root.all("mount"):
            blocks += [(block, name_of(mount)) for block in mount.all("relay")]
        tables: list[TomlTable] = []
        names: set[object] = set()
        for block, feeds in blocks:
            table = self._relay(block, feeds)
            name = table.values.get("local_mount") or table.values.get("mount", "/") if table else None
            if table is not None and _lost_name(block, table):
                self._settings.leave_out(
                    block, "it would be a relay of something else without the name that cannot be read"
                )
            elif name in names:
                self._settings.leave_out(block, "the first relay of a mount holds")
            elif table is not None:
                names.add(name)
                tables.append(table)
        return tables

    def master(self) -> TomlTable:
        """Returns the section of the master, empty if the file names none, or no password for it, as in Icecast."""
        nodes = [one for one in self._root.children if one.name in KEYS["master"]]
        table = TomlTable("[master]", min((one.line for one in (*nodes, *self._root.all("master"))), default=0))
        for node in nodes:
            self._settings.set("master", table, node)
        for block in self._root.all("master"):
            for node in block.inside():
                if node.name in _OF_MASTER:
                    self._settings.set("master", table, node, _OF_MASTER[node.name])
                elif node.name == "on-demand":
                    self._on_demand = is_yes(node.value())
                elif node.name == "ssl-port":
                    self._set_tls_port(table, node)
        for node in self._root.all("master-ssl-port"):
            self._set_tls_port(table, node)
        if not (table.values.get("server") and table.values.get("password")):
            for node in (*nodes, *self._root.all("master")):
                self._settings.leave_out(node, "Icecast is no slave without master-server and master-password")
            return TomlTable("[master]")
        if self._on_demand:
            table.set("relays_on_demand", True)
        return table

    def redirects(self) -> list[TomlTable]:
        """Returns the sections of icecast-kh's servers to which listeners are sent."""
        tables = []
        for block in self._root.all("redirect"):
            table = TomlTable("[[redirect]]", block.line)
            self._settings.read("redirect", table, block)
            if "host" in table.values:
                tables.append(table)
            else:
                self._settings.leave_out(block, "it names no host")
        return tables

    def without_own(self, tables: list[TomlTable], sockets: list[TomlTable]) -> list[TomlTable]:
        """Returns the sections without those that name this server itself, which Icecast asks in vain."""
        kept = []
        for table in tables:
            if _is_own(table, sockets):
                server = table.values.get("server", table.values.get("host"))
                text = f"{table.title} {server}: that is this server itself"
                self._settings.notes.append(ImportNote(NoteKind.LEFT_OUT, table.line, text))
            else:
                kept.append(table)
        return kept

    def _set_tls_port(self, table: TomlTable, node: XmlNode) -> None:
        """Reads icecast-kh's port for TLS, which it uses for all that it asks its master for."""
        self._settings.set("master", table, node, "master-server-port")
        table.set("tls", True)

    def _relay(self, block: XmlNode, mount: str) -> TomlTable | None:
        """Returns the section for a <relay>, None if it is switched off or has nothing to relay."""
        enable = block.find("enable")
        if enable is not None and not is_yes(enable.text.strip()):
            self._settings.leave_out(block, "it is switched off")
            block.done()
            return None
        table = TomlTable("[[relay]]", block.line)
        block.inside()
        if enable is not None:
            enable.value()
        servers = [one for one in block.children if one.name in _SERVERS]
        shared, own = self._defaults(servers)
        places = [place for place in [self._place(block), *map(self._place, own)] if place.values]
        places = [_filled(place, shared) for place in places]
        self._common(table, block, shared)
        if not places:
            self._settings.leave_out(block, "it names no server")
            return None
        for key, value in places[0].values.items():
            table.set(key, value)
        self._same_bind(own, str(places[0].values.get("bind", "")))
        if len(places) > 1:
            table.set("upstreams", tuple(map(_url, places[1:])))
        if mount:
            table.set("local_mount", mount)
        return table

    def _common(self, table: TomlTable, block: XmlNode, shared: TomlTable) -> None:
        for node in block.children:
            if not node.is_read and node.name in KEYS["relay"]:
                self._settings.set("relay", table, node)
        if self._on_demand and "on_demand" not in table.values:
            table.set("on_demand", True)
        if "relay_shoutcast_metadata" in shared.values and "relay_shoutcast_metadata" not in table.values:
            table.set("relay_shoutcast_metadata", shared.values["relay_shoutcast_metadata"])

    def _same_bind(self, servers: list[XmlNode], bind: str) -> None:
        """Notes the addresses to connect from that are not the relay's."""
        for node in servers:
            other = node.find("bind")
            if other is not None and other.is_read and other.text.strip() != bind:
                self._settings.leave_out(other, "a relay has one address to connect from, that of its first server")

    def _defaults(self, servers: list[XmlNode]) -> tuple[TomlTable, list[XmlNode]]:
        """Returns what holds for all servers of a relay, and the servers, best first."""
        shared, own = TomlTable("[[relay]]"), []
        for node in servers:
            if node.attribute("type") == "default":
                shared = self._place(node)
            else:
                own.append(node)
        return shared, _by_priority(own)

    def _place(self, node: XmlNode) -> TomlTable:
        """Returns what a node says about one server."""
        table = TomlTable("[[relay]]", node.line)
        is_one = node.name != "relay"
        if is_one:
            node.inside()
        for child in node.children:
            if child.name in ("type", "priority") and is_one:
                child.value()
            elif child.name == "uri":
                self._read_uri(table, child)
            elif child.name == "ip":
                self._settings.set("relay", table, child, "server")
            elif child.name in ("server", "port", "mount", "tls", "ssl", "username", "password") or (
                is_one and child.name in KEYS["relay"]
            ):
                self._settings.set("relay", table, child)
        is_alone = node.name == "relay" and not any(node.all(kind) for kind in _SERVERS)
        if is_alone and "server" not in table.values and table.values.keys() & {"port", "mount"}:
            table.set("server", "127.0.0.1")  # Icecast's default
        return table

    def _read_uri(self, table: TomlTable, node: XmlNode) -> None:
        try:
            parts = urlsplit(self._settings.filled(node.value()))
            port = parts.port
        except ValueError as error:
            self._settings.leave_out(node, str(error))
            return
        if parts.scheme not in ("http", "https") or not parts.hostname:
            self._settings.leave_out(node, "not an address that begins with http:// or https://")
            return
        table.set("server", parts.hostname)
        table.set("port", port or (443 if parts.scheme == "https" else 80))
        table.set("mount", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        table.set("tls", True if parts.scheme == "https" else None)
        for key, text in (("username", parts.username), ("password", parts.password)):
            table.set(key, None if text is None else unquote(text))


def _filled(place: TomlTable, shared: TomlTable) -> TomlTable:
    """Returns a server with what it does not say itself from what holds for all."""
    for key in _OF_PLACE:
        if key in shared.values and key not in place.values:
            place.set(key, shared.values[key])
    return place


def _by_priority(servers: list[XmlNode]) -> list[XmlNode]:
    """Returns the servers in icecast-kh's order: the lower the number, the earlier; of equal ones the first in the
    file. One without a number has one more than the last server before it.
    """
    found: list[tuple[int, XmlNode]] = []
    for node in servers:
        text = node.peek("priority")
        given = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        earlier = (at for at, (other, _) in enumerate(found) if given and other > given)
        at = next(earlier, len(found))
        found.insert(at, (given or (found[-1][0] if found else 0) + 1, node))
    return [node for _, node in found]


def _url(place: TomlTable) -> str:
    """Returns the address of a server, with its login."""
    values = place.values
    user, password = (quote(str(values.get(key, "")), safe="") for key in ("username", "password"))
    login = f"{user}:{password}@" if user else ""
    scheme, mount = "https" if values.get("tls") else "http", str(values.get("mount", "/"))
    server = str(values.get("server", "127.0.0.1"))
    host = f"[{server}]" if ":" in server else server
    return f"{scheme}://{login}{host}:{values.get('port', 8000)}{quote(mount, safe='/:@!$&()*+,;=~?%')}"


def _lost_name(block: XmlNode, table: TomlTable) -> bool:
    """Whether a relay has a name that cannot be read. Without it, it would be a relay of something else."""
    return any(block.peek(name) and key not in table.values for name, key in _NAMES.items())


def _is_own(table: TomlTable, sockets: list[TomlTable]) -> bool:
    """Whether a section names this server: by an address at which it listens, and for a relay the mount that it feeds.
    A relay of another of its mounts is one.
    """
    values = table.values
    mount = values.get("mount", "/")
    if "upstreams" in values or values.get("local_mount", mount) != mount:
        return False
    server, port = str(values.get("server", values.get("host"))), values.get("port", _PORT)
    ports: list[dict[str, object]] = [one.values for one in sockets] or [{}]
    addresses = [one.get("bind_address", EVERYWHERE) for one in ports if one.get("port", _PORT) == port]
    return any(is_reached(str(address), server) for address in addresses)
