"""The servers of a soak: a cluster of three nodes, another server whose stream they relay, their encoders, the file
that takes a source's place; and how much of memory, descriptors and greenlets each node uses.

The one invariant: what a listener of a mount may hear follows from `MAY_HEAR` and the encoders' sessions alone.
"""

import hashlib
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from benchmarks.frames import frame
from benchmarks.procfs import rss_bytes
from pycast.testing import Cluster, Server
from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.hearing import Report
from tests.cluster_e2e.nodes import at
from tests.soak.players import Player

ONE, TWO, GUARDED, RELAYED, UPSTREAM = "/one.mp3", "/two.mp3", "/guarded.mp3", "/relayed.mp3", "/upstream.mp3"
MOUNTS = (ONE, TWO, GUARDED, RELAYED)
USER, PASSWORD = "ann", "a password"
FILE, FILE_FRAMES = "/instead.mp3", 490

# The programmes: what the frames of each encoder, and of the file, say whose they are.
_ONE, _TWO, _GUARDED, _UPSTREAM, _FILE = 1, 2, 3, 9, 15
MAY_HEAR = {
    ONE: {_ONE, _TWO, _FILE},
    TWO: {_TWO, _FILE},
    GUARDED: {_GUARDED, _FILE},
    RELAYED: {_UPSTREAM, _FILE},
}
GRACE_S = 0.5
"""Shorter than usual, so that mounts come and go all the time."""
BACK_S = 15.0
"""How long after a source's return somebody may hear the file that took its place, on a busy machine."""
STEADY = "a"
"""The node that is never killed: what it loses in an hour is lost for good."""
LINKS = 8
"""By how many descriptors, and greenlets, a node's may differ when nobody is there: connections between nodes come and
go. Whatever is lost now and then is more than that after an hour."""
_GREENLETS = re.compile(rb"^pycast_greenlets (\d+)", re.MULTILINE)
_OPEN_FILES = re.compile(rb"^pycast_open_files (\d+)", re.MULTILINE)
_SOURCES = re.compile(rb"^pycast_sources (\d+)", re.MULTILINE)
_LISTENERS = re.compile(rb"^pycast_listeners (\d+)", re.MULTILINE)


class Level(NamedTuple):
    """What a node uses."""

    memory_mb: float
    open_files: int
    greenlets: int


