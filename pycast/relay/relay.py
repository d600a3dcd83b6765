"""One relay: a mount of this node that is fed by another server.

It waits for its turn, asks the upstreams, and puts the first stream that it gets on the air as the mount's source, like
an encoder's: the same checks, the same limits, the same claim in a cluster. Then it attends to it: ends it when nobody
listens any more (on demand), replaces it by a better upstream when that is back, without a gap, and begins again when
it ends. In a cluster one node has the stream: the others wait while that one answers.

Its one greenlet decides; the stream is read in another. The one invariant: a stream that this relay began is ended, or
has ended, before the next one is on the air.
"""

import logging
import time
from collections.abc import Callable
from enum import Enum
from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING

from gevent.event import Event

from pycast.control.on_demand import OnDemand
from pycast.control.relay_desk import RelayOrder
from pycast.relay.dial import Dialler, Stream, UpstreamFailed
from pycast.relay.place import RelaySpec
from pycast.relay.run import StreamRun
from pycast.relay.upstreams import Upstreams
from pycast.server.context import ServerContext
from pycast.stream.source import SourceState

if TYPE_CHECKING:
    from pycast.stats.snapshot import RelayLine

log = logging.getLogger(__name__)

# How often a relay looks whether its turn has come, whether anybody listens, and whether a better upstream is back.
LOOK_S = 1.0

# In a cluster: how much later than the node before it each node tries to get a mount that nobody has.
RANK_S = 1.0
MOST_RANKS = 4


class RelayState(Enum):
    """What a relay is doing."""

    NEW = "new"
    IDLE = "nobody listens"
    WAITING = "the mount has another source"
    TRYING = "asks its upstreams"
    FAILING = "no upstream has the stream"
    ON_AIR = "on the air"
    OFF = "an admin has switched it off"


