"""Tests of pycast.config.random_passwords."""

import random

from pycast.config.random_passwords import random_password


def test_password_is_different_each_time_and_needs_no_quotes() -> None:
    rng = random.Random(1)
    made = {random_password(rng) for _ in range(100)}
    assert len(made) == 100
    assert {len(one) for one in made} == {16}
    assert all(one.isalnum() and one.isascii() for one in made)
