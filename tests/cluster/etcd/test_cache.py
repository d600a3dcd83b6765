"""What etcd holds gets into the cluster's state. Nothing older is accepted, and a missing key alone removes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from pycast.cluster.etcd import etcd_records as records
from pycast.cluster.etcd.cache import Cache, MetaChanged, Restored
from pycast.cluster.etcd.client import Range, WatchEvent
from pycast.cluster.etcd.etcd_records import Entry, Keys
from pycast.cluster.etcd.probes import PATIENCE_S, LivenessProbes
from pycast.cluster.registry.cluster_state import ClusterState, Status
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.net.group import Group

KEYS = Keys("radio")
ME, A, B = (NodeRecord(name, f"{name}1", f"{name}.example:8000") for name in ("me", "a", "b"))
META = Entry(KEYS.meta, records.encode_meta(1), 2)
MOUNTS = ("/1", "/2", "/3", "/4")


GROUPS: list[Group] = []


@pytest.fixture(autouse=True)
def ends_its_greenlets() -> Iterator[None]:
    yield
    for group in GROUPS:
        group.kill()
    GROUPS.clear()


@dataclass
class Registry:
    """A cache with its probes. The test sets the time, `now`, and which nodes answer, `alive`."""

    now: float = 0.0
    alive: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.state, self.group = ClusterState(), Group()
        GROUPS.append(self.group)
        self.probes = LivenessProbes(self.state, self.group, lambda node: node.node in self.alive, lambda: self.now)
        self.cache = Cache(KEYS, ME, self.state, self.probes)

    def take(self, revision: int, *entries: Entry, meta: Entry = META) -> None:
        self.cache.take(Range(revision, (meta, *entries)), self.cache.revision)

    def ask(self) -> None:
        """Runs one probe of each node that is probed."""
        for member in list(self.group._members):
            member.kill()
        for node, probe in list(self.probes._probes.items()):
            peer = self.state.peer(node)
            if self.probes._conclude(node, probe, peer is not None and self.probes.is_alive(peer.record)):
                del self.probes._probes[node]


def node(record: NodeRecord, revision: int, is_leaving: bool = False) -> Entry:
    return Entry(KEYS.node(record.node), records.encode_node(record, is_leaving), revision, 1)


def claim(mount: str, by: NodeRecord, revision: int) -> Entry:
    offer = OriginRecord(mount, by.node, by.boot, NO_EPOCH, 0, True)
    return Entry(KEYS.origin(mount), records.encode_claim(offer, 1, "t"), revision, 1)


def written(entry: Entry) -> WatchEvent:
    return WatchEvent(entry.key, entry.revision, entry)


def deleted(key: str, revision: int) -> WatchEvent:
    return WatchEvent(key, revision, None)


def full() -> Registry:
    """Returns a registry in which node a has four mounts, and b none."""
    registry = Registry(alive={"a", "b"})
    claims = [claim(mount, A, 10 + number) for number, mount in enumerate(MOUNTS)]
    registry.take(20, node(A, 5), node(B, 6), *claims)
    return registry


def mounts(registry: Registry) -> tuple[str, ...]:
    return tuple(origin.mount for origin in registry.state.origins)


def test_what_is_read_gets_into_the_clusters_state() -> None:
    registry = full()
    assert registry.state.up_nodes() == (A, B)
    assert mounts(registry) == MOUNTS
    assert registry.state.highest("/1") == Epoch(1, 10, 0, "a")


def test_a_registry_without_a_generation_is_new_or_has_lost_it() -> None:
    registry = Registry()
    with pytest.raises(MetaChanged):
        registry.cache.take(Range(5, ()), 0)
    registry.take(5)
    with pytest.raises(Restored):
        registry.cache.take(Range(9, ()), 5)


def test_a_registry_that_goes_backward_is_refused_f_15() -> None:
    registry = full()
    with pytest.raises(Restored, match="revision is 19, and was 20"):
        registry.take(19)
    registry.take(3, meta=Entry(KEYS.meta, records.encode_meta(2), 3))
    with pytest.raises(Restored, match="generation is 1, and was 2"):
        registry.take(999)


def test_an_answer_that_was_overtaken_by_the_watch_is_not_backward() -> None:
    registry = full()
    floor = registry.cache.revision
    registry.cache.take_events([written(claim("/5", B, 30))])
    registry.cache.check(25, floor)
    assert registry.cache.revision == 30


def test_most_mounts_missing_at_once_stay_until_their_node_was_asked_f_16() -> None:
    registry = full()
    registry.take(21, node(A, 5), node(B, 6))
    assert mounts(registry) == MOUNTS
    registry.ask()
    assert mounts(registry) == MOUNTS
    registry.cache.take_events([written(claim("/1", A, 22))])
    registry.now += PATIENCE_S
    registry.ask()
    assert mounts(registry) == ("/1",), "the node is registered, answers, and did not write the others again"


def test_one_mount_less_is_a_release() -> None:
    registry = full()
    assert registry.cache.take_events([deleted(KEYS.origin("/1"), 21)]) == []
    assert mounts(registry) == MOUNTS[1:]
    assert registry.state.highest("/1") == Epoch(1, 10, 0, "a")


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_lease_that_has_expired_takes_nothing_while_the_node_answers(is_alive: bool) -> None:
    registry = full()
    registry.alive = {"a"} if is_alive else set()
    keys = [*(KEYS.origin(mount) for mount in MOUNTS), KEYS.node("a")]
    registry.cache.take_events([deleted(key, 21) for key in keys])
    assert mounts(registry) == MOUNTS and registry.state.is_up("a")
    registry.ask()
    assert mounts(registry) == (MOUNTS if is_alive else ())
    assert registry.state.is_up("a") is is_alive


def test_a_node_that_comes_back_without_its_mounts_has_given_them_up() -> None:
    registry = full()
    keys = [*(KEYS.origin(mount) for mount in MOUNTS), KEYS.node("a")]
    registry.cache.take_events([deleted(key, 21) for key in keys])
    registry.cache.take_events([written(claim("/1", A, 22)), written(node(A, 23))])
    registry.now += PATIENCE_S
    registry.ask()
    assert mounts(registry) == ("/1",)


def test_a_node_that_says_goodbye_is_gone_at_once() -> None:
    registry = full()
    registry.cache.take_events([written(node(A, 21, is_leaving=True))])
    assert mounts(registry) == () and registry.state.peer("a") is None
    assert registry.state.is_up("b")


def test_while_the_registry_does_not_answer_no_node_is_removed_and_a_silent_one_is_suspect() -> None:
    registry = full()
    registry.alive = {"b"}
    for name in "ab":
        registry.probes.probe(name)
    registry.ask()
    assert mounts(registry) == MOUNTS
    assert [peer.status for peer in registry.state.peers] == [Status.SUSPECT, Status.UP]
    registry.take(21, node(A, 5), node(B, 6), *(claim(mount, A, 10) for mount in MOUNTS))
    assert registry.state.is_up("a")


def test_an_old_event_does_not_undo_a_newer_one() -> None:
    registry = full()
    registry.cache.apply(written(claim("/1", B, 30)))
    registry.cache.take_events([written(claim("/1", A, 25)), deleted(KEYS.origin("/1"), 26)])
    origin = registry.state.origin("/1")
    assert origin is not None and origin.node == "b"


def test_a_mount_of_an_earlier_process_of_this_node_has_no_owner_and_its_epoch_is_known() -> None:
    registry = full()
    earlier = replace(ME, boot="me0")
    assert registry.cache.take_events([written(claim("/old", earlier, 21))]) == ["/old"]
    assert registry.state.origin("/old") is None
    assert registry.state.highest("/old") == Epoch(1, 21, 0, "me")


def test_a_key_that_cannot_be_read_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    registry = full()
    registry.take(21, node(A, 5), Entry(KEYS.node("b"), b"?", 21), Entry(KEYS.node("c"), node(B, 5).value, 21))
    assert len(caplog.records) == 2
    assert registry.state.is_up("b"), "its key cannot be read, but it answers"


def test_a_new_generation_means_that_all_is_read_again() -> None:
    with pytest.raises(MetaChanged):
        full().cache.take_events([written(Entry(KEYS.meta, records.encode_meta(2), 21))])
