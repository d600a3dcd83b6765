"""The settings of a benchmark: its options, its sizes, and the limits of this machine.

Decides nothing about results. The invariant: at scale 1 the sizes are those that the bars are stated for, also with
`--quick`, which only shortens the measured time and leaves out sizes that have no bar.
"""

import argparse
import gc
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from benchmarks.procfs import Cores, pick_cores, raise_open_files

SERVERS = ("pycast", "icecast2", "floor")
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of one run; `span_s` is the measured time of one trial."""

    quick: bool
    scale: float
    servers: tuple[str, ...]
    span_s: float
    out: Path
    cores: Cores
    open_files: int

    def sized(self, count: int) -> int:
        """Returns `count` listeners or sources, scaled, at least 1."""
        return max(1, round(count * self.scale))

    def uses(self, *names: str) -> list[str]:
        """Returns those of `names` that this run compares, in that order."""
        return [name for name in names if name in self.servers]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that every benchmark has."""
    parser.add_argument("--quick", action="store_true", help="shorter spans, and only the sizes that have a bar")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies all sizes (0.01 to try things out)")
    parser.add_argument("--span", type=float, default=0.0, help="measured seconds of a trial (default 30, quick 20)")
    parser.add_argument("--servers", default=",".join(SERVERS), help="which servers to compare, separated by commas")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON files")


def read_plan(description: str, arguments: Sequence[str] | None = None) -> Plan:
    """Reads the command line of one benchmark and prepares this process for it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    options = parser.parse_args(arguments)
    servers = tuple(options.servers.split(","))
    if unknown := set(servers) - set(SERVERS):
        parser.error(f"unknown servers: {', '.join(sorted(unknown))}")
    # On SIGTERM a benchmark must stop the servers that it started: exit through the `finally` blocks.
    signal.signal(signal.SIGTERM, _leave)
    gc.disable()  # the generator makes no cycles worth collecting, and a pause would look like a late server
    return Plan(
        quick=options.quick,
        scale=options.scale,
        servers=servers,
        span_s=options.span or (20.0 if options.quick else 30.0),
        out=options.out,
        cores=pick_cores(),
        open_files=raise_open_files(),
    )


def _leave(signum: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signum)
