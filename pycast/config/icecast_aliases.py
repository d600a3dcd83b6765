"""Reads the aliases of an icecast.xml: `<alias source="/listen" destination="/live.mp3"/>`; icecast-kh has `dest`."""

from pycast.config.icecast_settings import SettingReader
from pycast.config.toml_table import TomlTable
from pycast.config.xml_tree import XmlNode

# What pycast does anyway, and Icecast's own file has.
_DEFAULT = ("/", "/status.xsl")


def read_alias(settings: SettingReader, node: XmlNode) -> TomlTable | None:
    """Returns the section of an <alias>, None if there is nothing to say, or a note says why it does not come over."""
    source, destination = node.peek("source"), node.peek("destination") or node.peek("dest")
    if (source, destination) == _DEFAULT and len(node.children) == 2:
        node.done()
        return None
    if not source or not destination or source == destination:
        settings.leave_out(node, "it needs a source and another path as its destination")
        node.done()
        return None
    table = TomlTable("[[alias]]", node.line)
    settings.read("alias", table, node)
    return table if {"source", "destination"} <= table.values.keys() else None
