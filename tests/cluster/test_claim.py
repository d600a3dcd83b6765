"""A mount's claim: its states are a table, and a record is kept only while it holds something."""

import pytest
from gevent.event import Event

from pycast.cluster.claim import STEPS, ClaimEvent, ClaimState, MountClaim, MountClaims, Standby
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import OriginRecord
from pycast.formats.standby import StandbyStream
from tests.stream.test_mounts import FakeSource

NAME = "/x"
ORIGIN = OriginRecord(NAME, "a", "a1", Epoch(0, 1, 1, "a"), 0, True)
OURS = (ClaimState.OWNED, ClaimState.YIELDED)
WAYS: dict[ClaimState, tuple[ClaimEvent, ...]] = {
    ClaimState.FREE: (),
    ClaimState.CLAIMING: (ClaimEvent.ASKED,),
    ClaimState.OWNED: (ClaimEvent.ASKED, ClaimEvent.WON),
    ClaimState.YIELDED: (ClaimEvent.ASKED, ClaimEvent.WON, ClaimEvent.MADE_WAY),
}


def claim_in(state: ClaimState) -> MountClaim:
    """Returns a claim that has got into that state by the steps of the table."""
    claim = MountClaim()
    for event in WAYS[state]:
        claim.move(event)
    claim.origin = ORIGIN if state in OURS else None
    return claim


def standby() -> Standby:
    return Standby(FakeSource(), StandbyStream())


@pytest.mark.parametrize("state", ClaimState)
@pytest.mark.parametrize("event", ClaimEvent)
def test_an_event_leads_to_the_state_in_the_table_or_raises(state: ClaimState, event: ClaimEvent) -> None:
    claim = claim_in(state)
    assert claim.state is state
    if event not in STEPS[state]:
        with pytest.raises(KeyError):
            claim.move(event)
        assert claim.state is state
        return
    claim.move(event)
    assert claim.state is STEPS[state][event]
    # Only an owned or yielded mount has an origin record.
    assert claim.state in OURS or claim.origin is None
    assert state not in OURS or claim.state not in OURS or claim.origin is ORIGIN


def test_every_state_can_be_left_for_a_free_mount() -> None:
    """Otherwise a node without a source could keep its claim for ever."""
    for state in ClaimState:
        seen, found = {state}, {state}
        while found:
            found = {after for one in found for after in STEPS[one].values()} - seen
            seen |= found
        assert ClaimState.FREE in seen


def test_the_first_standby_that_came_has_the_first_turn() -> None:
    claims, line = MountClaims(), [standby(), standby(), standby()]
    for one in line:
        claims.get_or_create(NAME).add(one)
    assert claims.standbys == tuple(line)
    assert claims.remove(NAME, line[1].source)
    assert not claims.remove(NAME, line[1].source)
    assert [claims.pop_next(NAME) for _ in range(3)] == [line[0], line[2], None]


def test_a_record_is_kept_while_it_holds_something() -> None:
    claims = MountClaims()
    claim = claims.get_or_create(NAME)
    claim.wake = Event()
    claim.add(standby())
    claim.move(ClaimEvent.ASKED)
    assert claims.has_standby(NAME)
    claims.drop_if_empty(NAME)
    assert claims.get(NAME) is claim
    claim.move(ClaimEvent.LOST)
    claims.drop_if_empty(NAME)
    assert claims.get(NAME) is claim
    claims.pop_next(NAME)
    assert (claims.get(NAME), claims.has_standby(NAME)) == (claim, False)
    claim.wake = None
    claims.drop_if_empty(NAME)
    assert (claims.get(NAME), len(claims)) == (None, 0)


def test_a_mount_that_is_not_ours_has_no_claim() -> None:
    claims = MountClaims()
    claims.wake(NAME)
    assert (claims.origin(NAME), claims.pop_next(NAME), claims.has_standby(NAME)) == (None, None, False)
    claims.get_or_create(NAME).origin = ORIGIN
    assert claims.origin(NAME) == ORIGIN