class Stage:
    """`with Stage() as stage:`; `begin` and `end` the sources."""

    def __init__(self) -> None:
        self.titles: set[str] = set()
        """All that were ever set."""
        self.breaks: list[float] = []
        """When something happened to the relayed stream or to a node."""
        self.encoders: dict[str, Encoder] = {}
        self._sessions: dict[int, list[Encoder]] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="pycast-soak-"))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            (self._folder / FILE[1:]).write_bytes(b"".join(frame(seq, _FILE, 0) for seq in range(FILE_FRAMES)))
            digest = hashlib.md5(PASSWORD.encode(), usedforsecurity=False).hexdigest()
            (self._folder / "users").write_text(f"{USER}:{digest}\n")
            self.upstream = stack.enter_context(
                Server(source_timeout=5, source_grace=GRACE_S, dump_file="", burst_size=0)
            )
            self.cluster = stack.enter_context(Cluster(3, **self._settings()))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._stack.close()

    def _settings(self) -> dict[str, Any]:
        common = {"fallback_mount": FILE, "fallback_override": "own"}
        users = {"type": "htpasswd", "filename": str(self._folder / "users"), "allow_duplicate_users": True}
        return {
            "mount": [
                {"mount_name": ONE, **common, "fallback_mount": TWO},
                {"mount_name": TWO, **common},
                {"mount_name": GUARDED, **common, "authentication": users},
                {"mount_name": RELAYED, **common},
            ],
            "relay": [{"server": "127.0.0.1", "port": self.upstream.port, "mount": UPSTREAM, "local_mount": RELAYED}],
            "paths": {"webroot": str(self._folder)},
            "server": {"location": "soak 0"},
            "dump_file": "",
            "source_timeout": 5,
            "source_grace": GRACE_S,
            "burst_size": "32k",
        }

    @property
    def nodes(self) -> dict[str, Server]:
        """The nodes by name."""
        return {name: self.cluster[name] for name in self.cluster.names}

    def begin(self) -> None:
        """Has all encoders begin, and waits until they are on the air."""
        self.breaks.append(time.monotonic())  # the other server's stream begins anew, and the relay where that is then
        addresses = at(*self.nodes.values())
        places = {ONE: (addresses, _ONE), TWO: (addresses[1:] + addresses[:1], _TWO)}
        places |= {GUARDED: (addresses[2:] + addresses[:2], _GUARDED), UPSTREAM: (at(self.upstream), _UPSTREAM)}
        for mount, (where, programme) in places.items():
            encoder = Encoder(where, mount, programme=programme, retry_s=0.3)
            encoder.start()
            self.encoders[mount] = encoder
            self._sessions.setdefault(programme, []).append(encoder)
        for encoder in self.encoders.values():
            encoder.wait_on_air(20)
        self.cluster.wait_for_mount(RELAYED, timeout=30)

    def end(self) -> None:
        """Has all encoders stop."""
        for encoder in self.encoders.values():
            encoder.stop()
        self.encoders.clear()

    def reload(self, name: str, number: int) -> bool:
        """Has a node read a changed configuration. Returns whether it has done so."""
        server = self.cluster[name]
        text = server.config_path.read_text()
        server.config_path.write_text(re.sub(r'"soak \d+"', f'"soak {number}"', text))
        os.kill(server.pid, signal.SIGHUP)
        return _wait(lambda: f"<location>soak {number}<".encode() in server.get("/admin/stats", admin=True)[1], 20)

    def keep_logs(self) -> str:
        """Writes the logs of all nodes into a folder of their own. Returns it."""
        folder = tempfile.mkdtemp(prefix="pycast-soak-logs-")
        for name, server in self.nodes.items():
            (Path(folder) / f"{name}.log").write_text(server.log())
        return folder

    def levels(self) -> dict[str, Level]:
        """Returns what each node uses."""
        return {name: level(server) for name, server in self.nodes.items()}

    def calm_down(self, like: dict[str, Level] | None = None) -> dict[str, Level]:
        """Waits until no node has a source or a listener, or more descriptors and greenlets than it had (`like`).

        Returns what each uses then.
        """
        _wait(self._is_empty, 30)
        if like is not None:
            _wait(lambda: not any(True for _ in grown(like, self.levels(), memory_mb=float("inf"))), 30)
        return self.levels()

    def _is_empty(self) -> bool:
        pages = [server.get("/metrics", admin=True)[1] for server in self.nodes.values()]
        return all(_number(_SOURCES, page) == 0 == _number(_LISTENERS, page) for page in pages)

    def judge(self, player: Player, report: Report) -> Iterator[str]:
        """Says what is wrong with what a player has heard."""
        if report.damage or report.bad_blocks:
            yield f"{report.damage} bytes that are no frame, {report.bad_blocks} blocks that are no title"
        may_hear = MAY_HEAR[player.wish.mount]
        last: dict[int, int] = {}
        for switch in report.switches:
            last[switch.before] = switch.last
            if switch.after not in may_hear:
                yield f"programme {switch.after} after {switch.before}"
            # A relay joins the other server's stream wherever that begins for newcomers.
            if switch.after not in (_FILE, _UPSTREAM) and switch.seq <= last.get(switch.after, -1):
                said = f"programme {switch.after} again from frame {switch.seq}, after {last[switch.after]}"
                yield f"{said}; it was sent from {sorted(self._firsts(switch.after))[-5:]} on"
        if report.frames and not report.switches and report.last_programme not in may_hear:
            yield f"programme {report.last_programme}"
        yield from self._jumps(player, report)
        yield from self._left_behind(player, report)
        for title in set(report.titles):
            if title[len("StreamTitle='") :].partition("';")[0] not in self.titles | {""}:
                yield f"a title that nobody has set: {title!r}"

    def _jumps(self, player: Player, report: Report) -> Iterator[str]:
        """A stream goes on with the next frame of its source, or with the first one that it sent to another node. Only
        another encoder sends again what one has sent.
        """
        free = sum(moment >= player.began - 5 for moment in self.breaks)
        for jump in (*report.gaps, *report.repeats):
            is_gap = jump in report.gaps
            lands_on = jump.seq + jump.frames if is_gap else jump.seq
            is_next = lands_on in (self._firsts(jump.programme) if is_gap else self._beginnings(jump.programme))
            if jump.programme == _FILE or is_next:
                continue
            if jump.programme == _UPSTREAM and free:  # a relay begins anew where the other server is by then
                free -= 1
                continue
            yield f"from frame {jump.seq} of programme {jump.programme} {jump.frames} are missing, or came again"

    def _left_behind(self, player: Player, report: Report) -> Iterator[str]:
        """Who hears the file is on his mount again when that has its source."""
        # An admin may have moved him from one mount to the other.
        mounts = (ONE, TWO) if player.wish.mount == ONE else (player.wish.mount,)
        encoders = [self.encoders[mount] for mount in mounts if mount in self.encoders]
        is_back = bool(encoders) and all(one.is_on_air for one in encoders)
        if report.last_programme != _FILE or player.excuse or not is_back:
            return
        since = max(player.reads_since, *self.breaks, *(one.sessions[-1].accepted for one in encoders))
        if player.ear.last_audio - since > BACK_S:
            yield f"hears the file {player.ear.last_audio - since:.0f} s after its source came back"

    def _beginnings(self, programme: int) -> set[int]:
        encoders = self._sessions.get(programme, [])
        return {next((session.first for session in one.sessions if session.first), 0) for one in encoders}

    def _firsts(self, programme: int) -> set[int]:
        encoders = self._sessions.get(programme, [])
        return {session.first for encoder in encoders for session in encoder.sessions if session.first}


def level(server: Server) -> Level:
    """Returns what a node uses."""
    page = server.get("/metrics", admin=True)[1]
    return Level(rss_bytes(server.pid) / 1e6, _number(_OPEN_FILES, page), _number(_GREENLETS, page))


def grown(
    before: dict[str, Level], after: dict[str, Level], memory_mb: float, names: Iterable[str] = ()
) -> Iterator[str]:
    """Says what nodes use more than they did: of memory more than `memory_mb`, of the rest more than `LINKS`."""
    for name in names or before:
        old, new = before[name], after[name]
        if new.memory_mb - old.memory_mb > memory_mb:
            yield f"node {name}: {new.memory_mb - old.memory_mb:.1f} MB more memory (at most {memory_mb:g})"
        if new.open_files > old.open_files + LINKS:
            yield f"node {name}: {new.open_files} descriptors, and {old.open_files} before"
        if new.greenlets > old.greenlets + LINKS:
            yield f"node {name}: {new.greenlets} greenlets, and {old.greenlets} before"


def _number(pattern: re.Pattern[bytes], page: bytes) -> int:
    found = pattern.search(page)
    assert found, f"no {pattern.pattern!r} in the metrics"
    return int(found[1])


def _wait(is_so: Callable[[], bool], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
