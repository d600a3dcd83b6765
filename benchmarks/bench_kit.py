"""How long do tests wait for a server of `pycast.testing`, and how long for an icecast2 that each test starts?

Three numbers: the first server, from the beginning of a process that has just begun to import the kit; further ones,
each used and stopped before the next; and a whole run of pytest with 100 tests that have a server each. All on one
core, which tests, kit and servers share, as on a small machine that builds; the core is awake. icecast2 is started with
a new configuration for each test, asked every 2 ms whether it accepts, and killed: a SIGTERM soon after its start can
take it more than six seconds.
"""

import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.plan import Plan, read_plan
from benchmarks.procfs import pinned
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import ROOT, ServerError

FIRSTS, QUICK_FIRSTS = 11, 5
NEXTS, TESTS = 40, 100
AWAKE_S = 0.3
RUN_S = 300.0

# What a test that starts icecast2 by itself would have; it is part of this benchmark and does not count.
_BEFORE = {
    "pycast": "",
    "icecast2": """
import os
from benchmarks.servers import Icecast

class Killed(Icecast):
    def stop(self):
        self.kill()
        super().stop()
""",
}

_MADE = {
    "pycast": "from pycast.testing import Server\ndef made(): return Server()",
    "icecast2": "def made(): return Killed(min(os.sched_getaffinity(0)))",
}

_ACCEPTS = """
import socket

def accepts(port):
    socket.create_connection(("127.0.0.1", port), timeout=2).close()
    return True
"""

# Starts servers, as many as it is told, and prints the seconds of each start and each stop, in two lines.
_STARTS = """
import sys, time
{before}
times = [time.monotonic()]
{made}
{accepts}
stops = []
for _ in range(int(sys.argv[1])):
    server = made()
    server.start()
    times.append(time.monotonic() - times.pop())
    assert accepts(server.port)
    stops.append(-time.monotonic())
    server.stop()
    stops[-1] += time.monotonic()
    times.append(time.monotonic())
print(*times[:-1])
print(*stops)
"""

_SUITE = """
import pytest
{before}
{made}
{accepts}

@pytest.fixture
def icecast2():
    server = made()
    server.start()
    yield server
    server.stop()

@pytest.fixture
def none():
    return None

@pytest.mark.parametrize("number", range({tests}))
def test_it(number, {fixture}):
    assert {fixture} is None or accepts({fixture}.port)
"""


@dataclass(frozen=True, slots=True)
class KitTimes:
    """Seconds: of each first start, of the next starts and stops, and of a run of pytest, without what an empty one
    takes.
    """

    server: str
    first_s: tuple[float, ...]
    start_s: tuple[float, ...]
    stop_s: tuple[float, ...]
    suite_s: float


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    tests = plan.sized(TESTS)
    found = []
    with pinned(plan.cores.server):
        for name in plan.uses("pycast", "icecast2"):
            progress(f"{name}: first servers, next servers, {tests} tests")
            try:
                found.append(_times(plan, name, tests))
            except ServerError as error:
                progress(f"  no figure: {error}")
    rows = [
        (k.server, f"{1000 * median(k.first_s):.0f}", f"{1000 * median(k.start_s):.1f}", f"{1000 * max(k.start_s):.0f}",
         f"{1000 * median(k.stop_s):.1f}", f"{k.suite_s:.2f}", f"{1000 * k.suite_s / tests:.1f}")
        for k in found
    ]  # fmt: skip
    columns = ("server", "first ms", "next ms", "slowest ms", "stop ms", f"{tests} tests s", "a test ms")
    print_table("A server for each test", columns, rows)
    ours = next((times for times in found if times.server == "pycast"), None)
    bars = [
        Bar("the median first server", figure(ours, lambda k: median(k.first_s)), 0.25, "s"),
        Bar("the median next server", figure(ours, lambda k: median(k.start_s)), 0.03, "s"),
    ]
    return finish(plan, "kit", [asdict(times) for times in found], bars, {"tests": tests})


def _times(plan: Plan, name: str, tests: int) -> KitTimes:
    firsts = [_starts(name, 1)[0][0] for _ in range((QUICK_FIRSTS if plan.quick else FIRSTS) + 1)]
    starts, stops = _starts(name, plan.sized(NEXTS) + 1)
    suite = _suite(name, "pycast_server" if name == "pycast" else "icecast2", tests) - _suite(name, "none", tests)
    return KitTimes(name, tuple(firsts[1:]), tuple(starts[1:]), tuple(stops[1:]), suite)


def _starts(name: str, count: int) -> tuple[list[float], list[float]]:
    """Returns the seconds of starts and of stops in a new process."""
    _wake()
    script = _STARTS.format(**_code(name))
    lines = _output([sys.executable, "-c", script, str(count)], ROOT).splitlines()
    starts, stops = ([float(one) for one in line.split()] for line in lines)
    return starts, stops


def _code(name: str) -> dict[str, str]:
    return {"before": _BEFORE[name], "made": _MADE[name], "accepts": _ACCEPTS}


def _suite(name: str, fixture: str, tests: int) -> float:
    """Returns the seconds of a run of pytest."""
    with TemporaryDirectory(prefix="pycast-bench-") as folder:
        file = Path(folder, "test_suite.py")
        file.write_text(_SUITE.format(**_code(name), tests=tests, fixture=fixture))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pycast.testing.plugin"]
        _wake()
        began = time.monotonic()
        _output([*command, str(file)], Path(folder))
        return time.monotonic() - began


def _output(command: list[str], folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    # An installed kit has its bytecode.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    if done.returncode:
        raise ServerError((done.stdout + done.stderr)[-2000:])
    return done.stdout


def _wake() -> None:
    until = time.monotonic() + AWAKE_S
    while time.monotonic() < until:
        pass


if __name__ == "__main__":
    sys.exit(main())
