"""Converts icecast.xml to pycast.toml: the settings that both have, and notes on all others.

Reads the configuration of Icecast 2.4 and 2.5 and of icecast-kh. The schema says which element becomes which key, and
checks each value; who loads the result checks the whole. What protects a mount or the server and has no equivalent
closes it: the result lets nobody in whom Icecast would keep out. Notes tell it, with the line of the file.

The one invariant: every element, attribute and text of the file is in the TOML or in a note.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pycast.config.icecast_aliases import read_alias
from pycast.config.icecast_directories import DirectoryReader
from pycast.config.icecast_includes import Includes
from pycast.config.icecast_logs import LogReader
from pycast.config.icecast_mounts import MountReader, close_mount
from pycast.config.icecast_protection import ALLOW_LISTS, server_locks
from pycast.config.icecast_relays import RelayReader
from pycast.config.icecast_roles import read_logins
from pycast.config.icecast_settings import KEYS, LOOPBACK, Host, SettingReader
from pycast.config.icecast_sockets import SocketReader
from pycast.config.icecast_values import is_yes
from pycast.config.import_notes import ImportNote, NoteKind, described, is_nothing_lost
from pycast.config.toml_table import TomlTable
from pycast.config.xml_tree import XmlNode, parse_xml
from pycast.errors import ConfigError

_KINDS = list(NoteKind)


class Imported(NamedTuple):
    """The result: a file for pycast, and the notes on what did not simply come over."""

    body: str
    notes: tuple[ImportNote, ...]
    lines: Mapping[tuple[str | int, ...], int] = {}
    """Where in the file each section and key of the result is from: `("listen", 0, "port")`."""

    @property
    def toml(self) -> str:
        """The file, with the notes at its head."""
        lines = (f"# {note.kind.value.capitalize()}: {note}" for note in self.notes)
        return "\n".join(["# Imported from icecast.xml.", *lines, "", ""]) + self.body

    def with_notes(self, more: Iterable[ImportNote]) -> "Imported":
        """Returns the same with more notes at the end."""
        return self._replace(notes=(*self.notes, *more))

    @property
    def refused(self) -> list[ImportNote]:
        """What pycast does not start with."""
        return [note for note in self.notes if note.kind is NoteKind.REFUSED]

    @property
    def unlike(self) -> list[ImportNote]:
        """What is not as in Icecast."""
        return [note for note in self.notes if note.kind in (NoteKind.CLOSED, NoteKind.LEFT_OUT)]


def convert(xml: bytes | str, host: Host) -> Imported:
    """Converts an icecast.xml. Raises ConfigError if it is none."""
    try:
        root = parse_xml(xml)
    except ValueError as error:
        raise ConfigError([f"not XML that pycast reads: {error}"]) from error
    if root.name != "icecast":
        raise ConfigError([f"expected <icecast> as the outermost element, not <{root.name}>"])
    conversion = _Conversion(root, host)
    try:
        conversion.read_includes()
    except ValueError as error:
        raise ConfigError([str(error)]) from error
    return conversion.result()


class _Conversion:
    """One pass through the file: the tables found."""

    def __init__(self, root: XmlNode, host: Host) -> None:
        self._root = root
        self._settings = SettingReader(host)
        names = ("server", "limits", "authentication", "paths", "security", "logging", "tls")
        self._single = {name: TomlTable(f"[{name}]") for name in names}
        self._headers: TomlTable | None = None
        self._listen: list[TomlTable] = []
        self._mount: list[TomlTable] = []
        self._relay: list[TomlTable] = []
        self._alias: list[TomlTable] = []
        self._directory: list[TomlTable] = []

    def read_includes(self) -> None:
        """Puts the included files in their place. Raises ValueError with file and line."""
        find = self._settings.host.find
        if find is None:
            return
        includes = Includes(lambda name: find(self._settings.filled(name)), self._settings.host.path)
        includes.expand(self._root)
        for node in includes.missing:
            self._settings.leave_out(node, "there is no such file")

    def result(self) -> Imported:
        """Returns the file and the notes."""
        self._read_blocks()
        relays = RelayReader(self._settings, self._root)
        self._relay = [*relays.read(), relays.master(), *relays.redirects()]
        self._listen = SocketReader(self._settings, self._root).read()
        self._relay = relays.without_own(self._relay, self._listen)
        self._mount = MountReader(self._settings, self._root).read()
        self._directory = DirectoryReader(self._settings, self._root).read()
        self._close_server()
        self._add_passwords()
        self._note_unread()
        tables = self._tables()
        notes = sorted(self._settings.notes, key=lambda note: (_KINDS.index(note.kind), note.line))
        return Imported("\n".join(filter(None, (table.text() for table in tables))), tuple(notes), _lines(tables))

    def _note_unread(self) -> None:
        """Notes all that nobody has read. Nothing may be read after it."""
        for node in list(self._root.unread()):
            if is_nothing_lost(node):
                node.value()
        for node in self._root.unread():
            self._settings.leave_out(node)

    def _tables(self) -> list[TomlTable]:
        """Returns the sections in the order of the result."""
        headers = [] if self._headers is None else [self._headers]
        return [
            *self._single.values(),
            *headers,
            *self._listen,
            *self._mount,
            *self._relay,
            *self._alias,
            *self._directory,
        ]

    def _read_blocks(self) -> None:
        logs = LogReader(self._settings, self._root, self._single["logging"])
        for child in self._root.inside():
            if child.name in KEYS["server"]:
                self._settings.set("server", self._single["server"], child)
            elif child.name == "mime-types":
                self._settings.set("paths", self._single["paths"], child)
            elif child.name == "source-password" and not child.children:
                self._settings.set("authentication", self._single["authentication"], child)
            elif child.name in ("limits", "authentication"):
                self._settings.read(child.name, self._single[child.name], child)
            elif child.name == "logging":
                logs.read(child)
            elif child.name == "http-headers":
                self._headers = self._headers or TomlTable("[http_headers]", is_wanted=True)
                for name, value in self._settings.headers(child, self._headers.values).items():
                    self._headers.set(name, value)
            elif child.name in ("paths", "tls-context", "security"):
                self._read_paths(child)

        for block in self._root.all("authentication"):  # the passwords of older versions come first, as in Icecast
            read_logins(self._settings, self._single["authentication"], block)

    def _read_paths(self, block: XmlNode) -> None:
        for setting in block.inside():
            if setting.name == "tls-context":
                self._read_paths(setting)
            elif setting.name in KEYS["tls"]:
                self._settings.set("tls", self._single["tls"], setting)
            elif setting.name in KEYS["paths"] and not is_nothing_lost(setting):
                self._settings.set("paths", self._single["paths"], setting)
            elif setting.name == "changeowner":
                self._settings.read("security", self._single["security"], setting)
            elif setting.name == "chroot":
                self._read_chroot(setting)
            elif setting.name == "logdir":
                setting.value()  # the logs have the directory in their names
            elif setting.name == "alias" and (alias := read_alias(self._settings, setting)):
                self._alias.append(alias)

    def _read_chroot(self, switch: XmlNode) -> None:
        if is_yes(switch.value()):
            why = (
                "pycast cannot lock itself into a folder, as it loads modules later on; set it to 0, and let systemd "
                "(ProtectSystem=, RootDirectory=) or a container do it"
            )
            self._settings.notes.append(ImportNote(NoteKind.REFUSED, switch.line, f"{described(switch)}: {why}"))

    def _close_server(self) -> None:
        locks = list(server_locks(self._root, self._is_known))
        for node in locks:
            self._settings.close(node, f"{described(node)}: no listener may connect to any mount")
            for mount in self._mount:
                close_mount(mount, node.line)
            if node.name in ALLOW_LISTS:
                self._listen = self._listen or [TomlTable("[[listen]]")]
                for table in self._listen:
                    table.set("bind_address", LOOPBACK, f"closed: line {node.line}")
            node.done()
        is_catch_all = (one.values.get("type") == "default" and "mount_name" not in one.values for one in self._mount)
        if locks and not any(is_catch_all):
            rest = TomlTable("[[mount]]")
            rest.set("type", "default")
            close_mount(rest, locks[0].line)
            self._mount.append(rest)

    def _is_known(self, list_file: XmlNode) -> bool:
        """Whether the name of a file is known: it has no variable that is not set."""
        try:
            self._settings.filled(list_file.text)
        except ValueError:
            return False
        return True

    def _add_passwords(self) -> None:
        """Sets the passwords that the file does not have: without one Icecast lets nobody in."""
        table = self._single["authentication"]
        for who in ("source", "relay", "admin"):
            key = f"{who}_password"
            if key not in table.values:
                table.set(key, self._settings.password(), "random: icecast.xml has none")
                text = f"authentication.{key}: the file has none, so Icecast lets nobody in; a random one does the same"
                self._settings.notes.append(ImportNote(NoteKind.ADDED, 0, text))


def _lines(tables: Iterable[TomlTable]) -> dict[tuple[str | int, ...], int]:
    """Returns the line of each section and key, by its path in the result."""
    lines: dict[tuple[str | int, ...], int] = {}
    seen: Counter[str] = Counter()
    for table in tables:
        name = table.title.strip("[]")
        place: tuple[str | int, ...] = (name,)
        if table.title.startswith("[["):
            if not table.text():  # it is not in the result, and takes no number
                continue
            place = name, seen[name]
            seen[name] += 1
        lines |= {place: table.line, **{(*place, key): line for key, line in table.lines.items()}}
    return lines
