"""Puts the files that an icecast.xml includes in their place, as icecast-kh does.

`<include>mounts/*.xml</include>` stands for the outermost elements of all files of that name, in the order of their
names; relative names are relative to the folder in which the server was started. An included file may be another
<include>. Beyond icecast-kh, whose files have one element each, one whose outermost element is <icecast> stands for
what is in that.

Pure: who calls reads the files. The one invariant: the result is finite, whatever files include each other.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pycast.config.xml_tree import XmlNode, parse_xml

MOST_FILES = 1000


class IncludedFile(NamedTuple):
    """A file that was found."""

    name: str
    """As it is shown."""
    path: str
    """Without links: two files of one path are one."""
    text: str


Find = Callable[[str], Sequence[IncludedFile]]
"""Returns the files of a name, which may be a pattern. Raises ValueError if one cannot be read."""


class Includes:
    """The reader of the includes of one icecast.xml; `path` is that of the file itself, without links."""

    def __init__(self, find: Find, path: str) -> None:
        self.missing: list[XmlNode] = []
        """The elements for which there is no file."""
        self._find = find
        self._path = path
        self._count = 0

    def expand(self, root: XmlNode) -> None:
        """Replaces each <include> at the top of the file by what it includes. Raises ValueError with file and line."""
        root.children = self._expanded(root, root.children, (self._path,))

    def _expanded(self, root: XmlNode, nodes: Sequence[XmlNode], chain: tuple[str, ...]) -> list[XmlNode]:
        found: list[XmlNode] = []
        for node in nodes:
            node.parent = root
            if node.name == "include" and not node.is_attribute and not node.children:
                found += self._included(root, node, chain)
            else:
                found.append(node)
        return found

    def _included(self, root: XmlNode, node: XmlNode, chain: tuple[str, ...]) -> list[XmlNode]:
        where, found = f"line {node.line}: include", []
        try:
            files = self._find(node.value())
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if not files:
            self.missing.append(node)
        for file in files:
            self._count += 1
            if file.path in chain:
                raise ValueError(f"{where}: {file.name} includes itself")
            if self._count > MOST_FILES:
                raise ValueError(f"{where}: more than {MOST_FILES} files")
            try:
                inner = parse_xml(file.text, file.name)
            except ValueError as error:
                raise ValueError(f"{where}: {file.name}: {error}") from error
            nodes = inner.children if inner.name == "icecast" else [inner]
            found += self._expanded(root, nodes, (*chain, file.path))
        return found
