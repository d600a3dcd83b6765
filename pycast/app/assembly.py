"""The wiring plan of a node: makes every part, top to bottom, and subscribes parts to each other's events.

A part gets what it uses as arguments, and its constructor has no effect on any other. Read `assemble` as a list: first
what the node is made of, then which part handles which event. `cluster_assembly.py` does the same for the parts that
only a cluster needs; no other file does so. `node.py` starts, reloads and stops the result.
"""

import itertools
import os
import time
from collections.abc import Callable
from functools import partial
from signal import SIGHUP
from typing import TYPE_CHECKING, NamedTuple

from gevent.event import Event

from pycast.app.source_hooks import SourceHooks
from pycast.auth.auth_calls import AuthCalls
from pycast.auth.bans import Bans
from pycast.auth.credentials import opens_something
from pycast.auth.guests import Guests
from pycast.auth.logins import Logins
from pycast.auth.source_logins import SourceLogins
from pycast.balance.admission import Admission
from pycast.balance.drain import Drain
from pycast.balance.listener_limits import ListenerLimits
from pycast.balance.load_monitor import LoadMonitor
from pycast.balance.readiness import Readiness
from pycast.balance.slaves import Slaves
from pycast.cluster.claim import MountClaims
from pycast.cluster.ownership import Ownership
from pycast.config.live import Live
from pycast.config.schema import Config
from pycast.control.control import Control
from pycast.control.event_log import EventLog
from pycast.control.fallbacks import Fallbacks
from pycast.control.intros import Intros
from pycast.control.listener_moves import ListenerMoves
from pycast.control.local_streams import LocalStreams
from pycast.control.mount_finder import MountFinder
from pycast.control.node_control import NodeControl
from pycast.control.node_snapshot import NodeSnapshots, total_bytes_sent
from pycast.control.on_demand import OnDemand
from pycast.control.own_address import OwnAddress
from pycast.control.relay_desk import RelayDesk
from pycast.control.title_history import TitleHistory
from pycast.directories.directories import Directories
from pycast.logs.files import RecentLine
from pycast.logs.log_set import LogSet
from pycast.logs.setup import recent_errors
from pycast.net.group import Group
from pycast.net.hangups import Hangups
from pycast.server.answers import Answers
from pycast.server.context import ServerContext
from pycast.server.listener_end import HangupHandler, ListenerEnd, Watched
from pycast.server.player_heads import PlayerHeads
from pycast.server.reserve import Reserve
from pycast.stats.counters import Counters
from pycast.stream.events import MountEmptied, StreamEvents, TitleChanged
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.web.shared_pages import SharedPages
from pycast.web.site import Site

if TYPE_CHECKING:
    from pycast.app.cluster_assembly import ClusterParts
    from pycast.cluster.member import ClusterMember
    from pycast.cluster.registry.own_record import OwnRecord


class NodeParts(NamedTuple):
    """The parts that `node.py` starts, reloads and stops, and the context of connections."""

    context: ServerContext
    programs: Group
    """The programs of `on_connect` and `on_disconnect`, which outlive their sources."""
    logs: LogSet
    load_monitor: LoadMonitor
    loops: tuple[tuple[str, Callable[[], None]], ...]
    """What runs as long as the node, by name."""
    run_relays: Callable[[], None]
    """Runs the relays for ever, from when the node has joined its cluster."""
    directories: Directories
    relay_desk: RelayDesk


