"""The tree of an XML file in which each element and attribute has its line, and a mark that somebody has read it.

Pure: bytes in, a tree out. Comments and processing instructions are left out; no file is read, and an
entity that the file declares is refused, as it could grow without bounds.

The one invariant: `unread` names each element, attribute and text that nobody has asked for, so nothing of the file is
lost in silence.
"""

import codecs
from collections.abc import Iterator
from xml.parsers.expat import ErrorString, ExpatError, ParserCreate

from pycast.config.included_lines import IncludedLine
from pycast.patterns import pattern

_DECLARED = pattern(rb"""\s*<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']""")
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}

_DEEPEST = 50
"""Elements inside each other. Configurations have up to six; the tree is walked by recursion."""


class XmlNode:
    """An element, or an attribute, which has neither children nor attributes of its own."""

    __slots__ = ("_is_read", "_is_text_read", "children", "is_attribute", "line", "name", "parent", "text")

    def __init__(
        self, name: str, line: int, parent: "XmlNode | None" = None, text: str = "", *, is_attribute: bool = False
    ) -> None:
        self.name = name
        self.line = line
        self.parent = parent
        self.text = text
        """All text directly inside, with the blanks around it."""
        self.children: list[XmlNode] = []
        """Its attributes, then its elements: a setting may be written as either."""
        self.is_attribute = is_attribute
        self._is_read = self._is_text_read = False

    @property
    def is_read(self) -> bool:
        """Whether somebody has asked for it."""
        return self._is_read

    def inside(self) -> list["XmlNode"]:
        """Returns what is inside, to be read one by one."""
        self._is_read = True
        return self.children

    def value(self) -> str:
        """Returns the text without the blanks around it."""
        self._is_read = self._is_text_read = True
        return self.text.strip()

    def done(self) -> None:
        """Marks it and all that is inside as read."""
        self.value()
        for child in self.children:
            child.done()

    def find(self, name: str) -> "XmlNode | None":
        """Returns the last attribute or element of that name, None if there is none. It counts as read only by what
        the caller does with it.
        """
        return next((child for child in reversed(self.children) if child.name == name), None)

    def all(self, name: str) -> list["XmlNode"]:
        """Returns the attributes and elements of that name."""
        return [child for child in self.children if child.name == name]

    def attribute(self, name: str) -> str:
        """Returns the text of an attribute, which does not count as read; an element of that name is another thing."""
        return next((child.text for child in self.children if child.is_attribute and child.name == name), "")

    def peek(self, name: str) -> str:
        """Returns the text of the last one of that name, which does not count as read."""
        found = self.find(name)
        return found.text.strip() if found else ""

    def take(self, name: str) -> str:
        """Returns the text of the last one of that name; all of that name count as read."""
        return [found.value() for found in self.all(name)][-1] if self.find(name) else ""

    def unread(self) -> Iterator["XmlNode"]:
        """Yields what nobody has read: whole elements, attributes, and texts between elements, as nodes of that
        name.
        """
        if not self._is_read:
            yield self
            return
        if self.text.strip() and not self._is_text_read:
            yield XmlNode("a text", self.line, self, self.text)
        for child in self.children:
            yield from child.unread()


def decoded(xml: bytes) -> str:
    """Returns the text of an XML file, in the encoding that it names. Raises ValueError with what is wrong."""
    declared = _DECLARED.match(xml)
    by_mark = next((name for mark, name in _MARKS.items() if xml.startswith(mark)), "")
    encoding = by_mark or (declared[1].decode() if declared else "utf-8")
    try:
        return xml.decode(encoding)
    except LookupError as error:
        raise ValueError(f"line 1: {error}") from error
    except UnicodeDecodeError as error:
        line = 1 + xml[: error.start].count(b"\n")
        raise ValueError(
            f"line {line}: expected {encoding}, but byte {error.start} is not: save it so, or name its encoding"
        ) from error


def parse_xml(xml: bytes | str, file: str = "") -> XmlNode:
    """Returns the outermost element. Raises ValueError with the line and what is wrong there. The encoding that a text
    names has been used already. `file` is its name if another one includes it.
    """
    reader = _TreeReader(file)
    try:
        reader.parser.Parse(xml, True)
    except ExpatError as error:
        raise ValueError(f"line {error.lineno}: {ErrorString(error.code)}") from error
    except LookupError as error:
        raise ValueError(f"line 1: {error}") from error
    return reader.root


class _TreeReader:
    """The handlers of one pass through the file."""

    def __init__(self, file: str) -> None:
        self.root = XmlNode("", 0)
        self._file = file
        self._open: list[XmlNode] = []
        self.parser = parser = ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = lambda name, *rest: self._refuse_entity(name)
        parser.SkippedEntityHandler = lambda name, is_parameter: self._refuse_entity(name)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        line = self.parser.CurrentLineNumber
        if len(self._open) >= _DEEPEST:
            raise ValueError(f"line {line}: elements are nested too deeply")
        line = IncludedLine(line, self._file) if self._file else line
        node = XmlNode(name, line, self._open[-1] if self._open else None)
        node.children = [XmlNode(key, line, node, text, is_attribute=True) for key, text in attributes.items()]
        if node.parent is None:
            self.root = node
        else:
            node.parent.children.append(node)
        self._open.append(node)

    def _end(self, name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].text += text

    def _refuse_entity(self, name: str) -> None:
        line = self.parser.CurrentLineNumber
        raise ValueError(f"line {line}: entities are not read: write out what the entity {name[:60]!r} stands for")
