"""Epochs are totally ordered, and read back as they were written."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.registry.epoch import NO_EPOCH, Epoch

EPOCHS = st.builds(Epoch, st.integers(0), st.integers(0), st.integers(0, 9), st.text(max_size=20))


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


@pytest.mark.parametrize("text", ["", "1", "1.2.3", "a.2.3.node", "1..3.node"])
def test_what_is_no_epoch_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Epoch.parse(text)
