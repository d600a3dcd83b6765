"""How soon do 5,000 players that connect at once have audio, and what do connected listeners notice?

1,000 listeners are playing when the 5,000 connect; a player has audio when 16 kB have arrived. One number: the time
after which the last of them has it. The floor shows how much of that time is the generator's and the kernel's own.
pycast and the floor also get 12,000 at once, three times what the kernel's queue of a port holds: it drops who comes
when that is full, and who tries again a second later.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from benchmarks.frames import BYTES_PER_S
from benchmarks.plan import Plan, read_plan
from benchmarks.players import Outcome, Player
from benchmarks.procfs import listen_overflows
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import ServerError
from benchmarks.source import SourceError
from benchmarks.trial import Stage, outcome_row

RUNNING = 1_000
STORM, LARGE_STORM = 5_000, 12_000
BUFFERED_S = 64 * 1024 / BYTES_PER_S
"""The audio that a running listener's player has in its buffer, from its burst."""
_TIMEOUT_S = 45.0  # icecast2's last players need half a minute


@dataclass(frozen=True, slots=True)
class Storm:
    """The figures of one server's storm; times are seconds since it began."""

    server: str
    players: int
    failed: int
    errors: dict[str, int]
    times_s: tuple[float, ...]
    dropped: int
    """Connections that the kernel dropped because the port's queue was full."""
    running: Outcome
    """The listeners that were there before."""

    def time_s(self, quantile: float) -> float:
        """Returns when that share of all players had audio; nan if fewer ever had."""
        index = min(self.players - 1, int(quantile * self.players))
        return self.times_s[index] if index < len(self.times_s) else float("nan")

    @property
    def last_s(self) -> float:
        """When the last player had audio; nan if none had."""
        return self.times_s[-1] if self.times_s else float("nan")

    def as_row(self) -> dict[str, Any]:
        """Returns all figures by name."""
        times = {f"p{q}_s": self.time_s(q / 100) for q in (50, 90, 99, 100)}
        row = {"server": self.server, "players": self.players, "failed": self.failed, "errors": self.errors}
        return row | times | {"last_s": self.last_s, "dropped": self.dropped, "running": outcome_row(self.running)}


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    storms = []
    servers = plan.uses("pycast", "icecast2", "floor")
    large = plan.uses("pycast", "floor")
    for name, size in [*((name, STORM) for name in servers), *((name, LARGE_STORM) for name in large)]:
        progress(f"{name}: {plan.sized(size):,} players at once, {plan.sized(RUNNING):,} are there already")
        try:
            storms.append(_storm(plan, name, size))
        except (ServerError, SourceError) as error:
            progress(f"  no figure: {error}")
    _print(storms)
    rows = [storm.as_row() for storm in storms]
    return finish(plan, "storm", rows, _bars(storms), {"enough_bytes": 16_000, "timeout_s": _TIMEOUT_S})


def _storm(plan: Plan, name: str, size: int) -> Storm:
    with Stage(plan, name) as stage:
        crowd = stage.crowd
        stage.connect(plan.sized(RUNNING), sample=50)
        players = crowd.add(stage.mounts, plan.sized(size), sample=0)
        crowd.begin_span()
        dropped = listen_overflows()
        began = crowd.storm(players, _TIMEOUT_S)
        times = tuple(sorted(player.enough_at - began for player in players if player.enough_at))
        progress(f"  {len(times):,} have audio, the last after {max(times, default=0):.2f} s")
        crowd.run(3.0)
        crowd.end_span()
        stage.finish()
        dropped = listen_overflows() - dropped
        return Storm(name, len(players), *_failures(players), times, dropped, crowd.outcome(without=players))


def _failures(players: list[Player]) -> tuple[int, dict[str, int]]:
    errors = Counter(player.error for player in players if player.error)
    return errors.total(), dict(errors)


def _bars(storms: list[Storm]) -> list[Bar]:
    ours = [storm for storm in storms if storm.server == "pycast"]
    bars = []
    for number, (size, last_s) in enumerate(((STORM, 1.5), (LARGE_STORM, 1.8))):
        storm = ours[number] if number < len(ours) else None
        running = None if storm is None else storm.running
        bars += [
            Bar(f"{size:,}: the last player has 16 kB after", figure(storm, lambda s: s.time_s(1)), last_s, "s"),
            Bar(f"{size:,}: players that failed", figure(storm, lambda s: s.failed), 0),
            Bar(f"{size:,}: connections that the kernel dropped", figure(storm, lambda s: s.dropped), 0),
            Bar("running listeners that were lost", figure(running, lambda o: o.players - o.playing), 0),
            Bar("least that a running listener got", figure(running, lambda o: 100 * o.least_share), 100, "%", True),
            Bar("the worst lag of a running listener", figure(running, lambda o: o.worst_lag_s), BUFFERED_S, "s"),
            Bar("wrong, missing or repeated frames", figure(running, lambda o: o.frame_errors), 0),
        ]
    return bars


def _print(storms: list[Storm]) -> None:
    columns = (
        "server",
        "players",
        "p50 s",
        "p99 s",
        "last s",
        "failed",
        "dropped",
        "running",
        "lost",
        "least %",
        "worst lag s",
    )
    rows = []
    for storm in storms:
        o = storm.running
        rows.append((
            storm.server, f"{storm.players:,}", f"{storm.time_s(0.5):.2f}", f"{storm.time_s(0.99):.2f}",
            f"{storm.last_s:.2f}", str(storm.failed), str(storm.dropped), f"{o.players:,}",
            str(o.players - o.playing), f"{100 * o.least_share:.2f}", f"{o.worst_lag_s:.2f}",
        ))  # fmt: skip
        if storm.errors:
            progress(f"{storm.server}: {storm.errors}")
    print_table("Players that connect at once: when each has 16 kB of audio", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
