"""What does TLS cost: a player that joins, two thousand at once, a listener's bytes and memory?

A join, from the handshake to the first audio, is compared with a handshake of Python's `ssl` alone (`bare_tls.py`), by
turns in the same run: the CPU time of the server, and the time that the client waits. Then 2,000 players connect at
once, and play; their bytes are compared with those of as many listeners without TLS. All but a sample of them do the
least that a client must (`light_tls.py`): with Python's `ssl` they would need more CPU than the server.
"""

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benchmarks.load import Crowd
from benchmarks.plan import Plan, read_plan
from benchmarks.procfs import cpu_s, pinned, process_s, rss_bytes
from benchmarks.report import Bar, figure, finish, print_table, progress, ratio
from benchmarks.servers import PASSWORD, ROOT, Pycast, ServerError
from benchmarks.source import Source, SourceError
from benchmarks.tls_crowd import TlsCrowd, TlsPlayer
from benchmarks.trial import LOADED_S, PRELOAD_S

MOUNT = "/bench.mp3"
LISTENERS = 2_000
SAMPLE = 20
ROUNDS, A_ROUND = 20, 50
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Joins:
    """Microseconds of a handshake alone and of a join, medians of all rounds."""

    bare_cpu_us: float
    join_cpu_us: float
    bare_wait_us: float
    join_wait_us: float
    cpu_ratio: float
    wait_ratio: float
    bare_bytes: float
    """Resident memory of a connection that Python's `ssl` keeps."""


@dataclass(frozen=True, slots=True)
class Listening:
    """The figures of players that connect at once, and of as many listeners with and without TLS."""

    players: int
    failed: int
    errors: dict[str, int]
    all_play_s: float
    generator_share: float
    """How much of that time the players' process computed. At 1 the time would be its own."""
    frame_errors: int
    listener_bytes: float
    tls_us: float
    plain_us: float
    """CPU microseconds of a listener and second."""


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    joins: Joins | None = None
    listening: Listening | None = None
    folder = Path(mkdtemp(prefix="pycast-bench-"))
    try:
        certificate = _certificate(folder)
        server = Pycast(plan.cores.server, certificate=certificate)
        with ExitStack() as stack:
            stack.callback(server.stop)
            server.start()
            with pinned(plan.cores.load):
                joins, listening = _measure(plan, server, certificate)
    except (ServerError, SourceError, OSError) as error:
        progress(f"no figure: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print(joins, listening)
    rows: list[dict[str, Any]] = [asdict(one) for one in (joins, listening) if one is not None]
    return finish(plan, "tls", rows, _bars(joins, listening), {"rounds": ROUNDS, "a_round": A_ROUND})


def _certificate(folder: Path) -> Path:
    """Makes a certificate for an elliptic curve, as authorities give them today, with its key in the same file."""
    path = folder / "tls.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    done = subprocess.run(
        [*command.split(), "-keyout", str(path), "-out", str(folder / "only.pem")],
        capture_output=True,
        check=False,
        timeout=30,
    )
    if done.returncode:
        raise ServerError(f"openssl: {done.stderr.decode()[-200:]}")
    with path.open("a") as file:
        file.write((folder / "only.pem").read_text())
    return path


def _measure(plan: Plan, server: Pycast, certificate: Path) -> tuple[Joins, Listening]:
    began = time.monotonic()
    source = Source(server.port, (MOUNT,), PASSWORD, core=plan.cores.load, preload_s=PRELOAD_S)
    with closing(source):
        source.wait_connected()
        source.run()
        source.wait_sent(PRELOAD_S)
        time.sleep(max(began + LOADED_S - time.monotonic(), 0.0))
        joins = _joins(plan, server, certificate)
        progress(f"a join costs {joins.join_cpu_us:.0f} µs, a handshake alone {joins.bare_cpu_us:.0f} µs")
        return joins, _listening(plan, server, source)


def _joins(plan: Plan, server: Pycast, certificate: Path) -> Joins:
    """Measures by turns, so that what else the machine does disturbs both alike."""
    command = [sys.executable, "-m", "benchmarks.bare_tls", str(certificate)]
    with pinned(plan.cores.server):
        bare = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    kept: list[TlsCrowd] = []
    try:
        assert bare.stdout is not None
        port = int(bare.stdout.readline())
        found: dict[str, list[float]] = {"bare_cpu": [], "bare_wait": [], "join_cpu": [], "join_wait": []}
        rss = 0
        for number in range(max(2, plan.sized(ROUNDS)) + 1):
            if number == 1:
                rss = rss_bytes(bare.pid)
            for name, pid, where, path in (("bare", bare.pid, port, ""), ("join", server.pid, server.tls_port, MOUNT)):
                crowd = TlsCrowd(where)
                kept.append(crowd)
                cpu_us, wait_us = _round(pid, crowd, path)
                if number:  # the first is to warm up
                    found[f"{name}_cpu"].append(cpu_us)
                    found[f"{name}_wait"].append(wait_us)
                if name == "join":
                    crowd.close()
        size = (rss_bytes(bare.pid) - rss) / (A_ROUND * len(found["bare_cpu"]))
    finally:
        for crowd in kept:
            crowd.close()
        bare.kill()
        bare.wait()

    def median_ratio(what: str) -> float:
        return statistics.median(a / b for a, b in zip(found[f"join_{what}"], found[f"bare_{what}"], strict=True))

    return Joins(
        bare_cpu_us=statistics.median(found["bare_cpu"]),
        join_cpu_us=statistics.median(found["join_cpu"]),
        bare_wait_us=statistics.median(found["bare_wait"]),
        join_wait_us=statistics.median(found["join_wait"]),
        cpu_ratio=median_ratio("cpu"),
        wait_ratio=median_ratio("wait"),
        bare_bytes=size,
    )


