"""Tests of pycast.cli.nodes_view: what a cluster says of its nodes becomes a table, and nothing else gets through."""

import json
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.cli.nodes_view import read_nodes, render_nodes
from pycast.cli.status_view import cut
from pycast.errors import ExternalError

A = {"node": "a", "address": "10.0.0.1:8000", "zone": "", "status": "up", "state": "up", "listeners": 4200}
A |= {"used": 4210, "slots": 10000, "headroom_percent": 57, "version": "1", "origins": ["/live.mp3", "/night.ogg"]}
B = A | {"node": "b", "status": "dead", "listeners": 0, "used": 0, "origins": []}


def answer(*nodes: dict[str, Any]) -> bytes:
    return json.dumps({"nodes": nodes}).encode()


NODES = answer(A, B)


def test_nodes_are_listed_with_how_they_are_and_what_they_carry() -> None:
    assert render_nodes(read_nodes(NODES), 80) == [
        "\x1b[2m  NODE  STATUS  LISTENERS       SLOTS  HEADROOM  SOURCES\x1b[0m",
        "  a     up           4200  4210/10000      57 %  /live.mp3  /night.ogg",
        "\x1b[31m  b     dead            0     0/10000      57 %\x1b[0m",
    ]


def test_zone_is_shown_where_there_is_one() -> None:
    head, first, *_ = render_nodes(read_nodes(answer(A | {"zone": "eu-west-1a"}, B)), 80)
    assert head.split()[1:3] == ["NODE", "ZONE"]
    assert first.split()[:3] == ["a", "eu-west-1a", "up"]


@pytest.mark.parametrize(
    ("status", "state", "shown"),
    [("up", "up", "up"), ("up", "draining", "draining"), ("suspect", "draining", "suspect"), ("dead", "up", "dead")],
)
def test_what_others_found_out_counts_more_than_what_the_node_said(status: str, state: str, shown: str) -> None:
    (row,) = read_nodes(answer(A | {"status": status, "state": state}))
    assert row.condition == shown


@pytest.mark.parametrize("width", [20, 40, 80])
def test_table_is_never_wider_than_the_terminal(width: int) -> None:
    long = A | {"zone": "z" * 30, "origins": [f"/{number}" for number in range(50)]}
    for line in map(click.unstyle, render_nodes(read_nodes(answer(long)), width)):
        assert cut(line, width) == line


def test_control_characters_never_reach_the_terminal() -> None:
    (row,) = read_nodes(answer(A | {"node": "a\x1b[2J", "origins": ["/\x07x"]}))
    assert (row.name, row.sources) == ("a[2J", ("/x",))


values = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=5), max_size=2)


@given(st.binary() | st.dictionaries(st.sampled_from(list(A)), values).map(lambda change: answer(A | change)))
def test_any_answer_gives_a_table_or_outside_error(body: bytes) -> None:
    try:
        nodes = read_nodes(body)
    except ExternalError:
        return
    assert render_nodes(nodes, 80)
