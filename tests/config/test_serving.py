"""Tests of pycast.config.serving: the port that is named serves what is wanted of it."""

import pytest

from pycast.config.load import loads
from pycast.config.serving import first_serving

SEPARATE = """
[[listen]]
port = 8000
serves = ["listeners", "health"]
[[listen]]
port = 8001
serves = ["listeners", "sources"]
[[listen]]
port = 8003
serves = ["admin", "metrics"]
"""


@pytest.mark.parametrize(
    ("kind", "index"), [("listeners", 0), ("sources", 1), ("health", 0), ("admin", 2), ("metrics", 2), ("nothing", 0)]
)
def test_the_first_port_that_serves_it_is_named(kind: str, index: int) -> None:
    assert first_serving(loads(SEPARATE, {}, "test"), kind) == index


def test_by_default_the_first_port_serves_all() -> None:
    assert first_serving(loads("", {}, "test"), "admin") == 0
