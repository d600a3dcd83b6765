"""Questions of other nodes about this node's sources get the answers of its ownership."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pycast.cluster.link.questions import Alive, IsAlive, Yield, Yielded
from pycast.cluster.owner_server import OwnerServer


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_mounts_source_is_alive_as_ownership_says(is_alive: bool) -> None:
    ownership = SimpleNamespace(is_alive=lambda name: is_alive and name == "/x")
    assert OwnerServer(cast(Any, ownership)).on_is_alive(IsAlive("/x")) == Alive(is_alive)


def test_the_answer_to_a_yield_comes_when_the_source_is_off_the_air() -> None:
    yielded: list[str] = []
    answer = OwnerServer(cast(Any, SimpleNamespace(yield_mount=yielded.append))).on_yield(Yield("/x"))
    assert (answer, yielded) == (Yielded(), ["/x"])
