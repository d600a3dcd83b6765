"""How long does a health check take on a full server?

8,000 listeners hold all client slots, so the checks use the reserve. One number: the slowest answer of `/livez`; beside
it `/readyz`, which must answer 200: a full server is ready.
"""

import json
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.plan import Plan, read_plan
from benchmarks.report import Bar, finish, print_table, progress
from benchmarks.servers import ServerError
from benchmarks.source import SourceError
from benchmarks.trial import Stage

LISTENERS = 8_000
_CHECKS = {"/livez": 200, "/readyz": 200}


@dataclass(frozen=True, slots=True)
class Check:
    """The answers for one path; `failed` ones had a wrong status."""

    path: str
    answers: int
    failed: int
    p50_s: float
    p99_s: float
    worst_s: float


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    checks: list[Check] = []
    count = plan.sized(LISTENERS)
    if plan.uses("pycast"):
        progress(f"pycast: {count:,} listeners in as many slots")
        try:
            checks = _trial(plan, count)
        except (ServerError, SourceError) as error:
            progress(f"  no figure: {error}")
    rows = [(c.path, f"{c.answers:,}", str(c.failed), _ms(c.p50_s), _ms(c.p99_s), _ms(c.worst_s)) for c in checks]
    print_table("Health checks of a full server", ("path", "answers", "wrong", "p50 ms", "p99 ms", "worst ms"), rows)
    return finish(plan, "health", [_as_row(check) for check in checks], _bars(checks), {"listeners": count})


def _trial(plan: Plan, count: int) -> list[Check]:
    # One slot is the source's.
    with Stage(plan, "pycast", clients=count + 1) as stage:
        stage.connect(count)
        probes = {path: _probe(stage.server.port, path, plan.span_s) for path in _CHECKS}
        stage.crowd.run(plan.span_s + 1)
        return [_read(path, probe) for path, probe in probes.items()]


def _probe(port: int, path: str, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.probe", str(port), path, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _read(path: str, probe: "subprocess.Popen[str]") -> Check:
    output, _ = probe.communicate(timeout=30)
    found = json.loads(output)
    took = found["seconds"]
    wrong = sum(number for status, number in found["statuses"].items() if int(status) != _CHECKS[path])
    return Check(path, len(took), wrong, took[len(took) // 2], took[len(took) * 99 // 100], took[-1])


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


def _as_row(check: Check) -> dict[str, object]:
    return {name: getattr(check, name) for name in Check.__slots__}


def _bars(checks: list[Check]) -> list[Bar]:
    return [
        Bar("slowest answer of a health check", max((1000 * c.worst_s for c in checks), default=None), 50, "ms"),
        Bar("checks without an answer or with a wrong one", max((c.failed for c in checks), default=None), 0),
    ]


if __name__ == "__main__":
    sys.exit(main())
