"""What do 8,000 listeners notice when their source goes, a file takes its place, and the source comes back?

Of each sixteen five have ICY titles and one is on an Ogg mount; the streams of these are read whole. The sources end,
listeners are moved to files, the sources come back, three times. One number: the longest time for which any
listener had no audio. Beside it are the longest time between two reads of a listener, which is more than that while
its player holds some seconds, and the longest turn of the loop that reads them: on a busy machine that may be late
itself.
"""

import sys
import time
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.fallback_crowd import Ear, Ears
from benchmarks.paced_source import PacedSource, mp3_units, opus_units
from benchmarks.plan import Plan, read_plan
from benchmarks.procfs import pinned
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import BACKED, BACKED_OGG, Pycast, ServerError

LISTENERS = 8_000
ROUNDS = 3
LIVE_S, FILE_S = 5.0, 8.0
_CONNECT_S = 60.0
_KINDS = ("icy", "plain", "plain") * 5 + ("ogg",)


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one run."""

    listeners: int
    lost: int
    out_of_step: int
    dry_s: tuple[float, ...]
    """Of plain, ICY and Ogg listeners: the longest time without audio."""
    gap_s: tuple[float, ...]
    """Of the same: the longest time between two reads."""
    turn_s: float
    """The longest turn of the loop that reads them."""
    blocks: int
    """Title blocks that were counted."""
    errors: dict[str, int]


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    result: Result | None = None
    with suppress(ServerError):
        result = _run(plan)
    if result is not None:
        columns = ("listeners", "lost", "out of step", "plain: dry s", "icy: dry s", "ogg: dry s",
                   "plain: gap s", "icy: gap s", "ogg: gap s", "turn s", "title blocks")  # fmt: skip
        times = tuple(f"{one:.2f}" for one in (*result.dry_s, *result.gap_s, result.turn_s))
        row = (str(result.listeners), str(result.lost), str(result.out_of_step), *times, str(result.blocks))
        print_table("Listeners moved to a file and back: the longest time without audio", columns, [row])
    rows: list[dict[str, Any]] = [] if result is None else [asdict(result)]
    bars = [
        Bar("listeners that were lost", figure(result, lambda r: r.lost), 0),
        Bar("ICY and Ogg parsers out of step", figure(result, lambda r: r.out_of_step), 0),
        Bar("the longest time without audio", figure(result, lambda r: max(r.dry_s)), 1.0, "s"),
    ]
    return finish(plan, "fallback", rows, bars, {"rounds": ROUNDS, "live_s": LIVE_S, "file_s": FILE_S})


def _run(plan: Plan) -> Result:
    server, count = Pycast(plan.cores.server), plan.sized(LISTENERS)
    try:
        server.start()
        with pinned(plan.cores.load):
            return _listen(server.port, count)
    finally:
        server.stop()


def _listen(port: int, count: int) -> Result:
    mp3 = PacedSource(port, BACKED, "audio/mpeg", mp3_units)
    ogg = PacedSource(port, BACKED_OGG, "audio/ogg", opus_units)
    kinds = [_KINDS[number % len(_KINDS)] for number in range(count)]
    ears = Ears(port, [Ear(BACKED_OGG if kind == "ogg" else BACKED, is_icy=kind == "icy") for kind in kinds])
    with closing(mp3), closing(ogg), closing(ears):
        mp3.start()
        ogg.start()
        time.sleep(LIVE_S)
        ears.connect(_CONNECT_S)
        progress(f"  {sum(not ear.error for ear in ears.ears):,} of {count:,} play")
        ears.run(LIVE_S)
        for number in range(ROUNDS):
            mp3.stop()
            ogg.stop()
            ears.run(FILE_S)
            dry_s = max(ear.dry_s for ear in ears.ears)
            progress(f"  round {number + 1}: nobody was without audio for more than {dry_s:.2f} s")
            mp3.start()
            ogg.start()
            ears.run(LIVE_S)
    errors = [ear.error for ear in ears.ears if ear.error]
    is_step = [one for one in errors if one.startswith(("an Ogg", "no title"))]
    return Result(
        count,
        len(errors) - len(is_step),
        len(is_step),
        _worst([ear.dry_s for ear in ears.ears], kinds),
        _worst([ear.gap_s for ear in ears.ears], kinds),
        ears.turn_s,
        sum(ear.blocks for ear in ears.ears),
        {one: errors.count(one) for one in set(errors)},
    )


def _worst(times: list[float], kinds: list[str]) -> tuple[float, ...]:
    """Returns the longest of the times of plain, ICY and Ogg listeners."""
    longest = dict.fromkeys(("plain", "icy", "ogg"), 0.0)
    for one, kind in zip(times, kinds, strict=True):
        longest[kind] = max(longest[kind], one)
    return tuple(longest.values())


if __name__ == "__main__":
    sys.exit(main())