def _round(pid: int, crowd: TlsCrowd, path: str) -> tuple[float, float]:
    """Has `A_ROUND` players connect at once; returns the microseconds of CPU that a process spends for each, and those
    after which the next one is ready.
    """
    players = [TlsPlayer(path, enough=1) for _ in range(A_ROUND)]
    cpu = process_s(pid)
    took = crowd.connect(players, _TIMEOUT_S, at_once=A_ROUND)
    if errors := crowd.errors():
        raise ServerError(f"a player had no audio: {dict(errors)}")
    time.sleep(0.02)  # what the server does after the last one is part of it
    return (process_s(pid) - cpu) / A_ROUND * 1e6, took / A_ROUND * 1e6


def _listening(plan: Plan, server: Pycast, source: Source) -> Listening:
    count = plan.sized(LISTENERS)
    with closing(TlsCrowd(server.tls_port)) as crowd:
        progress(f"{count:,} players with TLS at once")
        players = _players(count)
        own_cpu = time.process_time()
        took = crowd.connect(players, _TIMEOUT_S, at_once=count)
        own_cpu = time.process_time() - own_cpu
        playing = sum(player.is_playing for player in players)
        progress(f"  {playing:,} play after {took:.2f} s {dict(crowd.errors()) or ''}")
        crowd.run(5.0)
        tls_us = _cpu_us(plan, server.pid, count, crowd.run)
        # The storm left memory behind that it took for a moment, and those who come next are put there. So the memory
        # is that of others after them.
        crowd.connect(_players(count), _TIMEOUT_S)
        crowd.run(2.0)
        rss = rss_bytes(server.pid)
        crowd.connect(_players(count), _TIMEOUT_S)
        crowd.run(2.0)
        size = (rss_bytes(server.pid) - rss) / count
        wrong, errors = crowd.frame_errors(), crowd.errors()
    time.sleep(2.0)
    progress(f"{count:,} listeners without TLS")
    with closing(Crowd(server.port, source.sent_bytes)) as plain:
        plain.connect(plain.add((MOUNT,), count, sample=SAMPLE), 60.0)
        plain.run(5.0)
        plain_us = _cpu_us(plan, server.pid, count, plain.run)
    return Listening(count, errors.total(), dict(errors), took, own_cpu / took, wrong, size, tls_us, plain_us)


def _players(count: int) -> list[TlsPlayer]:
    every = max(1, count // SAMPLE)
    samples = [number % every == 0 for number in range(count)]
    return [TlsPlayer(MOUNT, is_sample=is_sample, is_light=not is_sample) for is_sample in samples]


def _cpu_us(plan: Plan, pid: int, count: int, run: Callable[[float], None]) -> float:
    """Returns the CPU microseconds of a listener and second, while `run` reads for a span."""
    began, cpu = time.monotonic(), cpu_s(pid)
    run(plan.span_s / 2)
    return (cpu_s(pid) - cpu) / (time.monotonic() - began) / count * 1e6


def _bars(joins: Joins | None, listening: Listening | None) -> list[Bar]:
    tls, plain = figure(listening, lambda one: one.tls_us), figure(listening, lambda one: one.plain_us)
    size, bare = figure(listening, lambda one: one.listener_bytes), figure(joins, lambda one: one.bare_bytes)
    return [
        Bar("CPU of a join against a handshake alone", figure(joins, lambda one: one.cpu_ratio), 1.5),
        Bar("time of a join against a handshake alone", figure(joins, lambda one: one.wait_ratio), 1.5),
        Bar(
            f"all of {LISTENERS:,} players at once play after", figure(listening, lambda one: one.all_play_s), 2.0, "s"
        ),
        Bar("players that failed", figure(listening, lambda one: one.failed), 0),
        Bar("wrong, missing or repeated frames in the sample", figure(listening, lambda one: one.frame_errors), 0),
        Bar("CPU of a listener's bytes against one without TLS", ratio(tls, plain), 1.5),
        Bar("memory of a listener against a connection of Python's ssl", ratio(size, bare), 1.1),
        Bar("memory of a listener", figure(listening, lambda one: one.listener_bytes / 1e3), 10, "kB"),
    ]


def _print(joins: Joins | None, listening: Listening | None) -> None:
    if joins is not None:
        j, kept = joins, f"{joins.bare_bytes / 1e3:.1f}"
        rows = [
            ("handshake alone", f"{j.bare_cpu_us:.0f}", f"{j.bare_wait_us:.0f}", kept),
            ("join", f"{j.join_cpu_us:.0f}", f"{j.join_wait_us:.0f}", ""),
            ("ratio", f"{j.cpu_ratio:.2f}", f"{j.wait_ratio:.2f}", ""),
        ]
        print_table("A join over TLS, and a handshake of Python's ssl", ("", "CPU µs", "one each µs", "kB kept"), rows)
    if listening is not None:
        one = listening
        columns = (
            "players", "all play s", "generator %", "failed", "kB a listener", "TLS µs/listener·s",
            "plain µs/listener·s",
        )  # fmt: skip
        row = (
            f"{one.players:,}", f"{one.all_play_s:.2f}", f"{100 * one.generator_share:.0f}", str(one.failed),
            f"{one.listener_bytes / 1e3:.1f}", f"{one.tls_us:.1f}", f"{one.plain_us:.1f}",
        )  # fmt: skip
        print_table("Players over TLS", columns, [row])


if __name__ == "__main__":
    sys.exit(main())
