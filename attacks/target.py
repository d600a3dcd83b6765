"""The server under attack, with a source and a witness that have nothing to do with the attacker."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from attacks.witness import Testimony
from benchmarks.procfs import pick_cores, rss_bytes
from benchmarks.source import Source
from pycast.app.late_imports import AFTER_S
from pycast.testing import Server

# How long the server may load what it loads late, and how much its memory grows in 2 s when it has: by the audio.
LOADING_S, STILL_BYTES = 20.0, 300_000

WITNESS_MOUNT = "/witness.mp3"
_ROOT = Path(__file__).resolve().parent.parent


class Attack(NamedTuple):
    """One kind of attack: `run(target, scale)` makes it and returns how many inputs it tried. A `scale` of 1 is
    the full size.

    `memory_mb` is how much the server's memory may have grown at the end; `settings` are those of its server.
    """

    name: str
    what: str
    run: "Callable[[Target, float], int]"
    memory_mb: float = 40.0
    settings: dict[str, Any] = {}  # noqa: RUF012  # never changed


class Target:
    """A server that a witness listens to: `with Target(attack) as target:`, then `testimony()`."""

    def __init__(self, attack: Attack) -> None:
        self.server = Server(watch=False, **attack.settings)
        self.memory_mb = attack.memory_mb
        self.refused = 0
        """How many inputs the server refused; for the report."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.server)
            cores = pick_cores()
            source = Source(
                self.server.port, [WITNESS_MOUNT], self.server.source_password, core=cores.load, preload_s=5.0
            )
            stack.callback(source.close)
            source.wait_connected()
            source.run()
            source.wait_sent(5.0)
            command = [sys.executable, "-m", "attacks.witness", str(self.port), WITNESS_MOUNT]
            self._witness = stack.enter_context(
                subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            assert self._witness.stdout is not None
            self._witness.stdout.readline()
            self._memory = rss_bytes(self.server.pid)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        if self._witness.stdin is not None:
            self._witness.stdin.close()
        self._stack.close()

    def settle(self) -> None:
        """Waits until the server has loaded what it loads some seconds after its start: memory that no attack takes."""
        time.sleep(AFTER_S)
        end, self._memory = time.monotonic() + LOADING_S, rss_bytes(self.server.pid)
        while time.monotonic() < end:
            time.sleep(2.0)
            before, self._memory = self._memory, rss_bytes(self.server.pid)
            if self._memory - before < STILL_BYTES:
                return

    @property
    def port(self) -> int:
        return self.server.port

    def testimony(self) -> Testimony:
        """Ends the witness and returns what it saw."""
        said, _ = self._witness.communicate(timeout=60)
        return Testimony.from_json(said)

    def grown_mb(self) -> float:
        """Returns how many MB the server's memory has grown since the attack began."""
        return (rss_bytes(self.server.pid) - self._memory) / 1e6
