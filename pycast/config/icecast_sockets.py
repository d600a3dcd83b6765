"""Reads the sockets of an icecast.xml: ports, their TLS, SHOUTcast's second port, and the proxies that are trusted.

Pure: nodes in, tables out. The one invariant: no socket takes plain connections, or connections from other machines,
that Icecast would not take there.
"""

from pycast.config.address_values import EVERYWHERE
from pycast.config.icecast_protection import checks_listeners
from pycast.config.icecast_settings import KEYS, LOOPBACK, SettingReader
from pycast.config.icecast_values import is_yes, networks
from pycast.config.import_notes import described, place
from pycast.config.toml_table import TomlTable
from pycast.config.xml_tree import XmlNode

_DEFAULT_PORT = 8000


class SocketReader:
    """The [[listen]] sections of one file."""

    def __init__(self, settings: SettingReader, root: XmlNode) -> None:
        self._settings = settings
        self._root = root
        self._tables: list[TomlTable] = []
        self._blocks: list[tuple[XmlNode, TomlTable]] = []
        self._closed: list[TomlTable] = []

    def read(self) -> list[TomlTable]:
        """Returns the sections; none if the file has no socket."""
        old = [one for name in ("port", "bind-address") for one in self._root.all(name)]
        if self._root.find("listen-socket"):
            for setting in old:
                setting.value()
                self._settings.leave_out(setting, "Icecast uses it only in a file without a listen-socket")
        elif old:
            table = TomlTable("[[listen]]", old[0].line)
            for setting in old:
                self._settings.set("listen", table, setting)
            self._tables.append(table)
        compatible: list[tuple[XmlNode, TomlTable]] = []
        for block in self._root.all("listen-socket"):
            if block.attribute("type") == "virtual":
                self._settings.leave_out(block, "a virtual socket listens nowhere")
                block.done()
                continue
            table = self._socket(block)
            self._blocks.append((block, table))
            switch = block.find("shoutcast-compat")
            if switch is not None and is_yes(switch.value()):
                compatible.append((block, table))
            else:
                self._tables.append(table)
        self._join_shoutcast_ports(compatible)
        self._give_each_port_once()
        self._take_tls_and_plain()
        self._trust_proxies()
        return self._tables

    def _socket(self, block: XmlNode) -> TomlTable:
        table = TomlTable("[[listen]]", block.line)
        for kind in block.all("type"):
            if kind.is_attribute and kind.text == "normal":
                kind.value()
        self._settings.read("listen", table, block)
        if block.find("port") and "port" not in table.values:
            self._close(table, block, f"{place(block)}: its port cannot be read")
        for authentication in block.all("authentication"):
            if checks_listeners(authentication):
                self._close(table, authentication, described(authentication))
                authentication.done()
        return table

    def _close(self, table: TomlTable, node: XmlNode, why: str) -> None:
        self._settings.close(node, f"{why}: the port is open for this machine only")
        table.set("bind_address", LOOPBACK, f"closed: line {node.line}")
        self._closed.append(table)

    def _join_shoutcast_ports(self, compatible: list[tuple[XmlNode, TomlTable]]) -> None:
        """Turns each socket with shoutcast-compat, which is the port after another, into a key of that other one."""
        for block, table in compatible:
            mount = table.values.get("shoutcast_mount") or self._root.take("shoutcast-mount") or "/stream"
            below = [one for one in self._tables if _port(one) == _port(table) - 1]
            if below:
                below[0].set("shoutcast_mount", mount)
            else:
                self._settings.leave_out(
                    block, 'set shoutcast_mount in the [[listen]] section of the port below, such as "/stream"'
                )

    def _give_each_port_once(self) -> None:
        """Leaves out the sockets whose port another one has. Icecast opens the last one of the file first, logs those
        that fail then, and runs. Of those with one port, one that is closed here is the one to keep.
        """
        kept: list[TomlTable] = []
        last_first = [(block, table) for block, table in reversed(self._blocks) if table in self._tables]
        last_first.sort(key=lambda one: one[1] not in self._closed)
        for block, table in last_first:
            if any(self._is_taken(_port(table), table, other) for other in kept):
                why = f"another listen-socket has port {_port(table)}; Icecast uses the last one"
                self._settings.leave_out(block, why)
                self._tables.remove(table)
                continue
            mount = table.values.get("shoutcast_mount")
            if mount and any(self._is_taken(_port(table) + 1, table, other) for other in kept):
                why = f"another listen-socket has port {_port(table) + 1}, to which its SHOUTcast sources would send"
                self._settings.leave_out(block.find("shoutcast-mount") or block, why)
                table.set("shoutcast_mount", None)
            kept.append(table)

    def _is_taken(self, port: int, table: TomlTable, other: TomlTable) -> bool:
        """Whether a socket at this port and the address of `table` could not be opened beside those of `other`."""
        ports = [_port(other), _port(other) + 1] if other.values.get("shoutcast_mount") else [_port(other)]
        if not port or port not in ports:
            return False
        one, two = (str(each.values.get("bind_address") or EVERYWHERE) for each in (table, other))
        is_of_all = EVERYWHERE in (one, two) and (":" in one) == (":" in two)
        return one == two or is_of_all or table in self._closed or other in self._closed

    def _take_tls_and_plain(self) -> None:
        """Lets ports take TLS beside plain connections: those that say so, and all if the file has a certificate and no
        port is for TLS (icecast-kh). Without a certificate they are plain ones, as in Icecast 2.5.
        """
        has_certificate = _has_certificate(self._root)
        is_for_all = has_certificate and not any(table.values.get("tls") for table in self._tables)
        if is_for_all:
            self._tables = self._tables or [TomlTable("[[listen]]")]
        for table in self._tables:
            if is_for_all:
                table.values.setdefault("tls", "auto")
            elif table.values.get("tls") == "auto" and not has_certificate:
                table.set("tls", None)

    def _trust_proxies(self) -> None:
        trusted = []
        for node in [one for paths in self._root.all("paths") for one in paths.all("x-forwarded-for")]:
            try:
                trusted += networks(self._settings.filled(node.value()))
            except ValueError as error:
                self._settings.leave_out(node, str(error))
        if trusted:
            self._tables = self._tables or [TomlTable("[[listen]]")]
            for table in self._tables:
                table.set("trusted_proxies", tuple(trusted))


def _has_certificate(root: XmlNode) -> bool:
    """Whether the file names a certificate, wherever it is."""
    return any(
        (KEYS["tls"].get(node.name) and KEYS["tls"][node.name].name == "certificate" and node.text.strip())
        or _has_certificate(node)
        for node in root.children
    )


def _port(table: TomlTable) -> int:
    port = table.values.get("port", _DEFAULT_PORT)
    return port if isinstance(port, int) else _DEFAULT_PORT
