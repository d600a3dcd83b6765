"""Answers to an admin's questions, and the orders of a drain, are read as they were written."""

import pytest

from pycast.cluster.codec import decode, encode
from pycast.cluster.link.admin_answers import Done, DrainOrder, DrainReport, RelaysAnswer
from pycast.cluster.link.questions import DrainCommand
from pycast.stats.snapshot import RelayLine, UpstreamLine


@pytest.mark.parametrize("order", DrainOrder)
def test_an_order_comes_over(order: DrainOrder) -> None:
    assert decode(DrainCommand, encode(DrainCommand(order))).order is order


def test_relays_come_over() -> None:
    answer = RelaysAnswer((RelayLine("/x", True, (UpstreamLine("h", "/y", 80, True),), "on_air", for_s=1.5),))
    assert decode(RelaysAnswer, encode(answer)) == answer


def test_what_is_no_order_count_or_answer_is_refused() -> None:
    with pytest.raises(ValueError):
        decode(DrainCommand, {"order": "explode"})
    with pytest.raises(ValueError):
        decode(DrainReport, encode(DrainReport("leaving", 1, 2, 0.0, 0.0)) | {"listeners": -1})
    with pytest.raises(ValueError):
        decode(Done, {"is_done": "yes"})
