"""Runs the benchmarks, one process each, and prints a summary: `python -m benchmarks.run [names] [--quick]`.

Measures nothing itself. The invariant: it ends by itself, each benchmark has a time limit, and it ends only processes
that it started.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
if not __package__:  # started as a file: the others are still imported as a package
    sys.path.insert(0, str(_ROOT))

from benchmarks.plan import add_options  # noqa: E402

NAMES = (
    "start",
    "kit",
    "listeners",
    "storm",
    "latency",
    "memory",
    "sources",
    "relay",
    "slow",
    "pages",
    "health",
    "workers",
    "mesh",
    "failover",
    "fallback",
    "tls",
)
# The longest (listeners, 15 trials of some 50 s) takes a quarter of an hour.
_TIME_LIMIT_S = 2_400


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one benchmark: "passed", "failed" (a bar) or the error."""

    name: str
    ended: str
    seconds: float
    report: dict[str, Any]


def main() -> int:
    """Runs the named benchmarks, or all. Returns the exit status, 0 if every bar was passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"some of: {' '.join(NAMES)} (all without a name)")
    add_options(parser)
    options = parser.parse_args()
    names = [name.removeprefix("bench_") for name in options.names] or list(NAMES)
    if unknown := set(names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    arguments = ["--scale", str(options.scale), "--span", str(options.span), "--servers", options.servers]
    arguments += ["--out", str(options.out), *(["--quick"] if options.quick else [])]
    runs = []
    for number, name in enumerate(names, 1):
        print(f"\n=== {name} ({number} of {len(names)})", flush=True)
        runs.append(_run(name, arguments, options.out))
    _print(runs)
    return 0 if all(run.ended == "passed" for run in runs) else 1


def _run(name: str, arguments: list[str], out: Path) -> Run:
    began, path = time.time(), out / f"{name}.json"
    process = subprocess.Popen([sys.executable, "-m", f"benchmarks.bench_{name}", *arguments], cwd=_ROOT)
    try:
        status = process.wait(_TIME_LIMIT_S)
        ended = {0: "passed", 1: "failed"}.get(status, f"exit status {status}")
    except subprocess.TimeoutExpired:
        ended = "took too long"
    finally:
        _end(process)
    is_new = path.exists() and path.stat().st_mtime >= began
    if not is_new and ended in ("passed", "failed"):
        ended = "gave no result"
    report = json.loads(path.read_text()) if is_new else {}
    return Run(name, ended, time.time() - began, report)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends it if it is still running: SIGTERM lets it stop the servers that it started."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _print(runs: list[Run]) -> None:
    print("\n=== summary")
    for run in runs:
        print(f"\n{run.name}: {run.ended} ({run.seconds:.0f} s)")
        for bar in run.report.get("bars", ()):
            verdict = {True: "pass", False: "FAIL", None: "----"}[bar["passed"]]
            value = "not measured" if bar["passed"] is None else f"{bar['value']:.6g} {bar['unit']}".strip()
            sign = ">=" if bar["is_least"] else "<="
            print(f"  {verdict}  {bar['text']}: {value} (bar {sign} {bar['limit']:g})")


if __name__ == "__main__":
    sys.exit(main())
