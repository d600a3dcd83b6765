"""A node dies under its listeners and under its source: when do all have audio again, and what do other listeners
notice?

Three nodes behind HAProxy (mode tcp), 3,000 listeners which reconnect like players (`audience.py`), and an encoder that
reconnects one second after it was disconnected. The node that has the source is killed. One number: the time until the
last listener of that node has audio again. The listeners of the other two nodes must lose no connection, and no more
audio than the encoder was away.

The same with the classic set-up, icecast2 as master and two slaves behind the same HAProxy. Its master is killed, and
restarted a second later, which is quick: without a master no listener gets audio again. Slaves ask it for mounts every
10 s, not every 120 s as they do by default.
"""

import sys
from collections.abc import Sequence

from benchmarks.failover_sites import ClassicSite, ClusterSite, Site
from benchmarks.failover_trial import Failover, run_trial
from benchmarks.plan import Plan, read_plan
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import ServerError
from pycast.testing import ServerDied, ServerTimeout

LISTENERS = 3_000
RECONNECT_S = 1.0


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    count = plan.sized(LISTENERS)
    found = [one for site in _sites(plan) if (one := _trial(plan, site, count)) is not None]
    _print(found)
    rows = [one.as_row() for one in found]
    return finish(plan, "failover", rows, _bars(found), {"listeners": count, "encoder_reconnects_after_s": RECONNECT_S})


def _sites(plan: Plan) -> list[Site]:
    core = plan.cores.server
    sites: list[Site] = []
    if plan.uses("pycast"):
        sites.append(ClusterSite(core))
    if plan.uses("icecast2"):
        sites.append(ClassicSite(core))
    return sites


def _trial(plan: Plan, site: Site, count: int) -> Failover | None:
    progress(f"{site.name}: {count:,} listeners")
    try:
        return run_trial(plan, site, count, RECONNECT_S)
    except (ServerError, ServerDied, ServerTimeout) as error:
        progress(f"  no figure: {error}")
        return None


def _bars(found: Sequence[Failover]) -> list[Bar]:
    ours = next((one for one in found if one.site == ClusterSite.name), None)
    return [
        Bar(
            "all listeners of the dead node have audio again after", figure(ours, lambda one: one.again_s(1)), 3.0, "s"
        ),
        Bar("connections that listeners of other nodes lost", figure(ours, lambda one: one.others_lost), 0),
        Bar("gaps of any of them, of which the encoder's absence is one", figure(ours, lambda one: one.most_gaps), 1),
        Bar("repeated frames", figure(ours, lambda one: one.repeats), 0),
        Bar("what they missed of what the encoder sent", figure(ours, lambda one: 1000 * one.worst_extra_s), 500, "ms"),
    ]


def _print(found: Sequence[Failover]) -> None:
    columns = ["figure", *(one.site for one in found)]
    lines: list[tuple[str, list[str]]] = [
        ("listeners of the killed server", [f"{one.killed:,} of {one.listeners:,}" for one in found]),
        ("encoder away, s", [_s(one.encoder_away_s) for one in found]),
    ]
    for name, share in (("50 %", 0.5), ("99 %", 0.99), ("all", 1.0)):
        lines.append((f"its listeners: {name} have audio again, s", [_s(one.again_s(share)) for one in found]))
    for name, share in (("50 %", 0.5), ("99 %", 0.99), ("all", 1.0)):
        lines.append((f"everybody: {name} hear the encoder again, s", [_s(one.fresh_s(share)) for one in found]))
    lines += [
        ("connections that others lost", [f"{one.others_lost:,}" for one in found]),
        ("most gaps of one of the others", [str(one.most_gaps) for one in found]),
        ("longest gap of theirs, s of audio", [_s(one.longest_gap_s) for one in found]),
        ("  of it sent by the encoder, s", [_s(one.worst_extra_s) for one in found]),
        ("repeated frames", [str(one.repeats) for one in found]),
        ("connections tried", [f"{one.attempts:,}" for one in found]),
    ]
    for one in found:
        progress(f"{one.site}: {one.note}; {one.reasons}")
    print_table("The server with the source is killed", columns, [(title, *values) for title, values in lines])


def _s(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds < float("inf") else "never"


if __name__ == "__main__":
    sys.exit(main())
