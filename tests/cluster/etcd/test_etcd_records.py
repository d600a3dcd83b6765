"""The keys and values in etcd: what is written is read back, and anything else is a ValueError."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.etcd import etcd_records as records
from pycast.cluster.etcd.etcd_records import Entry, Keys
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, NodeState, OriginRecord

KEYS = Keys("radio")
NODE = NodeRecord("a", "a1", "a.example:8000", slots=1000, used=100, listeners=90, weight=80)
OFFER = OriginRecord("/live.mp3", "a", "a1", NO_EPOCH, 4711, True, content_type="audio/mpeg", started=1.5)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(lambda text: f"/{text}"))
def test_a_key_gives_its_mount(mount: str) -> None:
    assert KEYS.maybe_mount(KEYS.origin(mount)) == mount
    assert KEYS.maybe_node(KEYS.origin(mount)) is None


@pytest.mark.parametrize("key", ["/", KEYS.meta, f"{KEYS.prefix}mounts/!/origin", Keys("other").origin("/a")])
def test_other_keys_are_no_mount(key: str) -> None:
    assert KEYS.maybe_mount(key) is None


def test_a_key_gives_its_node() -> None:
    assert KEYS.maybe_node(KEYS.node("10.0.0.1:8000")) == "10.0.0.1:8000"


@pytest.mark.parametrize("is_leaving", [False, True])
def test_a_node_is_read_as_written(is_leaving: bool) -> None:
    found = records.decode_node(Entry("k", records.encode_node(NODE, is_leaving), 7, 9))
    assert (found.record, found.revision, found.lease, found.is_leaving) == (NODE, 7, 9, is_leaving)


def test_a_claims_epoch_is_the_revision_of_its_write() -> None:
    provisional = replace(OFFER, epoch=Epoch(1, 3, 1, "a"), is_provisional=True)
    found = records.decode_origin(Entry("k", records.encode_claim(provisional, 2, "t"), 42, 9))
    assert found.record == replace(OFFER, epoch=Epoch(2, 42, 0, "a"))
    assert found.claim == "t"


def test_what_an_owner_writes_later_keeps_the_epoch() -> None:
    record = replace(OFFER, epoch=Epoch(2, 42, 0, "a"), is_live=False)
    assert records.decode_origin(Entry("k", records.encode_origin(record, "t"), 50, 9)).record == record


def test_the_generation_is_read_as_written() -> None:
    assert records.decode_meta(Entry("k", records.encode_meta(3), 1)) == 3


@given(st.binary(max_size=100) | st.sampled_from([b"{}", b"[]", b'{"generation": 0}', b'{"generation": true}']))
def test_any_other_value_is_a_value_error(value: bytes) -> None:
    for decode in (records.decode_node, records.decode_origin, records.decode_meta):
        with pytest.raises(ValueError):
            decode(Entry("k", value, 1))


@pytest.mark.parametrize(
    ("after", "has_moved"),
    [
        (NODE, False),
        (replace(NODE, used=120, listeners=110, weight=82), False),
        (replace(NODE, used=121), True),
        (replace(NODE, listeners=60), True),
        (replace(NODE, weight=77), True),
        (replace(NODE, state=NodeState.DRAINING), True),
    ],
)
def test_a_node_has_moved_if_its_load_has_by_two_per_cent(after: NodeRecord, has_moved: bool) -> None:
    assert records.has_moved(NODE, after) is has_moved
