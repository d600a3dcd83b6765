"""Tests of pycast.config.xml_tree: what was not asked for is known, and no file makes it read another or grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.config.xml_tree import XmlNode, decoded, parse_xml

TREE = b"""<a>
  <b c="1"
     d="2">x<!-- not here -->y</b>
  <b/>
</a>"""


def unread(root: XmlNode) -> list[tuple[str, str]]:
    return [(node.name, node.text.strip()) for node in root.unread()]


def test_elements_and_attributes_have_their_lines() -> None:
    root = parse_xml(TREE)
    assert [(node.name, node.line, node.is_attribute) for node in root.children] == [("b", 2, False), ("b", 4, False)]
    assert [(node.name, node.line, node.is_attribute) for node in root.children[0].children] == [
        ("c", 2, True),
        ("d", 2, True),
    ]


def test_comments_are_no_part_of_a_text() -> None:
    assert parse_xml(TREE).children[0].value() == "xy"


def test_what_nobody_asked_for_is_unread() -> None:
    root = parse_xml(b'<a>between<b c="1"><d>x</d></b><e f="2">y</e></a>')
    assert unread(root) == [("a", "between")]
    first, second = root.inside()
    assert unread(root) == [("a text", "between"), ("b", ""), ("e", "y")]
    assert second.value() == "y"
    assert unread(root) == [("a text", "between"), ("b", ""), ("f", "2")]
    assert (first.peek("c"), first.attribute("c"), first.attribute("d")) == ("1", "1", "")
    assert unread(root)[1] == ("b", "")
    first.inside()
    assert first.take("c") == "1"
    assert unread(root) == [("a text", "between"), ("d", "x"), ("f", "2")]
    root.done()
    assert unread(root) == []


def test_the_last_of_several_counts_and_all_are_read() -> None:
    root = parse_xml(b"<a><b>1</b><b>2</b></a>")
    root.inside()
    assert (root.peek("b"), root.take("b"), root.take("c")) == ("2", "2", "")
    assert unread(root) == []


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (b"", "line 1: no element found"),
        (b"<a>\n<b>", "line 2: no element found"),
        (b"<a>\n</b>", "line 2: mismatched tag"),
        (b"<a>&b;</a>", "line 1: undefined entity"),
        (b'<!DOCTYPE a [\n<!ENTITY b "c">]><a>&b;</a>', "line 2: entities are not read"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "line 1: entities are not read"),
        (b'<!DOCTYPE a SYSTEM "http://x.example/x.dtd"><a>&b;</a>', "line 1: entities are not read"),
        (b'<!DOCTYPE a [<!ENTITY % b "c">]><a/>', "line 1: entities are not read"),
        (b'<?xml version="1.0" encoding="rot13"?><a/>', "line 1: 'rot13' is not a text encoding"),
        (b"<a>" * 51 + b"</a>" * 51, "line 1: elements are nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(xml: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_xml(xml)


def test_document_type_without_entities_is_no_error() -> None:
    assert parse_xml(b"<!DOCTYPE a><a>&lt;&#228;</a>").text == "<ä"


@given(st.binary(max_size=80) | st.text("<>a/='\"&; !-[]?", max_size=60).map(str.encode))
def test_any_bytes_give_a_tree_or_a_value_error(xml: bytes) -> None:
    try:
        assert list(parse_xml(xml).unread())
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
        ("<?xml version='1.0' encoding='ISO-8859-1'?>", "latin-1"),
        ('<?xml version="1.0" encoding="windows-1252" standalone="yes"?>', "cp1252"),
    ],
)
def test_text_is_in_the_encoding_that_its_mark_or_its_declaration_names(head: str, encoding: str) -> None:
    text = f"{head}<a>ü</a>"
    assert decoded(text.encode(encoding)) == text
    assert parse_xml(decoded(text.encode(encoding))).text == "ü"


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (b"<a>\n\xfc</a>", "line 2: expected utf-8, but byte 4 is not"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "line 1: unknown encoding: klingon"),
    ],
)
def test_text_that_is_in_another_encoding_is_told(xml: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decoded(xml)