class Relay:
    """The relay of one mount: `run` it in a greenlet of its own."""

    def __init__(
        self,
        spec: RelaySpec,
        context: ServerContext,
        dialler: Dialler,
        on_demand: OnDemand,
        children: Callable[[str], int],
        jitter: Callable[[], float],
    ) -> None:
        """`children` returns how many other nodes have a mount from this one."""
        self.state = RelayState.NEW
        self.is_listed = False
        """Whether a master's list asks for it, and not the configuration."""
        self._is_retired = False
        """Whether it ends with its present stream."""
        self._is_enabled = True
        self._is_to_restart = False
        self._trouble = ""
        """Why the last try failed."""
        self._spec = spec
        self._context = context
        self._dialler = dialler
        self._on_demand = on_demand
        self._children = children
        self._jitter = jitter
        self._upstreams = Upstreams(spec.places, jitter)
        self._credentials = ("relay", f"{id(self):x}")
        """Nobody else has the same ones, so only the relay itself takes its place."""
        self._wake = Event()
        self._wanted_at = -1e9
        self._free_since: float | None = None
        self._run: StreamRun | None = None
        self._register()

    @property
    def spec(self) -> RelaySpec:
        """What it does at present."""
        return self._spec

    def change(self, spec: RelaySpec) -> None:
        """Changes what it does, for the same mount. The present stream goes on until the new one is there. Never
        switches.
        """
        self._is_retired = False
        before, self._spec = self._spec, spec
        if spec == before:
            return
        self._wanted_at = time.monotonic()  # who has just become a relay on demand may have listeners that come back
        if spec.places != before.places:
            self._upstreams = Upstreams(spec.places, self._jitter)
            if self._run is not None:
                present = before.places[self._run.index] if self._run.index < len(before.places) else None
                self._run.index = spec.places.index(present) if present in spec.places else len(spec.places)
        self._register()
        self._wake.set()

    def line(self) -> "RelayLine":
        """Returns what it does, for an admin. Never switches."""
        from pycast.stats.snapshot import RelayLine, UpstreamLine  # for a page of its own

        run, now = self._run, time.monotonic()
        has_stream = run is not None and not run.is_over and run.state is SourceState.ON_AIR
        active = run.index if run is not None and has_stream else -1
        waits = self.state in (RelayState.FAILING, RelayState.TRYING)
        return RelayLine(
            mount=self._spec.mount,
            on_demand=self._spec.on_demand,
            upstreams=tuple(
                UpstreamLine(place.host, place.path, place.port, index == active)
                for index, place in enumerate(self._spec.places)
            ),
            state=self.state.name.lower(),
            is_enabled=self._is_enabled,
            from_master=self.is_listed,
            run_on_s=self._spec.run_on,
            for_s=max(now - run.since, 0.001) if run is not None and has_stream else 0.0,
            retry_in_s=self._upstreams.pause(now) if waits else 0.0,
            trouble=self._trouble,
        )

    def obey(self, order: RelayOrder) -> None:
        """Begins to carry an admin's order out. Never switches."""
        log.info("mount %s: its relay: an admin orders %s", self._spec.mount, order)
        self._is_enabled = order != "disable"
        if order == "restart":
            # With the first upstream, and at once, whatever has failed before.
            self._upstreams = Upstreams(self._spec.places, self._jitter)
            self._wanted_at = time.monotonic()
        self._is_to_restart = order == "restart" and self._run is not None
        self._wake.set()

    def retire(self) -> None:
        """Has it end with its present stream; at once if it has none. Never switches."""
        self._is_retired = True
        if self._run is None:
            self._wake.set()

    def run(self) -> None:
        """Relays until the relay is retired and its stream is over. Ends the stream if it is killed. May switch."""
        self._register()  # again, if it is run again after an error
        try:
            while self._wait_for_turn():
                if self._begin_next():
                    self._attend()
        finally:
            self._on_demand.remove(self._spec.mount)
            if self._run is not None:
                self._run.end("its relay is no longer in the configuration")

    def _register(self) -> None:
        if self._spec.on_demand:
            self._on_demand.add(self._spec.mount, self._wake.set)
        else:
            self._on_demand.remove(self._spec.mount)

    # -- before a stream

    def _wait_for_turn(self) -> bool:
        """Waits until an upstream is to be asked. Returns False if the relay is over. May switch."""
        while not self._is_retired:
            seconds = self._seconds_to_wait(time.monotonic())
            if seconds == 0.0:
                return True
            if self.state is not RelayState.IDLE:
                self._on_demand.decided(self._spec.mount)
            self._wait(seconds)
        return False

    def _seconds_to_wait(self, now: float) -> float | None:
        """Returns after how many seconds to look again; None: when it is woken; 0: it is its turn."""
        if not self._is_enabled:
            self._enter(RelayState.OFF)
            return None
        if not self._is_wanted(now):
            self._enter(RelayState.IDLE)
            # Its listeners may have it from another node; who asked in vain may be on his way to its fallback.
            return LOOK_S if self._context.cluster is not None or self._upstreams.has_failed else None
        if self._is_taken():
            self._enter(RelayState.WAITING)
            self._free_since = None
            return LOOK_S
        if self._free_since is None:
            self._free_since = now
        rank = self._free_since + self._rank() * RANK_S - now
        return max(self._upstreams.pause(now), rank, 0.0)

    def _wait(self, seconds: float | None) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _is_wanted(self, now: float) -> bool:
        if not self._spec.on_demand:
            return True
        if self._has_demand():
            self._wanted_at = now
        return now - self._wanted_at < max(self._spec.run_on, 0.001)

    def _has_demand(self) -> bool:
        name, mounts = self._spec.mount, self._context.mounts
        mount = mounts.get(name)
        if self._on_demand.waiting(name) or self._children(name) or (mount is not None and len(mount.fanout)):
            return True
        return self._context.finder.would_come_back(name)

    def _is_taken(self) -> bool:
        """Whether the mount has a source, here or on another node; or this node takes none."""
        context, name = self._context, self._spec.mount
        cluster = context.cluster
        if context.mounts.source(name) is not None or (cluster is not None and cluster.mirrors.has_source(name)):
            return True
        is_left = context.drain.is_draining and cluster is not None and bool(cluster.others())
        return context.site.readiness.is_stopping or is_left

    def _rank(self) -> int:
        """Returns how many nodes come before this one: of two that begin at once, one would have asked for nothing. The
        order is another one for each mount, which spreads them over the nodes.
        """
        cluster, name = self._context.cluster, self._spec.mount
        if cluster is None or self._context.ownership.owns(name) or self._on_demand.waiting(name):
            return 0
        owner = 2 * cluster.mirrors.has_origin(name)  # it has lost its stream, and tries to get it back
        me = cluster.me.node
        nodes = {record.node for record in cluster.registry.state.up_nodes()} | {me}
        order = sorted(nodes, key=lambda node: blake2b(f"{node} {name}".encode(), digest_size=8).digest())
        return min(owner + order.index(me), MOST_RANKS)

    def _begin_next(self) -> bool:
        """Asks the next upstream, and puts its stream on the air. Returns whether there is one. May switch."""
        if self.state is not RelayState.FAILING:
            self._enter(RelayState.TRYING)
        upstreams = self._upstreams
        self._context.counters.relay_retries += upstreams.has_failed
        index = upstreams.next(time.monotonic())
        stream = self._dial(index)
        if stream is None:
            return False
        # The dial may have taken seconds: a source may have come, or the configuration have changed.
        is_wanted = self._is_enabled and self._is_wanted(time.monotonic())
        if upstreams is not self._upstreams or self._is_taken() or not is_wanted:
            stream.connection.close()
            return False
        self._run = StreamRun(index, stream, time.monotonic())
        self._begin(self._run)
        return True

    def _dial(self, index: int) -> Stream | None:
        """Returns the stream of an upstream, None if it has failed. May switch."""
        upstreams, name = self._upstreams, self._spec.mount
        place = upstreams.places[index]
        try:
            charset = self._context.settings.now.for_mount(name).charset
            return self._dialler.stream(place, name, charset, upstreams.places)
        except UpstreamFailed as error:
            upstreams.failed(index, time.monotonic())
            self._fail(f"{place.url}: {error}")
            return None

    # -- a stream

    def _begin(self, run: StreamRun) -> None:
        """Begins to read a stream, and waits until it is on the air, stands by, or was refused. May switch."""
        run.begin(self._context, self._spec.mount, self._credentials, self._wake.set)
        if run.state is SourceState.ON_AIR:
            self._trouble = ""
            self._enter(RelayState.ON_AIR, run.place.url)
        self._on_demand.decided(self._spec.mount)

    def _attend(self) -> None:
        """Looks after the present stream until it is over. May switch."""
        run = self._run
        assert run is not None
        while not run.is_over:
            self._wait(self._look_s(run))
            run = self._run = self._looked_after(run)
        self._run, self._free_since, self._is_to_restart = None, None, False
        self._end_of(run)

    def _looked_after(self, run: StreamRun) -> StreamRun:
        """Ends a stream that is not wanted any more, or puts a better one in its place. Returns the one there is. May
        switch.
        """
        now = time.monotonic()
        if why := self._why_end(run, now):
            run.end(why)
            run.wait()
        elif run.state is SourceState.ON_AIR:
            # One whose upstream is none any more need not stay.
            is_left = run.index >= len(self._upstreams.places)
            better = self._upstreams.better(run.index, now, -inf if is_left else run.since)
            if better is not None and self._context.settings.now.for_mount(self._spec.mount).source_takeover:
                return self._switch(run, better)
        return run

    def _look_s(self, run: StreamRun) -> float | None:
        """Returns how often to look at a stream; None if only its end, or a reload, can change anything."""
        may_change = self._spec.on_demand or run.index or self._context.cluster is not None
        return LOOK_S if may_change or run.state is not SourceState.ON_AIR else None

    def _why_end(self, run: StreamRun, now: float) -> str:
        if not self._is_enabled:
            return "an admin has switched its relay off"
        if self._is_to_restart:
            return "an admin has it begun again"
        if not self._is_wanted(now):
            return "nobody listens"
        cluster = self._context.cluster
        if run.state is SourceState.STANDBY and cluster is not None and cluster.mirrors.has_source(self._spec.mount):
            return "another node has its mount"
        return ""

    def _switch(self, run: StreamRun, index: int) -> StreamRun:
        """Puts the stream of a better upstream on the air in place of the present one, if it is there. May switch."""
        upstreams, counters = self._upstreams, self._context.counters
        counters.relay_retries += 1
        stream = self._dial(index)
        if stream is None:
            return run
        if upstreams is not self._upstreams or run.is_over or run.source is None:
            stream.connection.close()
            return run
        run.source.makes_way = run.is_ended = True
        new = StreamRun(index, stream, time.monotonic())
        self._begin(new)
        if new.is_over and new.refusal:
            run.source.makes_way = run.is_ended = False
            upstreams.failed(index, time.monotonic())
            self._fail(new.refusal)
            return run
        run.wait()
        run.end("its relay has begun another stream")  # should the new one not have taken its place in time
        log.info("mount %s: relays %s again", self._spec.mount, new.place.url)
        return new

    def _end_of(self, run: StreamRun) -> None:
        """Notes how a stream has ended."""
        now = time.monotonic()
        if run.is_ended or run.index >= len(self._upstreams.places):
            return
        if run.refusal:
            self._upstreams.failed(run.index, now)
            self._fail(run.refusal)
        else:
            self._context.counters.relay_failures += 1
            self._upstreams.ended(run.index, now, now - run.since)

    # -- what it is doing

    def _fail(self, why: str) -> None:
        """Counts a failure. Logs it if nothing else is on the air, and the last one was not the same state."""
        self._context.counters.relay_failures += 1
        self._trouble = why
        if self._run is not None or self.state is RelayState.FAILING:
            log.debug("! mount %s: %s", self._spec.mount, why)
            return
        self._enter(RelayState.FAILING, why)

    def _enter(self, state: RelayState, text: str = "") -> None:
        """Changes the state, and logs what somebody may want to know, once."""
        before, self.state = self.state, state
        if state is RelayState.FAILING:
            log.warning(
                "mount %s: cannot be relayed: %s. It is tried again, every %g s at most; further failures are not "
                "logged until it works",
                *(self._spec.mount, text, 20),
            )
        elif state is RelayState.ON_AIR:
            log.info("mount %s: relays %s", self._spec.mount, text)
        elif state is not before:
            log.debug("= mount %s: its relay: %s", self._spec.mount, state.value)
