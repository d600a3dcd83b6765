"""Reads the mounts of an icecast.xml.

Pure: nodes in, tables out. The one invariant: a mount that Icecast protects in a way that pycast does not have takes no
listeners, and one whose sources it asks a URL for takes no source without a password that nobody knows yet.
"""

from pycast.config.icecast_authentication import authentication_of, converted, is_convertible, is_default
from pycast.config.icecast_logs import LogReader
from pycast.config.icecast_protection import Lock, MountLocks, checks_listeners, checks_sources
from pycast.config.icecast_settings import KEYS, SettingReader
from pycast.config.icecast_values import is_yes
from pycast.config.import_notes import ImportNote, NoteKind, described, name_of, place
from pycast.config.toml_table import TomlTable
from pycast.config.xml_tree import XmlNode


class MountReader:
    """The [[mount]] sections of one file."""

    def __init__(self, settings: SettingReader, root: XmlNode) -> None:
        self._settings = settings
        self._root = root
        self._blocks = root.all("mount")

    def read(self) -> list[TomlTable]:
        """Returns the sections in the order of the file."""
        tables: list[TomlTable] = []
        for block in self._blocks:
            _begin_with_slash(block)
        locks, names = MountLocks(self._blocks), set[str]()
        for block in self._blocks:
            if why := "" if is_default(block) else _why_without(name_of(block), names):
                self._settings.leave_out(block, why)
                block.done()
                continue
            names.add(name_of(block))
            tables.append(self._mount(block, locks.of(block)))
        return tables

    def _mount(self, block: XmlNode, lock: Lock | None) -> TomlTable:
        table = TomlTable("[[mount]]", block.line)
        if is_default(block):
            table.set("type", "default")
        for kind in block.all("type"):
            if kind.is_attribute and kind.text in ("default", "normal"):
                kind.value()
            elif is_default(block):
                self._settings.leave_out(kind, "a content type is for one mount")
                kind.done()
        for name in block.all("name"):
            self._settings.set("mount", table, name, "mount-name")
        for headers in block.all("http-headers"):
            table.set("http_headers", self._settings.headers(headers, table.values.get("http_headers")))
        self._read_fallback(table, block)
        self._read_redirect(table, block)
        for log in block.all("accesslog"):
            LogReader(self._settings, self._root, table).read_of_mount(log, place(log))
        self._settings.read("mount", table, block)
        for hijack in block.all("hijack"):  # icecast-kh: a second source replaces the first, and listeners stay
            table.set("on_conflict", "take_over" if is_yes(hijack.value()) else None, line=hijack.line)
        for no_yp in block.all("no-yp"):
            table.set("public", False if is_yes(no_yp.value()) else table.values.get("public"))
        self._read_protection(table, block)
        if lock is not None:
            close_mount(table, lock.line)
            text = f"{place(block)}: no listener may connect, because of {lock.text}"
            self._settings.notes.append(ImportNote(NoteKind.CLOSED, lock.line, text))
        return table

    def _read_fallback(self, table: TomlTable, block: XmlNode) -> None:
        """Reads the fallback, in icecast-kh's form too. Its rate is not needed: a file tells its own."""
        named = block.all("fallback-mount")
        for nested in block.all("fallback"):
            nested.inside()
            named += [nested] if nested.text.strip() else nested.all("mount")
            for rate in nested.all("rate"):
                rate.value()
        for node in named:
            self._settings.set("mount", table, node, "fallback-mount")

    def _read_redirect(self, table: TomlTable, block: XmlNode) -> None:
        """Reads where icecast-kh sends all listeners of a mount. Its ${mount} is no variable of the environment."""
        for node in (*block.all("redirect-to"), *block.all("redirect")):
            pattern = node.value() + ("/${mount}" if node.name == "redirect" else "")
            try:
                text = "${mount}".join(map(self._settings.filled, pattern.split("${mount}")))
                table.set("redirect_to", KEYS["mount"]["redirect-to"].read(text), line=node.line)
            except ValueError as error:
                self._settings.leave_out(node, str(error))

    def _read_protection(self, table: TomlTable, block: XmlNode) -> None:
        self._read_authentication(table, block)
        for node in block.all("authentication"):
            if is_convertible(node):
                node.done()
            elif checks_sources(node):
                table.set("password", self._settings.password(), f"closed: line {node.line}")
                self._settings.close(node, f"{described(node)}: sources need the random password in pycast.toml")
            if checks_sources(node) or checks_listeners(node):
                node.done()

    def _read_authentication(self, table: TomlTable, block: XmlNode) -> None:
        """Reads what holds for the mount, in whatever section it is. What cannot be read closes the mount."""
        node = authentication_of(block, self._blocks)
        if node is None or not is_convertible(node):
            return
        try:
            values, left = converted(node, self._settings.filled)
        except ValueError as error:
            close_mount(table, node.line)
            table.set("password", self._settings.password(), f"closed: line {node.line}")
            self._settings.close(node, f"{described(node)}: {str(error).removesuffix(' ${')}; until then it is closed")
            return
        table.set("authentication", values)
        for option, why in left if node.parent is block else ():
            self._settings.leave_out(option, why)


def _begin_with_slash(block: XmlNode) -> None:
    """Puts the first character of all names before a pattern that has any in its place, as icecast-kh lets it."""
    for node in (*block.all("mount-name"), *block.all("name")):
        if node.text.strip().startswith("*"):
            node.text = f"/{node.text.strip()}"


def _why_without(name: str, names: set[str]) -> str:
    """Returns why a section is of no mount, empty if it is of one. With a name that no mount can have it means nothing
    to Icecast either. What a variable stands for is seen later.
    """
    if not name:
        return "it has no mount-name"
    if name in names:
        return "the first section of that name holds, as in Icecast"
    if "${" not in name:
        try:
            KEYS["mount"]["mount-name"].read(name)
        except ValueError as error:
            return f"no mount can have that name: {error}"
    return ""


def close_mount(table: TomlTable, line: int) -> None:
    """Lets no listener connect to the mount, because of a line of the file."""
    before = table.values.get("max_listeners")
    if before != 0:
        was = f", was {before}" if before is not None else ""
        table.set("max_listeners", 0, f"closed: line {line}{was}")
