"""Sources of a node in a cluster: which one is on the air or stands by, and what follows from a higher epoch."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import gevent
import pytest
from gevent.event import Event

from pycast.cluster.claim import MountClaims
from pycast.cluster.link.questions import Yield
from pycast.cluster.mirror.lineage import Lineage, Lineages
from pycast.cluster.mirror.pull import ParentLost
from pycast.cluster.owner_client import OwnerClient
from pycast.cluster.ownership import HOLD_OFF_S, Ownership
from pycast.cluster.registry.cluster_state import Status
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.own_record import OwnRecord
from pycast.cluster.registry.records import OriginRecord
from pycast.config.live import Live
from pycast.config.load import loads
from pycast.errors import Refused
from pycast.net.group import Group
from pycast.stream.events import StreamEvents
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.stream.source import SourceDescription, SourceState
from tests.cluster.fakes import ME, OTHER, FakeMirrors, FakeRegistry, FakeRpcClient
from tests.conftest import WaitUntil
from tests.stream.memory import WHO, MemoryTransport
from tests.stream.test_mounts import DESCRIPTION, FakeSource
from tests.stream.test_relocation import frames, numbers

NAME = "/x"
CLUSTER = '[cluster]\nsecret = "long enough a secret"\nadvertise = "127.0.0.1:1"\n'


class Stage:
    """One node with a fake of the others."""

    def __init__(self, toml: str = "") -> None:
        self.now = 100.0
        self.group = Group()
        self.config = loads(CLUSTER + toml, {}, "test")
        settings, events, own = Live(self.config), StreamEvents(), OwnRecord()
        own.now = ME
        self.mounts = Mounts(settings, Pacer(0.02, lambda: 0.0), self.group, events, lambda: self.now)
        self.lineages = Lineages()
        self.registry, self.peers, self.mirrors = FakeRegistry(), FakeRpcClient(), FakeMirrors()
        self.state = self.registry.state
        member = OwnerClient(
            own,
            cast(Any, self.registry),
            cast(Any, self.peers),
            cast(Any, self.mirrors),
            self.lineages,
            self.group,
        )
        self.claims = MountClaims()
        self.ownership = Ownership(settings, self.mounts, self.claims, self.group, lambda: self.now, member)
        events.mount_closed.subscribe(self.ownership.on_mount_closed)
        self.state.origin_changed.subscribe(self.ownership.on_origin_changed)
        self.mirrors.parent_lost.subscribe(self.ownership.on_parent_lost)

    def source(self, content_type: str = "text/plain", user: str = "source") -> FakeSource:
        made = FakeSource((user, "hackme"))
        made.description = SourceDescription(DESCRIPTION.info, content_type, (), "127.0.0.1", 0.0)
        return made

    def admit(self, **kind: str) -> FakeSource:
        made = self.source(**kind)
        self.ownership.admit(NAME, made)
        return made

    def other_has(self, number: int, *, is_live: bool = True) -> OriginRecord:
        """Makes another node the owner of the mount."""
        record = OriginRecord(NAME, "b", "b1", Epoch(0, number, 1, "b"), 0, is_live)
        self.state.put_node(OTHER)
        self.state.put_origin(record)
        return record

    def is_on_air(self, source: FakeSource) -> bool:
        return self.mounts.source(NAME) is source and source.output.state is SourceState.ON_AIR

    @property
    def highest(self) -> Epoch:
        return self.state.highest(NAME)


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(getattr(request, "param", ""))
    yield made
    made.mounts.stop()
    made.group.kill()


def policy(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("stage", [f'on_conflict = "{name}"'], indirect=True)


# -- claims


def test_a_source_for_a_free_mount_claims_it_and_is_on_the_air(stage: Stage) -> None:
    source = stage.admit()
    assert stage.is_on_air(source)
    assert stage.ownership.owns(NAME)
    assert stage.lineages.get(NAME).entries == ((stage.highest, 0),)
    assert stage.registry.published == [True]
    assert stage.ownership.counters.won == 1


def test_a_mount_whose_owner_does_not_answer_is_claimed_above_it_where_its_bytes_ended(stage: Stage) -> None:
    before = stage.other_has(4)
    stage.peers.is_alive, stage.mirrors.base = None, 5000
    source = stage.admit()
    assert stage.is_on_air(source)
    assert stage.highest > before.epoch
    assert stage.lineages.get(NAME).entries == ((stage.highest, 5000),)
    assert stage.mounts.get(NAME).ring.head == 5000  # type: ignore[union-attr]
    peer = stage.state.peer("b")
    assert peer is not None and peer.status is Status.SUSPECT


def test_a_mount_that_waits_for_its_source_is_not_asked_for(stage: Stage) -> None:
    stage.other_has(4, is_live=False)
    assert stage.is_on_air(stage.admit())
    assert stage.peers.asked == []


def test_f_08_a_source_that_loses_the_race_stands_by_behind_the_winner(stage: Stage) -> None:
    stage.registry.before_claim = lambda: stage.other_has(7)
    source = stage.admit()
    assert source.output.state is SourceState.STANDBY
    assert stage.ownership.standbys == 1
    assert stage.ownership.counters.held == 1
    assert stage.mirrors.ensured == [NAME]


@policy("reject")
def test_f_08_a_source_that_loses_the_race_is_refused_if_the_mount_is_configured_so(stage: Stage) -> None:
    stage.registry.before_claim = lambda: stage.other_has(7)
    with pytest.raises(Refused, match="alive"):
        stage.admit()
    assert stage.ownership.standbys == 0


def test_the_same_mount_is_claimed_once_and_its_source_may_return(stage: Stage) -> None:
    source = stage.admit()
    stage.ownership.remove(NAME, source)
    assert stage.registry.published == [True, False]
    assert stage.is_on_air(stage.admit())
    assert stage.registry.claims == 1


def test_a_mount_that_is_over_is_released(stage: Stage) -> None:
    stage.admit()
    stage.mounts.close(NAME)
    assert stage.registry.released == [stage.highest]
    assert not stage.ownership.owns(NAME)
    assert stage.lineages.get(NAME) == Lineage()
    assert len(stage.claims) == 0


def test_a_node_that_claims_a_mount_answers_that_its_source_is_alive(stage: Stage) -> None:
    said: list[object] = []
    stage.registry.before_claim = lambda: said.append(stage.ownership.is_alive(NAME))
    source = stage.admit()
    said.append(stage.ownership.is_alive(NAME))
    source.is_silent = True
    said.append(stage.ownership.is_alive(NAME))
    said.append(stage.ownership.is_alive("/other"))
    assert said == [True, True, False, False]


# -- standing by


def test_a_second_source_stands_by_and_goes_on_air_when_the_first_leaves(stage: Stage) -> None:
    first, second = stage.admit(content_type="audio/mpeg"), stage.admit(content_type="audio/mpeg", user="other")
    mount = stage.mounts.get(NAME)
    assert mount is not None
    heard = MemoryTransport()
    mount.join(1, heard, WHO, b"", 0, 0.0)
    first.output.feed(frames(0, 5))
    second.output.feed(frames(500, 5) + frames(505, 1)[:100])
    stage.ownership.remove(NAME, first)
    assert stage.is_on_air(second)
    second.output.feed(frames(505, 1)[100:] + frames(506, 3))
    mount.fanout._pass()
    assert numbers(bytes(heard.got)) == [0, 1, 2, 3, 4, 505, 506, 507, 508]
    assert stage.ownership.standbys == 0


def test_a_source_behind_another_node_goes_on_air_when_that_nodes_source_is_gone(
    stage: Stage, wait_until: WaitUntil
) -> None:
    stage.other_has(4)
    source = stage.admit()
    assert source.output.state is SourceState.STANDBY
    stage.peers.is_alive, stage.mirrors.base = False, 777
    stage.mirrors.parent_lost.emit(ParentLost(NAME))
    wait_until(lambda: stage.is_on_air(source), "its turn")
    assert stage.highest.node == "a"
    assert stage.lineages.get(NAME).entries[-1] == (stage.highest, 777)


def test_while_audio_of_another_node_arrives_it_is_not_asked(stage: Stage, wait_until: WaitUntil) -> None:
    stage.other_has(4)
    stage.admit()
    stage.mounts.attach_mirror(NAME, object(), DESCRIPTION, 0)
    stage.mirrors.parent = True
    asked = len(stage.peers.asked)
    for _ in range(3):
        stage.mirrors.parent_lost.emit(ParentLost(NAME))
        gevent.sleep(0.01)
    assert len(stage.peers.asked) == asked
    stage.now += 5
    stage.mirrors.parent_lost.emit(ParentLost(NAME))
    wait_until(lambda: len(stage.peers.asked) > asked, "the question")


def test_a_mount_with_a_standby_is_kept(stage: Stage, wait_until: WaitUntil) -> None:
    stage.other_has(4)
    source = stage.admit()
    assert stage.claims.has_standby(NAME)
    stage.ownership.remove(NAME, source)
    assert not stage.claims.has_standby(NAME)
    assert source.output.state is SourceState.OUT
    stage.claims.wake(NAME)
    wait_until(lambda: not len(stage.claims), "its claim to be forgotten")


def test_a_standby_that_leaves_while_the_mount_is_claimed_for_it_is_not_on_the_air(
    stage: Stage, wait_until: WaitUntil
) -> None:
    stage.other_has(4)
    source, later = stage.admit(), stage.admit(user="later")
    claimed = Event()
    stage.peers.is_alive, stage.registry.before_claim = False, lambda: claimed.wait(5)
    stage.mirrors.parent_lost.emit(ParentLost(NAME))
    wait_until(lambda: stage.registry.claims, "the claim")
    stage.ownership.remove(NAME, source)
    claimed.set()
    wait_until(lambda: stage.is_on_air(later), "the next in line")
    assert (source.output.state, stage.ownership.standbys) == (SourceState.OUT, 0)


@policy("reject")
def test_a_source_for_a_mount_of_another_node_is_refused_if_the_mount_is_configured_so(stage: Stage) -> None:
    stage.other_has(4)
    with pytest.raises(Refused):
        stage.admit()


# -- taking over


@policy("take_over")
def test_the_newest_source_takes_over_and_the_former_stands_by(stage: Stage) -> None:
    first, second = stage.admit(), stage.admit(user="other")
    assert stage.is_on_air(second)
    assert first.output.state is SourceState.STANDBY
    assert stage.registry.claims == 1
    stage.ownership.remove(NAME, second)
    assert stage.is_on_air(first)


@policy("take_over")
def test_the_newest_source_takes_over_from_another_node(stage: Stage) -> None:
    before = stage.other_has(4)
    stage.peers.on_make_way = lambda: stage.other_has(4, is_live=False)
    assert stage.is_on_air(stage.admit())
    assert Yield(NAME) in stage.peers.asked
    assert stage.highest > before.epoch


@policy("reject")
@pytest.mark.parametrize("is_here", [True, False])
def test_a_source_that_has_to_take_over_does_so_whatever_the_mount_says(stage: Stage, is_here: bool) -> None:
    first = stage.admit() if is_here else None
    if not is_here:
        stage.other_has(4)
        stage.peers.on_make_way = lambda: stage.other_has(4, is_live=False)
    with pytest.raises(Refused):
        stage.admit(user="other")
    second = stage.source(user="other")
    second.takes_over = True
    stage.ownership.admit(NAME, second)
    assert stage.is_on_air(second) and (Yield(NAME) in stage.peers.asked) is not is_here
    if first:
        assert first.output.state is SourceState.STANDBY
        stage.ownership.remove(NAME, second)
        assert stage.is_on_air(first)


def title(stage: Stage) -> str:
    mount = stage.mounts.get(NAME)
    assert mount is not None
    return mount.timeline.title.text if mount.timeline.title else ""


@policy("take_over")
def test_each_source_shows_its_own_title(stage: Stage) -> None:
    first = stage.admit()
    assert first.output.set_title("", "first's")
    second = stage.admit(user="other")
    assert title(stage) == ""
    assert second.output.set_title("", "second's")
    assert title(stage) == "second's"
    assert first.output.set_title("", "first's next")
    assert title(stage) == "second's"
    stage.ownership.remove(NAME, second)
    assert title(stage) == "first's next"


def test_a_source_that_replaces_its_own_silent_connection_keeps_the_title(stage: Stage) -> None:
    source = stage.admit()
    source.output.set_title("", "title")
    source.is_silent = True
    assert stage.is_on_air(stage.admit())
    assert title(stage) == "title"


def test_a_source_that_makes_way_stands_by_and_waits_while_the_other_claims(
    stage: Stage, wait_until: WaitUntil
) -> None:
    source = stage.admit()
    stage.ownership.yield_mount(NAME)
    assert source.output.state is SourceState.STANDBY
    assert stage.registry.published[-1] is False
    stage.mirrors.parent_lost.emit(ParentLost(NAME))
    gevent.sleep(0.05)
    assert not stage.is_on_air(source)
    stage.now += HOLD_OFF_S + 0.1  # the other one did not claim
    stage.mirrors.parent_lost.emit(ParentLost(NAME))
    wait_until(lambda: stage.is_on_air(source), "its turn")


# -- higher epochs


def test_f_07_on_a_higher_epoch_the_source_stands_by_and_its_listeners_stay(
    stage: Stage, wait_until: WaitUntil
) -> None:
    source = stage.admit()
    mount = stage.mounts.get(NAME)
    assert mount is not None
    heard = MemoryTransport()
    mount.join(1, heard, WHO, b"", 0, 0.0)
    stage.other_has(9)
    wait_until(lambda: source.output.state is SourceState.STANDBY, "it to step down")
    wait_until(lambda: stage.mirrors.ensured, "the mirror")
    assert not stage.ownership.owns(NAME)
    assert stage.ownership.counters.stepped_down == 1
    assert (mount.state, heard.closed, source.ended) == (MountState.WAITING, False, "")
    assert stage.registry.released == []


def test_f_09_an_epoch_that_was_only_seen_counts_as_well(stage: Stage, wait_until: WaitUntil) -> None:
    source = stage.admit()
    stage.state.see(NAME, Epoch(0, 9))
    wait_until(lambda: stage.ownership.counters.stepped_down == 1, "it to step down")
    wait_until(lambda: stage.is_on_air(source), "it to claim again")
    assert stage.highest > Epoch(0, 9)


@policy("reject")
def test_on_a_higher_epoch_the_source_is_ended_if_the_mount_rejects_standbys(
    stage: Stage, wait_until: WaitUntil
) -> None:
    source = stage.admit()
    mount = stage.mounts.get(NAME)
    stage.other_has(9)
    wait_until(lambda: source.ended, "its end")
    assert stage.mounts.source(NAME) is None
    assert (source.output.state, mount and mount.state) == (SourceState.OUT, MountState.WAITING)
    assert len(stage.claims) == 0


def test_a_claim_that_was_lost_while_it_levelled_fails(stage: Stage) -> None:
    def level(name: str, over: Epoch) -> int:
        stage.other_has(9)
        return 0

    stage.mirrors.level = level  # type: ignore[method-assign]
    source = stage.admit()
    assert source.output.state is SourceState.STANDBY
    assert not stage.ownership.owns(NAME)
    assert stage.state.origin(NAME) == stage.other_has(9)


def test_f_04_a_confirmed_claim_continues_under_its_new_epoch_without_a_splice(stage: Stage) -> None:
    stage.registry.is_provisional = True
    source = stage.admit()
    assert stage.ownership.counters.provisional == 1
    source.output.feed(b"before")
    source.output.set_title("", "title")
    mount, provisional = stage.mounts.get(NAME), stage.highest
    origin = stage.state.origin(NAME)
    assert mount is not None and origin is not None
    stage.state.put_origin(replace(origin, epoch=Epoch(0, 50, 0, "a"), is_provisional=False))
    assert stage.lineages.get(NAME).entries == ((provisional, 0), (Epoch(0, 50, 0, "a"), 6))
    assert stage.is_on_air(source)
    assert (mount.started_at, mount.sources, stage.ownership.counters.stepped_down) == (0, 1, 0)
    assert title(stage) == "title"


# -- leaving


def test_a_node_that_drains_disconnects_its_sources_and_standbys(stage: Stage) -> None:
    first, second = stage.admit(), stage.admit(user="other")
    stage.ownership.disconnect_all()
    assert first.ended and second.ended


@pytest.mark.parametrize("stage", ["[limits]\nsources = 1"], indirect=True)
def test_standbys_count_as_sources(stage: Stage) -> None:
    stage.admit()
    with pytest.raises(Refused, match="sources are connected"):
        stage.admit(user="other")


# -- what happens while a decision waits


def test_a_mount_that_ends_while_a_claim_moves_it_is_made_anew_at_the_same_offset(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    stage.other_has(9)
    mount = stage.mounts.attach_mirror(NAME, object(), DESCRIPTION, 0)
    mount.take(b"audio", [])
    stage.peers.is_alive, stage.mirrors.base = None, 777
    transport = MemoryTransport()
    mount.join(1, transport, WHO, b"", 0, 0.0)
    monkeypatch.setattr(mount.fanout, "wait_until_resting", lambda: stage.mounts.close(NAME))  # a pass takes long
    source = stage.admit()
    assert stage.is_on_air(source)
    now = stage.mounts.get(NAME)
    assert now is not None and now is not mount and now.ring.head == 777
    assert mount.ring.head == 5
    wait_until(lambda: transport.closed, "the listener to be closed")
