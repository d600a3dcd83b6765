"""The nodes of a cluster in the terminal: reads `/admin/cluster` into values, and renders them as lines of a table.

No I/O. The one invariant, as in `status_view.py`: only printable text of a server's answer reaches the terminal.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from pycast.cli.status_view import number, printable, table
from pycast.errors import ExternalError

_COLOURS = {"dead": "red", "suspect": "yellow", "draining": "yellow"}


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node as a table shows it. Texts are safe to print."""

    name: str
    zone: str
    condition: str
    """"up", "draining", "suspect" or "dead"."""
    listeners: int
    used: int
    slots: int
    headroom: int
    """In percent."""
    sources: tuple[str, ...]
    """The mounts whose source is on this node."""


Column = tuple[str, Callable[[NodeRow], str]]
"""The head of a column, and the function that fills it."""

_ZONE: Column = ("ZONE", lambda node: node.zone)
_COLUMNS: tuple[Column, ...] = (
    ("NODE", lambda node: node.name),
    ("STATUS", lambda node: node.condition),
    ("LISTENERS", lambda node: str(node.listeners)),
    ("SLOTS", lambda node: f"{node.used}/{node.slots}"),
    ("HEADROOM", lambda node: f"{node.headroom} %"),
    ("SOURCES", lambda node: "  ".join(node.sources)),
)


def read_nodes(body: bytes) -> tuple[NodeRow, ...]:
    """Reads an answer of `/admin/cluster`. Raises ExternalError."""
    try:
        return tuple(_node(one) for one in json.loads(body.decode(errors="replace"))["nodes"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ExternalError(
            "the answer is not a list of a cluster's nodes: is that a pycast of this version?"
        ) from error


def render_nodes(nodes: Sequence[NodeRow], width: int) -> list[str]:
    """Renders the table as lines of at most `width` columns, with a column of zones if there are any."""
    columns = (_COLUMNS[0], _ZONE, *_COLUMNS[1:]) if any(node.zone for node in nodes) else _COLUMNS
    rows = [[head for head, _ in columns], *([cell(node) for _, cell in columns] for node in nodes)]
    lines = table(rows, width, numbers=("LISTENERS", "SLOTS", "HEADROOM"), spare=("SLOTS", "HEADROOM", "ZONE"))
    return [lines[0], *(coloured(line, node.condition) for line, node in zip(lines[1:], nodes, strict=True))]


def coloured(line: str, condition: str) -> str:
    """Returns a node's line in the colour of its condition."""
    return click.style(line, fg=_COLOURS[condition]) if condition in _COLOURS else line


def _node(one: dict[str, Any]) -> NodeRow:
    status = printable(one["status"])
    return NodeRow(
        name=printable(one["node"]),
        zone=printable(one.get("zone")),
        condition=printable(one.get("state")) if status == "up" else status,
        listeners=number(one.get("listeners")),
        used=number(one.get("used")),
        slots=number(one.get("slots")),
        headroom=number(one.get("headroom_percent")),
        sources=tuple(map(printable, one.get("origins", []))),
    )
