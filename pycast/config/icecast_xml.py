"""Converts icecast.xml to pycast.toml: the settings that both have, and a list of those without an equivalent.

Reads the configuration of Icecast 2.4, and what 2.5 and icecast-kh have in the same places. The schema says which
element becomes which key. Each value goes through the schema's check, and the whole file through the loader, so the
list also has everything that pycast would refuse.

The one invariant: every element of the file is in the TOML, in the list, or in the table of harmless ones.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from pycast.config.load import loads
from pycast.config.reference import toml_value
from pycast.config.schema import Config
from pycast.config.section import Key
from pycast.errors import ConfigError

_SECTIONS = ("server", "limits", "authentication", "listen", "mount", "logging", "tls")
"""The sections that Icecast has too."""


def elements(section: str) -> dict[str, Key]:
    """Returns the keys of `section` by the names of the elements that become them."""
    found = Config.KEYS[section].section
    assert found is not None
    return {element: key for key in found.KEYS.values() for element in key.elements()}


_KEYS = {section: elements(section) for section in _SECTIONS}

_HARMLESS = {
    *("paths/basedir", "paths/adminroot", "paths/webroot", "paths/logdir", "paths/pidfile", "limits/threadpool"),
    *("logging/logsize", "logging/logarchive", "fileserve=1", "limits/burst-on-connect=1"),
    *("relays-on-demand=0", "security/chroot=0", "listen-socket/shoutcast-compat=0", "mount/no-mount=0"),
    "mount/mp3-metadata-interval=-1",
}
"""Elements, some with one value only, that are left out silently: no listener would notice a difference."""

_LINE = re.compile(r":\d+(?=: )")

_WHY = {
    "changeowner": "start pycast as that user (systemd: User=), see conf/pycast.service",
    "chroot": "use what the system offers (systemd: ProtectSystem=), see conf/pycast.service",
    "shoutcast-compat": 'set shoutcast_mount in the [[listen]] section of the port below, such as "/stream"',
}


@dataclass(frozen=True, slots=True)
class Imported:
    """The result: a file for pycast, and one line for each setting that is not in it."""

    toml: str
    left_out: tuple[str, ...]


def convert(xml: bytes) -> Imported:
    """Converts an icecast.xml. Raises ConfigError if it is none."""
    try:
        root = fromstring(xml)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise ConfigError([f"not XML that Icecast would read: {str(error) or type(error).__name__}"]) from error
    if root.tag != "icecast":
        raise ConfigError([f"expected <icecast> as the outermost element, not <{root.tag}>"])
    reader = _ElementReader()
    reader.read_root(root)
    return reader.result()


class _ElementReader:
    """One pass through the file: the sections found, and what is left out."""

    def __init__(self) -> None:
        self._single: dict[str, dict[str, Any]] = {}
        self._listen: list[dict[str, Any]] = []
        self._mount: list[dict[str, Any]] = []
        self._headers: dict[str, str] | None = None
        self._left_out: list[str] = []
        self._shoutcast_mount = "/stream"
        self._log_directory = ""

    def read_root(self, root: Element) -> None:
        # Both apply to elements that may come before them in the file.
        self._shoutcast_mount = _text_at(root, "shoutcast-mount") or "/stream"
        self._log_directory = _text_at(root, "paths/logdir")
        old_listen: dict[str, Any] = {}
        for child in root:
            if child.tag in ("port", "bind-address"):
                self._set("listen", old_listen, child, child.tag)
            elif child.tag in _KEYS["server"]:
                self._set("server", self._section("server"), child, child.tag)
            elif child.tag == "source-password":
                self._set("authentication", self._section("authentication"), child, child.tag)
            elif child.tag != "shoutcast-mount":
                self._read_block(child)
        if old_listen:
            self._listen.insert(0, old_listen)
        self._join_shoutcast_ports()

    def result(self) -> Imported:
        """Returns the file and the list. The loader checks the file; its problems are in the list too."""
        body = "\n".join(self._sections())
        try:
            loads(body, {}, "to be corrected")
        except ConfigError as error:
            # The file's lines are not yet those that the user will see.
            self._left_out += [_LINE.sub("", problem, count=1) for problem in error.problems]
        head = ["# Imported from icecast.xml.", *(f"# Left out: {line}" for line in self._left_out), "", ""]
        return Imported("\n".join(head) + body, tuple(self._left_out))

    def _read_block(self, block: Element) -> None:
        if block.tag in ("limits", "authentication", "logging"):
            self._read_plain(block.tag, self._section(block.tag), block)
        elif block.tag == "listen-socket":
            self._listen.append(self._read_plain("listen", {}, block))
        elif block.tag == "mount":
            kind = {"type": "default"} if block.get("type") == "default" else {}
            self._mount.append(kind | self._read_plain("mount", {}, block))
        elif block.tag == "http-headers":
            self._headers = (self._headers or {}) | self._read_headers(block)
        elif block.tag in ("paths", "tls-context"):
            self._read_plain("tls", self._section("tls"), block)
        elif block.tag == "security":
            self._read_plain("security", {}, block)
        else:
            self._leave_out(block, block.tag)

    def _read_plain(self, section: str, values: dict[str, Any], block: Element) -> dict[str, Any]:
        """Reads the settings in `block` into `values`."""
        for child in block:
            path, label = f"{block.tag}/{child.tag}", _label(block)
            if path == "limits/burst-on-connect" and _text(child) == "0":
                values["burst_size"] = 0  # as in Icecast, a burst-size further down wins
            elif path == "mount/no-yp":
                values["public"] = False if _text(child) == "1" else values.get("public")
            elif path == "mount/http-headers":
                values["http_headers"] = self._read_headers(child)
            elif path == "listen-socket/shoutcast-compat" and _text(child) == "1":
                values["shoutcast-compat"] = True
            elif path == "paths/alias" and (child.get("source"), _target(child)) == ("/", "/status.xsl"):
                continue  # what pycast does anyway
            elif path == "paths/tls-context":
                self._read_plain(section, values, child)
            else:
                self._set(section, values, child, path, label)
        return values

    def _set(self, section: str, values: dict[str, Any], element: Element, path: str, label: str = "") -> None:
        """Adds the element's value under its key, or adds the element to the list."""
        key = _KEYS.get(section, {}).get(element.tag)
        if key is None or f"{path}={_text(element)}" in _HARMLESS:
            self._leave_out(element, path, label=label)
            return
        value = _text(element)
        if section == "logging" and key.name.endswith("_log") and value not in ("", "-") and self._log_directory:
            value = f"{self._log_directory.rstrip('/')}/{value}"
        try:
            values[key.name] = key.read(value)
        except ValueError as error:
            self._leave_out(element, path, str(error), label)

    def _read_headers(self, block: Element) -> dict[str, str]:
        headers: dict[str, str] = {}
        for header in block:
            name, value = header.get("name", ""), header.get("value", "")
            try:
                Config.KEYS["http_headers"].read({name: value})
            except ValueError as error:
                self._leave_out(header, "http-headers/header", str(error))
                continue
            if header.get("status", "0") not in ("", "0"):
                self._left_out.append(f"http-headers: {name} only with status {_one_line(header.get('status', ''))}")
            else:
                headers[name] = value
        return headers

    def _join_shoutcast_ports(self) -> None:
        """Turns each socket with shoutcast-compat, which is the port after another, into a key of that other one."""
        for socket in [socket for socket in self._listen if socket.pop("shoutcast-compat", False)]:
            below = [other for other in self._listen if other.get("port", 8000) == socket.get("port", 8000) - 1]
            if below:
                below[0]["shoutcast_mount"] = socket.get("shoutcast_mount", self._shoutcast_mount)
            else:
                self._left_out.append(f"listen-socket {socket.get('port')}: {_WHY['shoutcast-compat']}")
            self._listen.remove(socket)

    def _leave_out(self, element: Element, path: str, why: str = "", label: str = "") -> None:
        value = _text(element)
        if _HARMLESS.isdisjoint({path, f"{path}={value}"}):
            why = why or _WHY.get(element.tag, "pycast has no such setting")
            shown = value or " ".join([*element.attrib.values(), *_contents(element)])
            shown = f" = {_one_line(shown)}" if shown and "password" not in element.tag else ""
            place = f"{label} {element.tag}" if label else path
            self._left_out.append(f"{_one_line(place)}{shown}: {_one_line(why)}")

    def _section(self, name: str) -> dict[str, Any]:
        return self._single.setdefault(name, {})

    def _sections(self) -> Iterable[str]:
        for name in ("server", "limits", "authentication", "logging", "tls"):
            yield from _toml_table(f"[{name}]", self._single.get(name, {}))
        if self._headers is not None:
            yield from ["[http_headers]", *(f"{toml_value(k)} = {toml_value(v)}" for k, v in self._headers.items()), ""]
        for listen in self._listen:
            yield from _toml_table("[[listen]]", listen)
        for mount in self._mount:
            yield from _toml_table("[[mount]]", mount)


def _toml_table(title: str, values: Mapping[str, object]) -> list[str]:
    lines = [f"{key} = {toml_value(value)}" for key, value in values.items() if value is not None]
    return [title, *lines, ""] if lines else []


def _label(block: Element) -> str:
    """Returns which of several sections it is, such as `mount /live.mp3`; empty for a section that is not repeated."""
    which = block.findtext("mount-name") or block.findtext("port") or ""
    return f"{block.tag} {which.strip()}" if which.strip() else ""


def _contents(element: Element) -> list[str]:
    return [_text(child) for child in element if _text(child) and "password" not in child.tag]


def _target(alias: Element) -> str:
    return alias.get("destination", alias.get("dest", ""))


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _text_at(root: Element, path: str) -> str:
    return (root.findtext(path) or "").strip()


def _one_line(text: str) -> str:
    """Returns text that is safe in a comment and on a terminal: one line, no control characters, not too long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= 120 else shown[:119] + "…"
