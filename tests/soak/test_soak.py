"""The soak in a short form: its machinery works, it finds nothing, and it would find something."""

from tests.soak.happenings import HAPPENINGS
from tests.soak.run import soak
from tests.soak.stage import Level, grown

SECONDS = 1.0
SHORT_MEMORY_MB = 60.0
"""In seconds nothing leaks; what is loaded late shows here."""


def test_everything_happens_once_and_harms_nobody() -> None:
    outcome = soak(SECONDS, seed=1, memory_mb=SHORT_MEMORY_MB)
    assert outcome.faults == []
    assert all(outcome.counts[kind.name] for kind in HAPPENINGS)
    assert outcome.players > 0 and outcome.frames > 0
    assert set(outcome.before) == set(outcome.after) == {"a", "b", "c"}


def test_what_a_node_has_kept_is_named() -> None:
    before, after = {"a": Level(50, 20, 30), "b": Level(50, 20, 30)}, {"a": Level(63, 29, 39), "b": Level(40, 28, 38)}
    said = list(grown(before, after, memory_mb=12))
    assert len(said) == 3 and all(text.startswith("node a: ") for text in said)
