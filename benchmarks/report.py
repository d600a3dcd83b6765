"""The output of a benchmark: progress, a table, bars with pass or fail, and one JSON file.

Measures nothing. The invariant: the JSON file holds every figure of the table and every bar, with machine, versions and
settings beside them.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from benchmarks.plan import Plan
from benchmarks.procfs import machine, versions

T = TypeVar("T")

_BEGAN = time.monotonic()


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise and its figure: `value` must be at most `limit` (at least, with `is_least`). None: not measured."""

    text: str
    value: float | None
    limit: float
    unit: str = ""
    is_least: bool = False

    @property
    def passed(self) -> bool | None:
        """Whether the promise is kept; None without a figure."""
        if self.value is None or math.isnan(self.value):
            return None
        return self.value >= self.limit if self.is_least else self.value <= self.limit

    def line(self) -> str:
        """Returns the bar as a line of text, its verdict first."""
        verdict = {True: "pass", False: "FAIL", None: "----"}[self.passed]
        value = "not measured" if self.passed is None else f"{self.value:.6g}"
        sign = ">=" if self.is_least else "<="
        return f"{verdict}  {self.text}: {value} {self.unit} (bar {sign} {self.limit:g})".replace("  (", " (")


def progress(text: str) -> None:
    """Prints a progress message, with the seconds since the start."""
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {text}", file=sys.stderr, flush=True)


def figure(measured: T | None, read: Callable[[T], float]) -> float | None:
    """Returns what `read` returns for it, or None if it was not measured."""
    return None if measured is None else read(measured)


def ratio(value: float | None, base: float | None) -> float | None:
    """Returns `value / base`, None if either is missing."""
    return None if value is None or not base else value / base


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Returns a table as text, the first column aligned left, the others right."""
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
    print(f"\n{title}\n")
    for row in (columns, tuple("-" * width for width in widths), *rows):
        cells = (row[i].rjust(width) if i else row[i].ljust(width) for i, width in enumerate(widths))
        print("  ".join(cells).rstrip())


def finish(plan: Plan, name: str, rows: Sequence[dict[str, Any]], bars: Sequence[Bar], settings: dict[str, Any]) -> int:
    """Prints the bars and writes `<name>.json`. Returns 1 if a bar failed or a figure is missing, else 0."""
    print()
    for bar in bars:
        print(bar.line())
    notes = [text for text in (_size_note(plan), _core_note(plan)) if text]
    for note in notes:
        print(f"note  {note}")
    sys.stdout.flush()
    report = {
        "benchmark": name,
        "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "versions": versions(),
        "settings": {
            "quick": plan.quick,
            "scale": plan.scale,
            "span_s": plan.span_s,
            "server_core": plan.cores.server,
            "load_core": plan.cores.load,
            "open_files": plan.open_files,
            **settings,
        },
        "notes": notes,
        "bars": [asdict(bar) | {"passed": bar.passed} for bar in bars],
        "rows": [_without_nan(row) for row in rows],
    }
    plan.out.mkdir(parents=True, exist_ok=True)
    (plan.out / f"{name}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return 0 if all(bar.passed for bar in bars) else 1


def _size_note(plan: Plan) -> str:
    return "" if plan.scale == 1 else f"sizes are scaled by {plan.scale:g}: the bars are stated for full size"


def _core_note(plan: Plan) -> str:
    return "" if plan.cores.server != plan.cores.load else "one core only: server and load disturb each other"


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
