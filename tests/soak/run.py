"""An hour of what may happen to a cluster of three nodes: `python -m tests.soak.run [--seconds 3600] [--seed 1]`.

Players, encoders, an admin and strangers do at random what they do in life, nodes are killed, and every byte that a
player gets is checked. At the end, when all have gone, each node must have as many descriptors and greenlets as before,
and hardly more memory. It stops by itself, and at Ctrl-C, ends all that it has started, and says what it has seen. The
exit status is 0 if nothing was wrong.

The same seed gives the same happenings in the same order; what is going on at the moment of each is up to the machine.
"""

import argparse
import os
import random
import sys
import time
from typing import NamedTuple

from benchmarks.report import print_table, progress
from tests.soak.happenings import HAPPENINGS, Soak
from tests.soak.players import Audience
from tests.soak.stage import MOUNTS, STEADY, Level, Stage, grown

MEMORY_MB = 12.0
"""What a node's memory may have grown by. A leak of a kilobyte for each player is more than that after an hour; the
allocator's own ups and downs, and what is loaded when it is asked for first, are less."""
WARM_UP = 0.1
"""The share of the time in which things happen before the levels are taken that are compared with at the end."""
PAUSE_S = (0.02, 0.6)
PROGRESS_S = 10.0


class Outcome(NamedTuple):
    """What a soak has seen. `faults` is empty if all is well."""

    faults: list[str]
    counts: dict[str, int]
    players: int
    frames: int
    blocks: int
    before: dict[str, Level]
    after: dict[str, Level]


def soak(seconds: float, seed: int, memory_mb: float = MEMORY_MB) -> Outcome:
    """Soaks a cluster for so long, besides its start and end."""
    with Stage() as stage, Audience(stage.judge) as audience:
        one = Soak(stage, audience, random.Random(seed), seconds)
        before: dict[str, Level] = {}
        after: dict[str, Level] = {}
        try:
            for kind in HAPPENINGS:  # each once, so that nothing is new later
                one.counts[kind.name] = 0
            _go_on(one, seconds * WARM_UP, every=True)
            before = _rest(one)
            _go_on(one, seconds * (1 - WARM_UP), base=before)
            after = _rest(one, before)
            for text in grown(before, after, float("inf")):
                audience.fault(text)
            for text in grown(before, after, memory_mb, [STEADY]):
                audience.fault(text)
            for name, server in stage.nodes.items():
                if "Traceback" in (log := server.log()):
                    audience.fault(f"node {name}: a traceback in its log: {log[log.index('Traceback') :][:600]}")
        except KeyboardInterrupt:
            progress("stopped by Ctrl-C: what is left is not looked at")
        if audience.faults:
            progress(f"the logs of the nodes are in {stage.keep_logs()}")
        return Outcome(
            list(audience.faults), one.counts, audience.joined, audience.frames, audience.blocks, before, after
        )


def _go_on(one: Soak, seconds: float, *, every: bool = False, base: dict[str, Level] | None = None) -> None:
    """Lets things happen for so long, with all encoders on the air; with `every`, at first each of them once."""
    one.stage.begin()
    for mount in MOUNTS:
        one.join(mount)
    ends, tells = time.monotonic() + seconds, time.monotonic() + PROGRESS_S
    if every:
        for kind in HAPPENINGS:
            one.happen((kind,))
    while (now := time.monotonic()) < ends:
        one.happen()
        time.sleep(min(one.chance.uniform(*PAUSE_S), max(0.0, ends - time.monotonic())))
        if now >= tells:
            tells = now + PROGRESS_S
            _tell(one, base)


def _rest(one: Soak, like: dict[str, Level] | None = None) -> dict[str, Level]:
    """Has all players and sources leave. Returns what the nodes use then."""
    one.audience.leave()
    one.stage.end()
    return one.stage.calm_down(like)


def _tell(one: Soak, base: dict[str, Level] | None) -> None:
    audience, level = one.audience, one.stage.levels()[STEADY]
    for fault in audience.new_faults():
        progress(f"FAULT  {fault}")
    text = f"{sum(one.counts.values()):,} happenings, {audience.joined:,} players ({len(audience.players)} now)"
    text += f", {audience.frames:,} frames of those who left; node {STEADY}: {level.memory_mb:.1f} MB"
    if base is not None:
        text += f" ({level.memory_mb - base[STEADY].memory_mb:+.1f})"
    text += f", {level.open_files} descriptors, {level.greenlets} greenlets; {len(audience.faults)} faults"
    progress(text)


def main() -> int:
    """Runs it. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SOAK_S") or 3600))
    parser.add_argument("--seed", type=int, default=None, help="of another run, for the same happenings")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    progress(f"{options.seconds:g} s with the seed {seed}; Ctrl-C ends it")
    try:
        outcome = soak(options.seconds, seed)
    except KeyboardInterrupt:
        progress("stopped by Ctrl-C")
        return 130
    _print(outcome, seed)
    return 1 if outcome.faults else 0


def _print(outcome: Outcome, seed: int) -> None:
    print_table(
        "What has happened", ("what", "times"), [(name, f"{count:,}") for name, count in outcome.counts.items()]
    )
    rows = [
        (
            name,
            *(f"{old.memory_mb:.1f}", f"{outcome.after[name].memory_mb - old.memory_mb:+.1f}"),
            *(f"{old.open_files}", f"{outcome.after[name].open_files - old.open_files:+d}"),
            *(f"{old.greenlets}", f"{outcome.after[name].greenlets - old.greenlets:+d}"),
        )
        for name, old in outcome.before.items()
        if name in outcome.after
    ]
    columns = ("node", "MB", "more", "descriptors", "more", "greenlets", "more")
    print_table("What the nodes use when nobody is there", columns, rows)
    print(f"\n{outcome.players:,} players, {outcome.frames:,} frames, {outcome.blocks:,} title blocks; seed {seed}")
    for text in outcome.faults:
        print(f"FAULT  {text}")
    if not outcome.faults:
        print("nothing was wrong")


if __name__ == "__main__":
    sys.exit(main())
