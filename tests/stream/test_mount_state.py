"""The life of a mount is a table: an event without an entry is an error."""

import pytest

from pycast.stream.mount_state import LIFE, MountEvent, MountState


@pytest.mark.parametrize("state", MountState)
@pytest.mark.parametrize("event", MountEvent)
def test_the_table_of_its_life_is_complete_or_refuses(state: MountState, event: MountEvent) -> None:
    assert state in LIFE
    assert LIFE[state].get(event) is None or isinstance(LIFE[state][event], MountState)


def test_a_mount_that_is_over_stays_over() -> None:
    assert LIFE[MountState.ENDED] == {}


def test_from_every_state_there_is_a_way_to_the_end() -> None:
    ends = {MountState.ENDED}
    while more := {state for state, ways in LIFE.items() if ends & set(ways.values())} - ends:
        ends |= more
    assert ends == set(MountState)


def test_a_source_makes_any_mount_live_that_is_not_over() -> None:
    after = {state: ways.get(MountEvent.SOURCE_STARTED) for state, ways in LIFE.items()}
    assert after == dict.fromkeys(LIFE, MountState.LIVE) | {MountState.ENDED: None}
