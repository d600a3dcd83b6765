"""Tests of pycast.server.port_pair: two ports next to each other."""

from collections.abc import Iterator

import pytest

from pycast.server.endpoint import Endpoint
from pycast.server.port_pair import listen_on_pair
from tests.server.contexts import Bench, make_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = make_bench(limits="")
    yield made
    made.close()


def test_a_pair_has_two_ports_side_by_side(bench: Bench) -> None:
    first, second = listen_on_pair(bench.context, Endpoint("127.0.0.1", 0), Endpoint("127.0.0.1", 0, "/sc"))
    assert second.port == first.port + 1
    assert second.endpoint.mount == "/sc"
    first.close()
    second.close()
