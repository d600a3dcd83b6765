"""The three looks of an answer of the admin interface: XML, a page (`.xsl`), JSON (`.json`).

A command says what it has to say in Icecast's XML. Both others are made from that, so no look knows more than another:
`tree` turns the XML into plain values, JSON writes them down, and a template of the command's name shows them. The
pages work without JavaScript: what they order is sent by forms. They may be shown in frames of pages of the same
server, as icecast-kh's own pages do, but of no other site.
"""

import json
from functools import cache
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from pycast.errors import Refused
from pycast.http.response import HTML, Response
from pycast.net.turns import in_turns
from pycast.stats.status_json import JSON_TYPE, typed
from pycast.stats.xml import iceresponse
from pycast.web.page_templates import PATH_CHARACTERS, clean, page_policy, render


class Tree(dict[str, Any]):
    """What is in an element, by name. For a template, what is not there is empty."""

    def __missing__(self, name: str) -> str:
        return ""


_TEMPLATES = {"stats.xml": "stats", "streamlist": "listmounts", "publicstats": "version", "logs": "showlog"}
"""Commands that have another's template."""

_TEXTS = frozenset({"IP", "UserAgent", "line", "message", "name", "username", "warning"})
"""Elements that are never numbers, beside those of the statistics."""

_LISTS = frozenset({"listener", "line", "relay", "master", "played", "User", "warning"})
"""Elements of which there may be several, so that JSON has a list for one of them too."""


def as_json(document: bytes) -> Response:
    """Returns the JSON of a command's XML. May switch."""
    root = ElementTree.fromstring(document)
    values = _value(root)
    if root.tag == "iceresponse" and isinstance(values, Tree):
        values = {"message": values.get("message", ""), "success": values.get("return") == 1}
    return Response(200, json.dumps({root.tag: values}, ensure_ascii=False).encode("utf-8", "replace"), JSON_TYPE)


def as_page(document: bytes, command: str, mount: str, *, has_nodes: bool = False) -> Response:
    """Returns the page of a command's XML. `mount` is the one that it is about, or empty; with `has_nodes` there is a
    page of the cluster's nodes. May switch.
    """
    root = ElementTree.fromstring(document)
    tree = _value(root)
    template = "message" if root.tag == "iceresponse" else _TEMPLATES.get(command, command)
    body = render(
        f"admin_{template}.html",
        tree=tree if isinstance(tree, Tree) else Tree(),
        mount=mount,
        command=command,
        here="" if mount else f"{template}.xsl",
        has_nodes=has_nodes,
        path=mount_link,
        clean=clean,
        policy=page_policy((), "'self'"),
        brand="pycast",
    )
    return Response(200, body, HTML, _headers())


def add_page(error: Refused, command: str, *, has_nodes: bool) -> None:
    """Gives a refusal a page with the menu, so that a browser is not left on a page without a link. May switch."""
    page = as_page(iceresponse(error.public, 0), command, "", has_nodes=has_nodes)
    assert isinstance(page.body, bytes)
    error.page, error.headers = page.body, (*error.headers, *page.headers)


def mount_link(mount: str) -> str:
    """Returns the link to a mount, relative to a page below /admin/."""
    return f"../{quote(mount.lstrip('/'), safe=PATH_CHARACTERS, errors='replace')}"


@cache
def _headers() -> tuple[tuple[str, str], ...]:
    policy = page_policy((), "'self'")
    return (("X-Frame-Options", "SAMEORIGIN"), ("Content-Security-Policy", f"{policy}; frame-ancestors 'self'"))


def _value(element: ElementTree.Element) -> object:
    """Returns an element as a number or a text, or as a mapping of what is in it. May switch: there may be thousands of
    listeners.
    """
    if not len(element):
        return Tree() if element.tag in ("icestats", "source") else _typed(element.tag, element.text or "")
    values = Tree()
    for one in in_turns(element):
        if one.tag == "source":
            values.setdefault("source", Tree())[one.get("mount", "")] = _value(one)
        elif one.tag in _LISTS:
            values.setdefault(one.tag, []).append(_value(one))
        else:
            values[one.tag] = _value(one)
    return values


def _typed(name: str, text: str) -> object:
    return text if name in _TEXTS else json.loads(typed(name, text))
