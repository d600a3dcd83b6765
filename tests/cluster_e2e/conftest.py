"""Listeners for the failure tests."""

from collections.abc import Iterator

import pytest

from tests.cluster_e2e.crowd import Crowd


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with Crowd() as listeners:
        yield listeners