def assemble(
    config: Config, open_files: int, *, is_worker: bool = False, parents_log: Callable[[], list[RecentLine]] = list
) -> NodeParts:
    """Makes a node whose process may open `open_files` files. Raises ExternalError if a log cannot be opened."""
    settings, group, programs = Live(config), Group(), Group()
    counters, events, logs = Counters(), StreamEvents(), LogSet(config)

    # The data path.
    pacer = Pacer(config.limits.flush_interval, time.thread_time)
    mounts = Mounts(settings, pacer, group, events, time.monotonic)
    hangups: Hangups[Watched] = Hangups(HangupHandler(settings, mounts, group).on_hangup)

    # The cluster, if there is one, and who owns which mount.
    claims, on_demand, relay_desk = MountClaims(), OnDemand(), RelayDesk()
    parts = _cluster_parts(settings, mounts, claims, pacer, group) if config.is_clustered else None
    ownership = Ownership(settings, mounts, claims, group, time.monotonic, parts.owner_client if parts else None)

    # How much the node can take, and how it is emptied.
    admission = Admission(config.limits.clients, open_files)
    load_monitor = _load_monitor(settings, admission, counters, mounts, parts)
    cluster = parts.member(settings, admission, mounts, load_monitor, group) if parts else None
    limits = ListenerLimits(settings, mounts, counters, time.monotonic, lambda: _listeners_elsewhere(cluster))
    readiness = Readiness(drain := Drain(settings, mounts, lambda: _move_sources(ownership, cluster), group))

    # Questions and commands of admins.
    address, intros = OwnAddress(settings), Intros(settings, time.monotonic)
    logins = _logins(settings, address, mounts, events, counters, programs, parts, cluster)
    finder, moves, fallbacks = _moves(settings, mounts, events, hangups, group, parts, on_demand)
    snapshots = NodeSnapshots(settings, address, counters, mounts, admission, load_monitor, drain, readiness, ownership,
                              cluster, on_demand, history := _history(events), finder)  # fmt: skip
    slaves, event_log = Slaves(settings, time.monotonic), _event_log(mounts, events)
    local = NodeControl(mounts, claims, finder, moves, snapshots, slaves, relay_desk, event_log)

    # Who hears what of the data path, and who speaks for the whole in a cluster.
    listener_end, pages = ListenerEnd(hangups, admission, counters, logs), SharedPages()
    _subscribe(events, SourceHooks(programs), fallbacks, intros, ownership, counters, logs, listener_end, limits, pages)
    whole = parts.introduce(events, cluster, ownership, fallbacks, drain, local) if parts and cluster else None
    own = settings, counters, *logins, address, readiness, finder, local
    worker_drain, cluster_control = whole or (drain, local)
    site = Site(*own, worker_drain, cluster_control, pages, history, partial(_ask_for_reload, is_worker),
                _recent_lines(logs, parts, cluster, parents_log))  # fmt: skip
    context = ServerContext(
        *(settings, group, counters, pacer, mounts, finder, fallbacks, intros, ownership, cluster, hangups),
        answers=Answers(settings, admission, counters, logs.log_access),
        player_heads=PlayerHeads(),
        admission=admission,
        reserve=Reserve(counters, lambda: admission.reserve),
        bans=Bans(settings, mounts, counters, time.monotonic),
        listener_limits=limits,
        slaves=slaves,
        drain=drain,
        log_access=logs.log_access,
        next_listener_id=_listener_ids(parts.own if parts else None),
        site=site,
    )
    loops, directories = _loops(context, load_monitor), _directories(context)
    relays = _relays(context, on_demand, relay_desk, parts)
    return NodeParts(context, programs, logs, load_monitor, loops, relays, directories, relay_desk)


def _directories(context: ServerContext) -> Directories:
    listeners = partial(_listeners_of, context.site.cluster_wide if context.cluster else None)
    return Directories(context.settings, context.mounts, context.site.address, listeners, time.monotonic)


def _loops(context: ServerContext, load_monitor: LoadMonitor) -> tuple[tuple[str, Callable[[], None]], ...]:
    return (
        ("hang-ups", context.hangups.run),
        ("answers", context.answers.run),
        ("expiry", context.mounts.run_expiry),
        ("load", load_monitor.run),
        ("loop lag", load_monitor.lag.run),
        ("ban lists", context.bans.run),
    )


def _moves(
    settings: Live,
    mounts: Mounts,
    events: StreamEvents,
    hangups: "Hangups[Watched]",
    group: Group,
    parts: "ClusterParts | None",
    on_demand: OnDemand,
) -> tuple[MountFinder, ListenerMoves, Fallbacks]:
    """Makes the parts that find mounts for listeners, and move these."""
    local = LocalStreams(settings, mounts, group)
    finder = MountFinder(settings, mounts, parts.mirrors if parts else None, on_demand, local)
    moves = ListenerMoves(hangups, events)
    return finder, moves, Fallbacks(settings, mounts, finder, moves, group)


def _subscribe(
    events: StreamEvents,
    hooks: SourceHooks,
    fallbacks: Fallbacks,
    intros: Intros,
    ownership: Ownership,
    counters: Counters,
    logs: LogSet,
    listener_end: ListenerEnd,
    limits: ListenerLimits,
    pages: SharedPages,
) -> None:
    """Subscribes parts to the events of the data path."""
    events.source_started.subscribe(hooks.on_source_started)
    events.source_ended.subscribe(hooks.on_source_ended)
    events.mount_state_changed.subscribe(fallbacks.on_mount_state_changed)
    events.mount_closed.subscribe(ownership.on_mount_closed)
    events.mount_emptied.subscribe(lambda event: _keep_totals(counters, event))
    events.title_changed.subscribe(lambda event: _log_title(logs, event))
    events.listener_left.subscribe(listener_end.on_listener_left)
    events.intro_heard.subscribe(intros.on_intro_heard)
    events.listener_left.subscribe(limits.on_listener_left)
    for signal in (events.source_started, events.source_ended, events.mount_state_changed, events.title_changed):
        signal.subscribe(pages.on_change)


def _logins(
    settings: Live,
    address: OwnAddress,
    mounts: Mounts,
    events: StreamEvents,
    counters: Counters,
    programs: Group,
    parts: "ClusterParts | None",
    cluster: "ClusterMember | None",
) -> tuple[Logins, SourceLogins, Guests]:
    """Makes what decides who may do what. What other servers are told outlives the sources that it is about."""
    if any(one.authentication and one.authentication.type == "url" for one in settings.now.mount):
        import pycast.auth.auth_server  # noqa: F401  # it takes 50 ms, and nobody is served yet
    logins = Logins(counters, time.monotonic, opens_something=lambda given: opens_something(settings.now, given))
    calls = AuthCalls(settings, lambda: address.port, counters, programs, time.monotonic)
    elsewhere = parts.listens_elsewhere(cluster) if parts and cluster else None
    guests = Guests(settings, logins, calls, counters, time.monotonic, elsewhere, mounts.listeners_of)
    if parts:
        parts.introduce_guests(guests)
    events.source_started.subscribe(calls.on_source_started)
    events.source_ended.subscribe(calls.on_source_ended)
    events.listener_left.subscribe(guests.on_listener_left)
    return logins, SourceLogins(settings, calls), guests


