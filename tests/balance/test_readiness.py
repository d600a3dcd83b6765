"""Readiness follows from the node's drain and its stop, and from nothing else."""

from types import SimpleNamespace
from typing import Any

import pytest

from pycast.balance.haproxy_agent import Standing
from pycast.balance.readiness import Readiness


def readiness(*, is_ready: bool, is_draining: bool, is_stopping: bool) -> Readiness:
    drain: Any = SimpleNamespace(is_ready=is_ready, is_draining=is_draining)
    made = Readiness(drain)
    made.is_stopping = is_stopping
    return made


@pytest.mark.parametrize(
    ("is_ready", "is_draining", "is_stopping", "expected"),
    [
        (True, False, False, (True, Standing.SERVES)),
        (False, True, False, (False, Standing.DRAINS)),
        (True, True, False, (True, Standing.DRAINS)),
        (True, False, True, (False, Standing.STOPS)),
        (False, True, True, (False, Standing.STOPS)),
    ],
)
def test_a_stop_overrides_a_drain_and_a_drain_overrides_serving(
    is_ready: bool, is_draining: bool, is_stopping: bool, expected: tuple[bool, Standing]
) -> None:
    made = readiness(is_ready=is_ready, is_draining=is_draining, is_stopping=is_stopping)
    assert (made.is_ready, made.standing) == expected


def test_a_node_that_was_made_is_not_stopping() -> None:
    drain: Any = SimpleNamespace(is_ready=True, is_draining=False)
    assert Readiness(drain).is_ready
