"""Epochs are totally ordered, and read back as they were written."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.registry.epoch import NO_EPOCH, Ceiling, Epoch

NUMBERS = st.integers(0, 10**36 - 1)
EPOCHS = st.builds(Epoch, NUMBERS, NUMBERS, st.integers(0, 9), st.text(max_size=20))


@given(EPOCHS)
def test_an_epoch_reads_back_as_it_was_written(epoch: Epoch) -> None:
    assert Epoch.parse(str(epoch)) == epoch


def test_the_number_counts_more_than_the_rank_and_the_rank_more_than_the_name() -> None:
    rising = [NO_EPOCH, Epoch(0, 1, 0, "z"), Epoch(0, 1, 1, "a"), Epoch(0, 1, 1, "b"), Epoch(0, 2), Epoch(1, 0)]
    assert all(one < higher for one, higher in pairwise(rising))


@given(EPOCHS, EPOCHS)
def test_of_two_different_epochs_one_is_higher(one: Epoch, other: Epoch) -> None:
    assert (one < other) + (other < one) == (one != other)


@given(EPOCHS)
def test_no_epoch_is_lower_than_no_epoch(epoch: Epoch) -> None:
    assert epoch >= NO_EPOCH


@given(st.text(max_size=40))
def test_any_text_is_an_epoch_or_a_value_error(text: str) -> None:
    try:
        epoch = Epoch.parse(text)
    except ValueError:
        return
    assert Epoch.parse(str(epoch)) == epoch


def test_no_message_and_no_number_of_messages_uses_up_the_numbers() -> None:
    ceiling, honest = Ceiling(), Epoch(0, 5, 1, "a")
    ceiling.see(honest)
    for _ in range(1000):
        with pytest.raises(ValueError, match="far above"):
            ceiling.check(Epoch(0, 10**36 - 1, 1, "liar"))
        with pytest.raises(ValueError, match="far above"):
            ceiling.check(Epoch(10**36 - 1, 1, 1, "liar"))
    highest = Epoch(0, 1001 * Ceiling.STEP, 1, "liar")
    ceiling.check(highest)  # the most that so many lies are good for
    assert len(str(highest.number)) < 20
    assert Epoch.parse(str(replace(highest, number=highest.number + 10**9))) > highest


def test_epochs_that_were_seen_raise_the_ceiling_and_a_claim_above_them_is_possible() -> None:
    ceiling, number = Ceiling(), 0
    for number in (1, 2, 1 << 39, 1 << 40, 3 << 39):
        epoch = Epoch(1, number, 0, "n")
        ceiling.check(epoch)
        ceiling.see(epoch)


def test_a_node_that_is_far_behind_all_others_believes_them_soon() -> None:
    ceiling, others = Ceiling(), Epoch(0, 3 * Ceiling.STEP, 1, "a")
    refused = 0
    for _ in range(10):
        try:
            ceiling.check(others)
        except ValueError:
            refused += 1
    assert refused == 2


@pytest.mark.parametrize("text", ["", "1", "1.2.3", "a.2.3.node", "1..3.node", " 1.2.3.node", "1_0.2.3.n", "+1.2.3.n"])
def test_what_is_no_epoch_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Epoch.parse(text)
