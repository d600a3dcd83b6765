"""Reads single settings of an icecast.xml: the value of an element as that of a key, and headers.

The schema says which element becomes which key, and checks the value. Pure: nodes in, values and notes out. The one
invariant: a key that keeps somebody out, and whose value cannot be read, gets its strictest value, never its default.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pycast.config.icecast_includes import Find
from pycast.config.icecast_values import cors_value, filled_in, is_yes, translated, with_header
from pycast.config.import_notes import ImportNote, NoteKind, described, left_out
from pycast.config.random_passwords import Rng, random_password
from pycast.config.schema import Config
from pycast.config.section import Key
from pycast.config.status_headers import HeaderValue
from pycast.config.toml_table import TomlTable
from pycast.config.xml_tree import XmlNode

_SECTIONS = (
    *("server", "limits", "authentication", "listen", "mount", "relay", "master", "redirect", "paths", "alias"),
    *("security", "logging", "tls", "directory"),
)
"""The sections that Icecast has too."""

LOOPBACK = "127.0.0.1"

_STRICTEST = {
    "max_listeners": 0,
    "hidden": True,
    "public": False,
    "tls": True,
    "bind_address": LOOPBACK,
    "no_mount": True,
    "allow_direct_access": False,
}


_ZERO_IS_UNSET = ("queue-size", "source-timeout")
"""What of a mount holds in Icecast only if it is more than 0."""


def elements(section: str) -> dict[str, Key]:
    """Returns the keys of `section` by the names of the elements that become them."""
    found = Config.KEYS[section].section
    assert found is not None
    return {element: key for key in found.KEYS.values() for element in key.elements()}


KEYS = {section: elements(section) for section in _SECTIONS}


class Host(NamedTuple):
    """What the conversion asks about the machine that the file is for."""

    rng: Rng
    environ: Mapping[str, str] = {}
    """The values of ${VAR}."""
    find: Find | None = None
    """Finds the files that the file includes; None: its settings from there are not known."""
    path: str = ""
    """The file itself, without links."""
    why_no_log: Callable[[str], str] = lambda name: ""
    """Returns why a log file cannot be written, empty if it can."""


class SettingReader:
    """Reads settings into tables, and collects the notes."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.notes: list[ImportNote] = []

    def read(self, section: str, table: TomlTable, block: XmlNode) -> None:
        """Reads the settings in `block` that are keys of `section`, but those that somebody has read already."""
        for setting in block.inside():
            if setting.is_read:
                continue
            if setting.name == "burst-on-connect":
                if not is_yes(setting.value()):
                    table.set("burst_size", 0)  # as in Icecast, a burst-size further down wins
            elif setting.name in KEYS[section]:
                self.set(section, table, setting)

    def set(self, section: str, table: TomlTable, setting: XmlNode, element: str = "") -> None:
        """Sets the key that an element means. A value that cannot be read is a note, and closes what it is for, but an
        empty element is none, as in icecast-kh and 2.5 (2.4 crashes, or takes it as not set).

        `element` is the name by which the key is known, if the setting has another one.
        """
        element = element or setting.name
        key = KEYS[section][element]
        try:
            value = translated(element, self.filled(setting.value()))
            if section == "mount" and element in _ZERO_IS_UNSET and value == "0":
                value = None
            table.set(key.name, None if value is None else key.read(value), line=setting.line)
        except ValueError as error:
            if not setting.text and not setting.is_attribute:  # panels write so what nobody has set
                return
            strictest = _STRICTEST.get(key.name)
            if strictest is None and key.name.endswith("password") and "${" in setting.text:
                strictest = self.password()
            if strictest is None:
                self.leave_out(setting, str(error))
            else:
                table.set(key.name, strictest, f"closed: line {setting.line}")
                self.close(setting, f"{described(setting)}: {error}; until then {key.name} is as strict as it can be")

    def headers(self, block: XmlNode, known: object = None) -> dict[str, HeaderValue]:
        """Returns the headers of an <http-headers>, added to those known already."""
        headers: dict[str, HeaderValue] = dict(known) if isinstance(known, dict) else {}
        for header in block.inside():
            if header.name != "header":
                continue
            header.inside()
            name, given, kind, status = (header.take(one) for one in ("name", "value", "type", "status"))
            try:
                value = cors_value(name, self.filled(given)) if kind == "cors" else self.filled(given)
                status = "" if status == "0" else status
                Config.KEYS["http_headers"].read({name: {status: value} if status else value})
            except ValueError as error:
                self.leave_out(header, str(error))
                continue
            if kind not in ("", "static", "cors"):
                self.leave_out(header, f"the type {kind[:40]!r} is not known")
            elif value:
                headers = with_header(headers, name, value, status)
            elif kind != "cors":
                self.leave_out(header, "it has no value")
        return headers

    def filled(self, text: str) -> str:
        """Returns `text` with the values of its ${VAR}. Raises ValueError."""
        return filled_in(text, self.host.environ)

    def password(self) -> str:
        """Returns a random password, which nobody knows."""
        return random_password(self.host.rng)

    def leave_out(self, node: XmlNode, why: str = "") -> None:
        """Notes that a setting does not come over."""
        self.notes.append(left_out(node, why))

    def close(self, node: XmlNode, text: str) -> None:
        """Notes that something is closed because of `node`."""
        self.notes.append(ImportNote(NoteKind.CLOSED, node.line, text))
