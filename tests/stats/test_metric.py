"""A metric is declared at its field: what is rendered and what is added up follows from that."""

from dataclasses import dataclass, field

from pycast.stats.metric import NESTED, declared_metrics, metric, metrics_of, summed_fields


@dataclass
class Inner:
    done: int = field(default=0, metadata=metric("inner_total", "Done.", labels={"result": "won"}))


@dataclass
class Outer:
    name: str
    here: int = field(metadata=metric("outer_here", "Here.", is_summed=True))
    limit: int = field(default=-1, metadata=metric("outer_limit", "Limit.", unset=-1))
    inner: Inner = field(default_factory=Inner, metadata=NESTED)


def test_metrics_come_in_the_order_of_the_fields_and_of_what_is_nested() -> None:
    found = [(info.name, dict(info.labels), value) for info, value in metrics_of(Outer("x", 3, 10, Inner(2)))]
    assert found == [("outer_here", {}, 3), ("outer_limit", {}, 10), ("inner_total", {"result": "won"}, 2)]


def test_an_unset_value_gives_no_sample() -> None:
    assert [info.name for info, _ in metrics_of(Outer("x", 3))] == ["outer_here", "inner_total"]


def test_only_what_is_marked_is_added_up() -> None:
    assert summed_fields(Outer) == ("here",)


def test_declared_metrics_are_a_kinds_own() -> None:
    assert [info.name for info in declared_metrics(Outer)] == ["outer_here", "outer_limit"]
