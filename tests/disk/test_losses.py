"""A loss is reported when it begins and when it is over."""

import pytest

from pycast.disk import losses
from pycast.disk.losses import Losses


@pytest.fixture
def said() -> list[object]:
    return []


def test_it_is_reported_at_its_begin_and_its_end(said: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Losses(said.append, said.append)
    lost.add(2, "full")
    lost.add(3, "still full")
    lost.on_written()
    assert said == ["full"], "it may go on at once"
    monkeypatch.setattr(losses, "QUIET_S", 0.0)
    lost.on_written()
    lost.on_written()
    assert said == ["full", 5]
    lost.add(1, "again")
    assert said == ["full", 5, "again"] and lost.total == 6


def test_nothing_lost_is_no_loss(said: list[object]) -> None:
    lost = Losses(said.append, said.append)
    lost.add(0, "full")
    lost.on_written()
    assert said == []
