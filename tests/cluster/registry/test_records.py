"""What nodes say of themselves: read back as it was written, and checked field by field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import LONGEST_TEXT, NodeRecord, NodeState, OriginRecord

NODE = NodeRecord("a", "b0", "a:8000", "zone", "1.0", NodeState.DRAINING, 100, 7, 5, 80, "machine")
ORIGIN = OriginRecord("/x", "a", "b0", Epoch(1, 2, 3, "a.b"), 1000, True, True, "audio/mpeg", "::1", 12.5)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "record", [NODE, ORIGIN, NodeRecord("a", "b", "c"), OriginRecord("/", "", "", Epoch(), 0, False)]
)
def test_a_record_reads_back_as_it_was_written(record: NodeRecord | OriginRecord) -> None:
    assert type(record).from_json(json.loads(json.dumps(record.to_json()))) == record


def test_what_a_newer_node_says_besides_is_left_out() -> None:
    assert NodeRecord.from_json(NODE.to_json() | {"colour": "red"}) == NODE


@pytest.mark.parametrize(
    ("record", "changed"),
    [
        (NODE, {"node": 5}),
        (NODE, {"slots": "many"}),
        (NODE, {"slots": True}),
        (NODE, {"slots": 1.5}),
        (NODE, {"state": "asleep"}),
        (NODE, {"zone": None}),
        (NODE, {"zone": "z" * (LONGEST_TEXT + 1)}),
        (ORIGIN, {"epoch": "1.2"}),
        (ORIGIN, {"epoch": 7}),
        (ORIGIN, {"is_live": 1}),
        (ORIGIN, {"started": True}),
        (ORIGIN, {"base": None}),
    ],
)
def test_a_field_of_another_type_is_refused(record: NodeRecord | OriginRecord, changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        type(record).from_json(record.to_json() | changed)


@pytest.mark.parametrize("name", ["node", "boot", "address"])
def test_a_field_that_must_be_there_is_missed(name: str) -> None:
    value = NODE.to_json()
    del value[name]
    with pytest.raises(ValueError, match=name):
        NodeRecord.from_json(value)


def test_whole_seconds_are_seconds() -> None:
    assert OriginRecord.from_json(ORIGIN.to_json() | {"started": 12}).started == 12


@given(JSON, st.dictionaries(st.sampled_from(sorted(NODE.to_json())), JSON, max_size=3))
def test_any_json_is_a_node_or_a_value_error(value: object, changed: dict[str, Any]) -> None:
    for given_value in (value, NODE.to_json() | changed):
        try:
            NodeRecord.from_json(given_value)
        except ValueError:
            continue


@given(st.dictionaries(st.sampled_from(sorted(ORIGIN.to_json())), JSON, max_size=3))
def test_any_json_is_an_origin_or_a_value_error(changed: dict[str, Any]) -> None:
    try:
        OriginRecord.from_json(ORIGIN.to_json() | changed)
    except ValueError:
        return
