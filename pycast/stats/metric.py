"""Metrics, declared at the field that holds the number: its name for Prometheus and its meaning, once.

A number that a snapshot holds becomes a metric by one entry: `field(metadata=metric("pycast_…", "…"))`. The page of
metrics and the merging of several nodes' snapshots are made from these entries.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, NamedTuple

_KEY = "metric"

NESTED: dict[str, None] = {_KEY: None}
"""The metadata of a field that holds counters, which have metrics of their own."""


class MetricInfo(NamedTuple):
    """One metric. A name that ends in `_total` is a counter, any other a gauge."""

    name: str
    meaning: str
    is_summed: bool
    """Whether the cluster's figure is the sum of its nodes'."""
    unset: float | None
    """The value that stands for "none": it gives no sample."""
    labels: Mapping[str, str]


def metric(
    name: str,
    meaning: str,
    *,
    is_summed: bool = False,
    unset: float | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[str, MetricInfo]:
    """Returns the metadata of a dataclass field that is a metric."""
    return {_KEY: MetricInfo(name, meaning, is_summed, unset, labels or {})}


def metrics_of(snapshot: Any) -> Iterator[tuple[MetricInfo, float]]:
    """Yields the metrics of a snapshot, in the order of its fields, and of what is nested in it; without unset ones."""
    for name, info in _fields_of(snapshot.__class__):
        value = getattr(snapshot, name)
        if info is None:
            yield from metrics_of(value)
        elif value != info.unset:
            yield info, value


def declared_metrics(kind: type) -> tuple[MetricInfo, ...]:
    """Returns the metrics that a kind of snapshot has, without those of what is nested in it."""
    return tuple(info for _, info in _fields_of(kind) if info is not None)


@cache
def summed_fields(kind: type) -> tuple[str, ...]:
    """Returns the names of the fields whose values are added up over the nodes."""
    return tuple(name for name, info in _fields_of(kind) if info is not None and info.is_summed)


@cache
def _fields_of(kind: type) -> tuple[tuple[str, MetricInfo | None], ...]:
    """Returns the names of the fields that are metrics with their MetricInfo, and of nested ones with None."""
    return tuple((one.name, one.metadata[_KEY]) for one in fields(kind) if _KEY in one.metadata)
