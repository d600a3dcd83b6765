"""How much memory does the server use: empty, for each listener, for each mount?

Resident memory (VmRSS, shared mappings included) with one source and no listener, with 10,000 listeners, and with 200
mounts that have a source each. Every ring is full when it is read: the sources first send far more audio than a ring
holds. One number for each: megabytes, kilobytes a listener, megabytes a mount.
"""

import sys
from dataclasses import asdict, dataclass

from benchmarks.plan import Plan, read_plan
from benchmarks.procfs import rss_bytes
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import ServerError
from benchmarks.source import SourceError
from benchmarks.trial import Stage

LISTENERS = 10_000
MOUNTS = 200
# 1.9 MB of audio: more than a ring of queue_size + burst_size, rounded up, can hold.
_FILL_S = 120.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of one server in bytes at each stage."""

    server: str
    empty: int
    listeners: int
    with_listeners: int
    mounts: int
    with_mounts: int

    @property
    def per_listener(self) -> float:
        """The bytes of one more listener."""
        return (self.with_listeners - self.empty) / self.listeners

    @property
    def per_mount(self) -> float:
        """The bytes of one more mount with its source."""
        return (self.with_mounts - self.empty) / max(1, self.mounts - 1)


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    found = []
    for name in plan.uses("pycast", "icecast2"):
        try:
            found.append(_memory(plan, name))
        except (ServerError, SourceError) as error:
            progress(f"{name}: no figure: {error}")
    _print(found)
    rows = [asdict(m) | {"per_listener": m.per_listener, "per_mount": m.per_mount} for m in found]
    return finish(plan, "memory", rows, _bars(found), {"filled_s": _FILL_S})


def _memory(plan: Plan, name: str) -> Memory:
    count, mounts = plan.sized(LISTENERS), plan.sized(MOUNTS)
    progress(f"{name}: one source, then {count:,} listeners")
    with Stage(plan, name, preload_s=_FILL_S) as stage:
        stage.crowd.run(5.0)
        empty = rss_bytes(stage.server.pid)
        stage.connect(count)
        stage.crowd.run(5.0)
        with_listeners = rss_bytes(stage.server.pid)
        playing = stage.crowd.outcome().playing
    progress(f"{name}: {mounts} mounts with a source each")
    with Stage(plan, name, [f"/m{i}.mp3" for i in range(mounts)], preload_s=_FILL_S) as stage:
        stage.crowd.run(5.0)
        with_mounts = rss_bytes(stage.server.pid)
    return Memory(name, empty, playing, with_listeners, mounts, with_mounts)


def _bars(found: list[Memory]) -> list[Bar]:
    ours = next((memory for memory in found if memory.server == "pycast"), None)
    return [
        Bar("with a source and no listener", figure(ours, lambda m: m.empty / 1e6), 60, "MB"),
        Bar("a listener", figure(ours, lambda m: m.per_listener / 1e3), 3, "kB"),
        Bar("a mount with its source", figure(ours, lambda m: m.per_mount / 1e6), 1, "MB"),
    ]


def _print(found: list[Memory]) -> None:
    columns = ("server", "empty MB", "listeners", "MB", "kB a listener", "mounts", "MB", "MB a mount")
    rows = [
        (
            m.server, f"{m.empty / 1e6:.1f}", f"{m.listeners:,}", f"{m.with_listeners / 1e6:.1f}",
            f"{m.per_listener / 1e3:.2f}", str(m.mounts), f"{m.with_mounts / 1e6:.1f}", f"{m.per_mount / 1e6:.3f}",
        )
        for m in found
    ]  # fmt: skip
    print_table("Resident memory of the server (1 MB = 1,000,000 bytes)", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
