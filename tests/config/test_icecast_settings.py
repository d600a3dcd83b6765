"""Tests of pycast.config.icecast_settings: values of keys, and headers."""

import pytest

from pycast.config.icecast_settings import KEYS, elements
from tests.config.imports import closed, imported, left_out, result_of


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ('<header name="A" value="b"/>', {"A": "b"}),
        ('<header type="static" name="A" value="b"/>', {"A": "b"}),
        ('<header type="cors" name="Access-Control-Allow-Origin"/>', {"Access-Control-Allow-Origin": "*"}),
        (
            '<header type="cors" name="Access-Control-Allow-Origin" value="https://x.example"/>',
            {"Access-Control-Allow-Origin": "https://x.example"},
        ),
        ('<header type="cors" name="Access-Control-Expose-Headers"/>', {}),
        ('<header name="Vary" value="A"/><header name="vary" value="B"/>', {"Vary": "A, B"}),
        ('<header name="A" value="b" status="0"/>', {"A": "b"}),
        ('<header name="A" value="b" status="404"/>', {"A": {"404": "b"}}),
        ('<header name="A" value="b" status="4*"/><header name="a" value="c"/>', {"A": {"4*": "b", "*": "c"}}),
        ('<header name="A" value="b"/><header name="A" value="c" status="503"/>', {"A": {"*": "b", "503": "c"}}),
    ],
)
def test_headers_come_over(headers: str, found: dict[str, object]) -> None:
    assert imported(f"<http-headers>{headers}</http-headers>").http_headers == found
    mount = imported(f'<mount name="/a"><http-headers>{headers}</http-headers></mount>').mount[0]
    assert mount.http_headers == found


def test_two_blocks_of_headers_add_up() -> None:
    xml = '<http-headers><header name="A" value="b"/></http-headers>'
    assert imported(f"{xml}{xml.replace('A', 'C')}").http_headers == {"A": "b", "C": "b"}


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ('<header name="A B" value="b"/>', "expected header names"),
        ('<header name="A" value=""/>', "it has no value"),
        ('<header name="A" value="b" status="many"/>', 'expected a status such as "404"'),
        ('<header name="A" value="b" type="new"/>', "the type 'new' is not known"),
        ('<header name="A" value="${B}"/>', "the variable B is not set"),
    ],
)
def test_headers_that_do_not_come_over_are_named(header: str, why: str) -> None:
    [said] = left_out(f"<http-headers>{header}</http-headers>")
    assert why in said


def test_elements_of_each_section_are_those_of_the_schema() -> None:
    assert KEYS["limits"] == elements("limits")
    assert KEYS["server"]["server_id"] is KEYS["server"]["server-id"]


MOUNT_ELEMENTS = ("max-listeners", "hidden", "public", "no-mount", "allow-direct-access", "password", "genre")


def effective(xml: str) -> tuple[object, ...]:
    config = imported(xml)
    return config.for_mount("/a"), config.listen, config.limits, config.server


@pytest.mark.parametrize("empty", ["<{0}></{0}>", "<{0}/>", "<{0}><!-- 5 --></{0}>"])
@pytest.mark.parametrize(
    ("around", "elements"),
    [
        ("<mount><mount-name>/a</mount-name>{}</mount>", MOUNT_ELEMENTS),
        ("<listen-socket><port>8000</port>{}</listen-socket>", ("bind-address", "ssl", "tls", "shoutcast-mount")),
        ("<limits>{}</limits>", ("clients", "max-listeners", "burst-size", "source-timeout")),
        ("{}", ("hostname", "fileserve", "server-id")),
    ],
)
def test_empty_element_is_not_set(empty: str, around: str, elements: tuple[str, ...]) -> None:
    without = effective(around.format(""))
    for element in elements:
        xml = around.format(empty.format(element))
        assert effective(xml) == without, element
        assert not closed(xml) and not left_out(xml), element


@pytest.mark.parametrize("text", [" ", "${NOWHERE}", "unlimited"])
def test_element_with_a_text_that_says_nothing_closes_as_in_icecast(text: str) -> None:
    xml = f"<mount><mount-name>/a</mount-name><max-listeners>{text}</max-listeners></mount>"
    assert len(closed(xml)) == 1
    assert result_of(xml).mount[0].max_listeners == 0
