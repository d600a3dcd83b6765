"""The records of nodes and origins are read back as they were written, and checked field by field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.codec import Bounds, decode, encode
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, NodeState, OriginRecord

NODE = NodeRecord("a", "b0", "a:8000", "zone", "1.0", NodeState.DRAINING, 100, 7, 5, 80, "machine")
ORIGIN = OriginRecord("/x", "a", "b0", Epoch(1, 2, 3, "a.b"), 1000, True, True, "audio/mpeg", "::1", 12.5)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "record", [NODE, ORIGIN, NodeRecord("a", "b", "c:1"), OriginRecord("/x", "", "", Epoch(), 0, False)]
)
def test_a_record_reads_back_as_it_was_written(record: NodeRecord | OriginRecord) -> None:
    assert decode(type(record), json.loads(json.dumps(encode(record)))) == record


def test_a_field_of_a_newer_node_is_left_out() -> None:
    assert decode(NodeRecord, encode(NODE) | {"colour": "red"}) == NODE


@pytest.mark.parametrize(
    ("record", "changed"),
    [
        (NODE, {"node": 5}),
        (NODE, {"slots": "many"}),
        (NODE, {"slots": True}),
        (NODE, {"slots": 1.5}),
        (NODE, {"state": "asleep"}),
        (NODE, {"zone": None}),
        (NODE, {"zone": "z" * (Bounds().text + 1)}),
        (ORIGIN, {"epoch": "1.2"}),
        (ORIGIN, {"epoch": 7}),
        (ORIGIN, {"is_live": 1}),
        (ORIGIN, {"started": True}),
        (ORIGIN, {"base": None}),
        (NODE, {"address": "10.0.0.1"}),
        (NODE, {"address": "10.0.0.1:0"}),
        (NODE, {"address": "10.0.0.1:65536"}),
        (NODE, {"weight": 101}),
        (NODE, {"weight": -1}),
        (NODE, {"slots": -1}),
        (NODE, {"used": 1 << 40}),
        (NODE, {"node": "n" * 5000}),
        (ORIGIN, {"base": -1}),
        (ORIGIN, {"base": 1 << 63}),
        (ORIGIN, {"mount": "/admin/x"}),
        (ORIGIN, {"mount": "x"}),
        (ORIGIN, {"mount": "/" + "x" * (1 << 15)}),
        (ORIGIN, {"started": "inf"}),
        (ORIGIN, {"started": float("inf")}),
        (ORIGIN, {"started": 1e300}),
        (ORIGIN, {"started": -1.0}),
        (ORIGIN, {"epoch": f"0.{10**36}.1.a"}),
        (ORIGIN, {"epoch": "0.-1.1.a"}),
        (ORIGIN, {"epoch": "0.\u0661.1.a"}),
    ],
)
def test_a_field_of_another_type_or_range_is_refused(
    record: NodeRecord | OriginRecord, changed: dict[str, Any]
) -> None:
    with pytest.raises(ValueError):
        decode(type(record), encode(record) | changed)


@pytest.mark.parametrize("name", ["node", "boot", "address"])
def test_a_missing_field_is_an_error(name: str) -> None:
    value = encode(NODE)
    del value[name]
    with pytest.raises(ValueError, match=name):
        decode(NodeRecord, value)


def test_whole_seconds_are_read_as_well() -> None:
    assert decode(OriginRecord, encode(ORIGIN) | {"started": 12}).started == 12


@given(JSON, st.dictionaries(st.sampled_from(sorted(encode(NODE))), JSON, max_size=3))
def test_any_json_is_a_node_or_a_value_error(value: object, changed: dict[str, Any]) -> None:
    for given_value in (value, encode(NODE) | changed):
        try:
            decode(NodeRecord, given_value)
        except ValueError:
            continue


@given(st.dictionaries(st.sampled_from(sorted(encode(ORIGIN))), JSON, max_size=3))
def test_any_json_is_an_origin_or_a_value_error(changed: dict[str, Any]) -> None:
    try:
        decode(OriginRecord, encode(ORIGIN) | changed)
    except ValueError:
        return
