"""Reads the directories of an icecast.xml: <directory>, and <yp-directory> of Icecast 2.5.

Pure: nodes in, tables out. The one invariant: a directory without an address becomes no section.
"""

from pycast.config.icecast_settings import SettingReader
from pycast.config.toml_table import TomlTable
from pycast.config.xml_tree import XmlNode

# Icecast takes 6 s for a time that is not from 1 to 10 s, and its own example has 15.
_LONGEST_S, _INSTEAD_S = 10, 6

_OPTIONS = {"timeout": "yp-url-timeout", "touch-interval": "touch-interval"}


class DirectoryReader:
    """The [[directory]] sections of one file."""

    def __init__(self, settings: SettingReader, root: XmlNode) -> None:
        self._settings = settings
        self._root = root

    def read(self) -> list[TomlTable]:
        """Returns the sections, those of 2.5's form last."""
        tables = []
        for block in self._root.all("directory"):
            table = TomlTable("[[directory]]")
            self._settings.read("directory", table, block)
            tables.append((block, table))
        for block in self._root.all("yp-directory"):
            table = TomlTable("[[directory]]")
            block.inside()
            for url in block.all("url"):
                self._settings.set("directory", table, url, "yp-url")
            for option in block.all("option"):
                self._read_option(table, option)
            tables.append((block, table))
        for block, table in tables:
            if "yp_url" not in table.values:
                self._settings.leave_out(block, "it has no address")
            timeout = table.values.get("yp_url_timeout")
            if isinstance(timeout, float) and not 1 <= timeout <= _LONGEST_S:
                table.set("yp_url_timeout", _INSTEAD_S)
        return [table for _, table in tables if "yp_url" in table.values]

    def _read_option(self, table: TomlTable, option: XmlNode) -> None:
        key = _OPTIONS.get(option.peek("name"))
        if key is None or not option.find("value"):
            return
        option.inside()
        option.take("name")
        for value in option.all("value"):
            self._settings.set("directory", table, value, key)
