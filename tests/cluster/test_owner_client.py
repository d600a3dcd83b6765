"""Questions to owners of mounts: whether the source is alive, and to yield; and announcements to all."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import gevent
import pytest

from pycast.cluster.link.questions import Alive, Announce, IsAlive, Yield, Yielded
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.owner_client import OwnerClient
from pycast.cluster.registry.cluster_state import Status
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from tests.cluster.fakes import ME, FakeRegistry
from tests.cluster.hosts import Host
from tests.conftest import WaitUntil
from tests.stream.test_mounts import DESCRIPTION

NAME = "/x"


class Asker(Host):
    """A node that knows another one."""

    def __init__(self, other: Host) -> None:
        super().__init__()
        self.registry = FakeRegistry()
        self.is_node(ME)
        self.registry.state.put_node(NodeRecord("b", "b1", other.address))
        self.owners = OwnerClient(
            self.own, cast(Any, self.registry), self.peers, cast(Any, None), Lineages(), self.group
        )

    def learns(self, node: str = "b", *, is_live: bool = True) -> OriginRecord:
        record = OriginRecord(NAME, node, f"{node}1", Epoch(0, 1, 1, node), 0, is_live)
        self.registry.state.put_origin(record)
        return record

    @property
    def status(self) -> Status | None:
        peer = self.registry.state.peer("b")
        return peer.status if peer else None


@pytest.fixture
def owner() -> Iterator[Host]:
    made = Host()
    yield made
    made.stop()


@pytest.fixture
def asker(owner: Host) -> Iterator[Asker]:
    made = Asker(owner)
    yield made
    made.stop()


@pytest.mark.parametrize("is_alive", [True, False])
def test_the_owner_answers_whether_its_source_is_alive(asker: Asker, owner: Host, is_alive: bool) -> None:
    asked: list[IsAlive] = []

    def answer(question: IsAlive) -> Alive:
        asked.append(question)
        return Alive(is_alive)

    owner.answers.on(IsAlive, answer)
    asker.learns()
    assert asker.owners.is_alive_elsewhere(NAME) is is_alive
    assert asked == [IsAlive(NAME)]
    assert asker.status is Status.UP


def test_no_node_is_asked_about_a_mount_without_a_live_source_on_another_node(asker: Asker, owner: Host) -> None:
    assert not asker.owners.is_alive_elsewhere(NAME)
    asker.learns("a")
    assert not asker.owners.is_alive_elsewhere(NAME)
    asker.owners.ask_to_yield(NAME)
    asker.registry.state.put_origin(replace(asker.learns(), is_live=False))
    assert not asker.owners.is_alive_elsewhere(NAME)
    assert owner.links == []


def test_an_owner_that_no_node_knows_is_not_alive(asker: Asker) -> None:
    asker.learns("c")
    assert not asker.owners.is_alive_elsewhere(NAME)


def test_an_owner_that_does_not_answer_is_suspect(asker: Asker, owner: Host) -> None:
    """So that the claim and the steps after it do not wait for it again."""
    asker.learns()
    owner.close_the_port()
    assert not asker.owners.is_alive_elsewhere(NAME)
    assert asker.status is Status.SUSPECT


def test_an_owner_with_a_malformed_answer_is_not_alive_but_stays_up(asker: Asker, owner: Host) -> None:
    asker.learns()
    assert not asker.owners.is_alive_elsewhere(NAME)
    owner.answers.on(IsAlive, lambda question: Yielded())
    assert not asker.owners.is_alive_elsewhere(NAME)
    assert asker.status is Status.UP


def test_the_owner_is_asked_to_yield_and_its_answer_awaited(asker: Asker, owner: Host) -> None:
    asked: list[Yield] = []

    def answer(question: Yield) -> Yielded:
        gevent.sleep(0.05)
        asked.append(question)
        return Yielded()

    owner.answers.on(Yield, answer)
    asker.learns()
    asker.owners.ask_to_yield(NAME)
    assert asked == [Yield(NAME)]


def test_an_announcement_reaches_all_others_that_are_known(
    asker: Asker, owner: Host, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    received: list[Announce] = []
    owner.answers.on(Announce, received.append)
    gone = Host()
    gone.close_the_port()
    asker.registry.state.put_node(NodeRecord("c", "c1", gone.address))
    caplog.set_level("INFO")
    record = asker.learns("a")
    asker.owners.announce(record)
    wait_until(lambda: received, "the announcement")
    assert received == [Announce(record)]
    wait_until(lambda: f"could not be announced to the node at {gone.address}" in caplog.text, "the log line")
    assert len(asker.links) == 0
    gone.stop()


@pytest.mark.parametrize(("boot", "is_taken"), [("b1", True), ("b0", False)], ids=["of this process", "of a former"])
def test_an_announcement_is_accepted_from_a_known_process_only(asker: Asker, boot: str, is_taken: bool) -> None:
    record = OriginRecord(NAME, "b", boot, Epoch(0, 1, 1, "b"), 0, True)
    asker.owners.on_announcement(Announce(record))
    asker.owners.on_announcement(Announce(replace(record, mount="/y", node="stranger")))
    assert asker.registry.state.origins == ((record,) if is_taken else ())


def test_a_claim_is_of_this_node_and_has_the_epoch_that_the_registry_gave_it(asker: Asker) -> None:
    asker.registry.is_provisional = True
    origin = asker.owners.claim(NAME, DESCRIPTION, NO_EPOCH)
    assert origin is not None
    assert (origin.node, origin.boot, origin.is_live, origin.is_provisional) == (ME.node, ME.boot, True, True)
    assert origin.epoch == asker.registry.state.highest(NAME) > NO_EPOCH
    assert (origin.content_type, origin.source_ip) == (DESCRIPTION.content_type, DESCRIPTION.ip)


def test_a_claim_over_an_epoch_that_is_not_the_highest_gives_nothing(asker: Asker) -> None:
    asker.learns()
    assert asker.owners.claim(NAME, DESCRIPTION, NO_EPOCH) is None


def test_an_epoch_of_this_node_begins_at_its_base(asker: Asker) -> None:
    record = replace(asker.learns(), base=7)
    asker.owners.begin_epoch(record)
    assert asker.owners.lineages.get(NAME).entries == ((record.epoch, 7),)
