"""Runs the attacks, one server each, and prints what they did: `python -m attacks.run [names] [--scale 0.05]`.

Each has a bound in count and time, speaks to 127.0.0.1 only, and ends the server that it started. The exit status is 1
if one of them did harm.
"""

import argparse
import math
import sys
import time
from pathlib import Path
from typing import NamedTuple

if not __package__:  # started as a file: the others are still imported as a package
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attacks import (
    connection_storms,
    credential_guesses,
    deep_elements,
    endless_framing,
    mounts_in_turn,
    mutated_requests,
    mutated_streams,
    page_floods,
    title_floods,
)
from attacks.target import Attack, Target
from attacks.witness import Testimony
from benchmarks.report import print_table, progress

ATTACKS = tuple(
    module.ATTACK
    for module in (
        mutated_requests,
        mutated_streams,
        credential_guesses,
        connection_storms,
        endless_framing,
        deep_elements,
        page_floods,
        title_floods,
        mounts_in_turn,
    )
)

# The audio comes every half second (`flush_interval`); any listener has many times that in its buffer.
SILENCE_S = 1.0
LIVEZ_S = 0.5


class Outcome(NamedTuple):
    """What an attack did. `harm` says what must not have happened, an empty text if nothing did."""

    attack: Attack
    tried: int
    refused: int
    seconds: float
    grown_mb: float
    testimony: Testimony
    harm: str


def carry_out(attack: Attack, scale: float, patience: float = 1.0, *, settles: bool = False) -> Outcome:
    """Makes the attack on a server of its own. `patience` widens the limits of time for a busy machine. With `settles`
    it begins when the server has loaded everything.
    """
    tried, harm = 0, ""
    with Target(attack) as target:
        if settles:
            target.settle()
        began = time.monotonic()
        try:
            tried = attack.run(target, scale)
        except (AssertionError, OSError) as error:
            harm = f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - began
        testimony, grown = target.testimony(), target.grown_mb()
        harm = harm or _harm(attack, testimony, grown, target.server.log(), patience)
        return Outcome(attack, tried, target.refused, seconds, grown, testimony, harm)


def _harm(attack: Attack, seen: Testimony, grown_mb: float, log: str, patience: float) -> str:
    """Returns what harm was done, the worst first."""
    if math.isinf(seen.longest_silence_s):
        return "the listener was cut off"
    if seen.wrong or not seen.frames:
        return f"{seen.wrong} wrong frames of {seen.frames}"
    if seen.failed_livez:
        return f"{seen.failed_livez} health checks failed"
    if "Traceback" in log:
        return "a traceback in the log: " + log[log.index("Traceback") :][-500:]
    if seen.longest_silence_s > SILENCE_S * patience:
        return f"a silence of {seen.longest_silence_s:.2f} s"
    if seen.slowest_livez_s > LIVEZ_S * patience:
        return f"a health check took {seen.slowest_livez_s:.2f} s"
    if grown_mb > attack.memory_mb:
        return f"{grown_mb:.0f} MB more memory (at most {attack.memory_mb:g})"
    return ""


def main() -> int:
    """Runs the named attacks, or all. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [attack.name.replace(" ", "-") for attack in ATTACKS]
    parser.add_argument("names", nargs="*", help=f"some of: {' '.join(names)} (all without a name)")
    parser.add_argument("--scale", type=float, default=1.0, help="the size of each, as a share of the full one")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"no such attack: {', '.join(sorted(unknown))}")
    outcomes = []
    for name, attack in zip(names, ATTACKS, strict=True):
        if not options.names or name in options.names:
            progress(f"{attack.name}: {attack.what}")
            outcomes.append(carry_out(attack, options.scale, settles=True))
            progress(f"  {outcomes[-1].harm or 'no harm done'}")
    _print(outcomes)
    return 1 if any(outcome.harm for outcome in outcomes) else 0


def _print(outcomes: list[Outcome]) -> None:
    columns = (
        "attack",
        "inputs",
        "refused",
        "seconds",
        "silence s",
        "/livez s",
        "memory MB",
        "verdict",
    )
    rows = [
        (
            *(one.attack.name, f"{one.tried:,}", f"{one.refused:,}", f"{one.seconds:.1f}"),
            *(f"{one.testimony.longest_silence_s:.2f}", f"{one.testimony.slowest_livez_s:.3f}", f"{one.grown_mb:+.1f}"),
            "HARM" if one.harm else "held",
        )
        for one in outcomes
    ]
    print_table("What the attacks did to a listener and a health check beside them", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
