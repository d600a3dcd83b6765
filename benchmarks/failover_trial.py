"""Measures one failure of a server: what each listener lost, and when it had audio again.

Decides no bars, and uses the servers only through `failover_sites.Site`. Seconds are counted from the
moment of the kill. The one invariant: whatever happens, encoder and listeners are gone afterwards.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.audience import Audience, Listener
from benchmarks.failover_sites import MOUNT, Site
from benchmarks.frames import FRAME_S
from benchmarks.plan import Plan
from benchmarks.procfs import pinned
from benchmarks.report import progress
from benchmarks.servers import ROOT, ServerError

_MOUNT_PATIENCE_S = 40.0
_FILL_S = 6.0  # until a burst is a full one
_SETTLE_S = 5.0
_LIMIT_S = 60.0
_LAST_WORDS_S = 0.2  # what was sent just before the end may still come out
_AFTERMATH_S = 4.0  # after everybody hears the encoder again: losses and gaps still to come would show


@dataclass(frozen=True, slots=True)
class Failover:
    """The figures of a failure. Times are seconds since the kill; a listener that never had the audio has none."""

    site: str
    note: str
    listeners: int
    killed: int
    """Listeners of the killed server."""
    encoder_away_s: float
    again: tuple[float, ...]
    """When those that had lost their connection had audio again, sorted."""
    lost: int
    """Listeners that lost a connection."""
    losses: int
    """Connections lost, some more than one for one listener."""
    fresh: tuple[float, ...]
    """When each of all listeners heard what the encoder sent after it had come back, sorted."""
    most_gaps: int
    """Of any listener that kept its connection."""
    longest_gap_s: float
    worst_extra_s: float
    """The longest of their gaps, without what was not sent because the encoder was away."""
    repeats: int
    attempts: int
    reasons: dict[str, int]

    @property
    def others_lost(self) -> int:
        """The connections lost by listeners of other servers, and any lost a second time."""
        return max(0, self.losses - self.killed)

    def again_s(self, share: float) -> float:
        """Returns when that share of those that lost their connection had audio again; inf if fewer ever had."""
        return _at(self.again, self.lost, share)

    def fresh_s(self, share: float) -> float:
        """Returns the same for all listeners, and for audio sent since the encoder is back."""
        return _at(self.fresh, self.listeners, share)

    def as_row(self) -> dict[str, Any]:
        """Returns all figures by name, the times as quantiles."""
        row = asdict(self)
        del row["again"], row["fresh"]
        for name, read in (("again", self.again_s), ("fresh", self.fresh_s)):
            for share in (0.5, 0.99, 1.0):
                value = read(share)
                row[f"{name}_p{100 * share:g}_s"] = value if value < float("inf") else None
        return row | {"others_lost": self.others_lost}


def run_trial(plan: Plan, site: Site, count: int, reconnect_s: float) -> Failover:
    """Starts everything, kills the server with the source, and measures until all listeners have fresh audio."""
    with contextlib.ExitStack() as undo:
        undo.callback(site.stop)
        site.start()
        undo.enter_context(pinned(plan.cores.load))
        encoder = undo.enter_context(_Encoder(site, reconnect_s))
        _wait_for_mount(site)
        time.sleep(_FILL_S)
        audience = Audience(site.listen_port, MOUNT, count)
        undo.callback(audience.close)
        audience.connect(60 + count / 100)
        audience.run(_SETTLE_S)
        progress(f"  {audience.playing:,} of {count:,} play")
        return _kill(site, encoder, audience)


def _kill(site: Site, encoder: "_Encoder", audience: Audience) -> Failover:
    killed = site.choose()
    audience.run(0.5)
    began = audience.mark(_LAST_WORDS_S)
    site.kill()
    if site.after is not None:
        wait_s, do = site.after
        audience.run(wait_s)
        do()
    audience.run(_LIMIT_S, until_fresh=True)
    progress(f"  everybody has audio, or the time is over, after {time.monotonic() - began:.1f} s")
    audience.run(_AFTERMATH_S)
    away = encoder.away_frames(began)
    return _result(site, audience, killed, began, away)


def _result(site: Site, audience: Audience, killed: int, began: float, away: int) -> Failover:
    everybody = audience.listeners
    for one in everybody:
        one.jumps += one.ear.jumps
    lost = [one for one in everybody if one.lost_at]
    kept = [one for one in everybody if not one.lost_at]
    gaps = [jump.frames for one in kept for jump in one.jumps if jump.frames > 0]
    return Failover(
        site=site.name,
        note=site.note,
        listeners=len(everybody),
        killed=killed,
        encoder_away_s=away * FRAME_S,
        again=_since(began, [one.heard_at[0] for one in lost if one.heard_at]),
        lost=len(lost),
        losses=sum(len(one.lost_at) for one in everybody),
        fresh=_since(began, [one.fresh_at for one in everybody if one.fresh_at]),
        most_gaps=max((_gaps(one) for one in kept), default=0),
        longest_gap_s=max(gaps, default=0) * FRAME_S,
        worst_extra_s=max(0, max(gaps, default=0) - away) * FRAME_S,
        repeats=sum(-jump.frames for one in everybody for jump in one.jumps if jump.frames < 0),
        attempts=audience.attempts,
        reasons=dict(Counter(reason for one in everybody for reason in one.reasons)),
    )


def _gaps(one: Listener) -> int:
    return sum(jump.frames > 0 for jump in one.jumps)


def _since(began: float, moments: Sequence[float]) -> tuple[float, ...]:
    return tuple(sorted(moment - began for moment in moments))


def _at(times: Sequence[float], count: int, share: float) -> float:
    index = max(0, min(count - 1, int(share * count)))
    return times[index] if index < len(times) else float("inf" if count else "nan")


def _wait_for_mount(site: Site) -> None:
    deadline = time.monotonic() + _MOUNT_PATIENCE_S
    while not site.has_mount_everywhere():
        if time.monotonic() > deadline:
            raise ServerError("not every server has the mount")
        time.sleep(0.05)


class _Encoder:
    """The encoder's process, and the events that it reports."""

    def __init__(self, site: Site, reconnect_s: float) -> None:
        self._folder = TemporaryDirectory(prefix="pycast-bench-")
        self._said = Path(self._folder.name) / "said"
        options = ["--password", site.password, "--reconnect", str(reconnect_s)]
        command = [sys.executable, "-m", "benchmarks.encoder", str(site.encoder_port), MOUNT, *options]
        with open(self._said, "wb") as said:
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said)

    def __enter__(self) -> "_Encoder":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def away_frames(self, since: float) -> int:
        """The number of frames not sent because it was not connected."""
        away, lost = 0, None
        for line in self._said.read_text().splitlines():
            event = json.loads(line)
            if event["at"] < since:
                continue
            if event["what"] == "lost":
                lost = event["seq"]
            elif event["what"] == "connected" and lost is not None:
                away, lost = away + event["seq"] - lost, None
        return away