def _history(events: StreamEvents) -> TitleHistory:
    history = TitleHistory()
    events.title_changed.subscribe(history.on_title_changed)
    return history


def _recent_lines(
    logs: LogSet,
    parts: "ClusterParts | None",
    cluster: "ClusterMember | None",
    parents_log: Callable[[], list[RecentLine]],
) -> Callable[[str], list[bytes]]:
    """Returns what has the last lines of a log: those of all workers of this server, and of their parent."""

    def own(name: str) -> list[RecentLine]:
        return recent_errors() if name == "error" else logs.recent(name)

    every = parts.recent_lines(cluster, own) if parts and cluster else own
    return lambda name: [line for _, line in sorted(every(name) + (parents_log() if name == "error" else []))]


def _event_log(mounts: Mounts, events: StreamEvents) -> EventLog:
    event_log = EventLog(mounts)
    events.source_started.subscribe(event_log.on_source_started)
    events.source_ended.subscribe(event_log.on_source_ended)
    events.title_changed.subscribe(event_log.on_title_changed)
    events.listener_joined.subscribe(event_log.on_listener_joined)
    events.listener_left.subscribe(event_log.on_listener_left)
    events.listeners_moved.subscribe(event_log.on_listeners_moved)
    return event_log


def _ask_for_reload(is_worker: bool) -> None:
    """Reloads as a service manager does: a worker's parent tells all workers."""
    os.kill(os.getppid() if is_worker else os.getpid(), SIGHUP)


def _cluster_parts(settings: Live, mounts: Mounts, claims: MountClaims, pacer: Pacer, group: Group) -> "ClusterParts":
    from pycast.app.cluster_assembly import cluster_parts  # a node alone starts without what only a cluster needs

    return cluster_parts(settings, mounts, claims, pacer, group)


def _listeners_elsewhere(cluster: "ClusterMember | None") -> int:
    return sum(node.listeners for node in cluster.others()) if cluster else 0


def _listeners_of(control: Control | None, mount: Mount) -> int:
    """Returns how many listen to a mount, on all nodes. May switch."""
    if control is None:
        return len(mount.fanout)
    return next((one.listeners for one in control.snapshot().mounts if one.name == mount.name), len(mount.fanout))


def _move_sources(ownership: Ownership, cluster: "ClusterMember | None") -> None:
    """Sends sources to other nodes, if there are any. Without others they stay, so that listeners have audio."""
    if cluster and cluster.others():
        ownership.disconnect_all()


def _load_monitor(
    settings: Live, admission: Admission, counters: Counters, mounts: Mounts, parts: "ClusterParts | None"
) -> LoadMonitor:
    if parts is None:
        return LoadMonitor(settings, admission, lambda: total_bytes_sent(counters, mounts))

    def bytes_sent() -> int:
        admission.set_mirrors(len(parts.mirrors))  # asked once a second
        return total_bytes_sent(counters, mounts) + parts.children.bytes_sent

    return LoadMonitor(settings, admission, bytes_sent, lambda: parts.mirrors.health)


def _listener_ids(own: "OwnRecord | None") -> Callable[[], int]:
    """Returns a function that numbers listeners, uniquely in the cluster while the node runs."""
    numbers = itertools.count(1)
    return lambda: (own.number << 32 if own else 0) + next(numbers)


def _relays(
    context: ServerContext, on_demand: OnDemand, desk: RelayDesk, parts: "ClusterParts | None"
) -> Callable[[], None]:
    """Returns what makes the relays when the configuration has any, and runs them for ever."""
    reloaded = Event()
    context.settings.replaced.subscribe(lambda config: reloaded.set())

    def run() -> None:
        while not context.settings.now.has_relays:
            reloaded.clear()
            reloaded.wait()
        import random  # a node without relays starts without all this

        from pycast.relay.dial import Dialler
        from pycast.relay.relays import Relays
        from pycast.relay.resolver import Resolver

        dialler, children = Dialler(Resolver(), context.site.address.server), parts.children.count if parts else None
        Relays(context, dialler, on_demand, children or (lambda mount: 0), random.random, reloaded, desk).run()

    return run


def _keep_totals(counters: Counters, event: MountEmptied) -> None:
    # The totals must not shrink when a mount is removed, so its counts are added to them.
    counters.bytes_read += event.bytes_read
    counters.bytes_dropped += event.bytes_dropped
    counters.bytes_sent += event.bytes_sent
    counters.marks_dropped += event.marks_dropped


def _log_title(logs: LogSet, event: TitleChanged) -> None:
    if event.title.text:  # the empty title of a new source is not logged
        logs.log_title(event.mount, event.listeners, event.title.text)
