"""What everything that serves a connection shares: one object per node, made by `app`.

It keeps the books: counters, logs, listeners that leave, snapshots. It serves nobody itself. `config` is replaced whole
by a reload; whoever needs a setting asks for it when it needs it.
"""

import itertools
import logging
import time
from typing import TYPE_CHECKING

from pycast.balance.admission import RESERVE, Admission
from pycast.balance.drain import Drain
from pycast.balance.drain_plan import DrainState
from pycast.balance.haproxy_agent import Standing, agent_reply
from pycast.balance.load_monitor import LoadMonitor
from pycast.balance.worker_drain import WorkerDrain
from pycast.cluster.cluster import Cluster, Load
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.ownership import Ownership
from pycast.config.schema import Config
from pycast.control.fallbacks import Fallbacks
from pycast.control.node_control import NodeControl
from pycast.control.node_snapshot import snapshot_listeners, snapshot_node, total_bytes_sent
from pycast.errors import ExternalError
from pycast.logs.access import AccessEntry, AccessLog
from pycast.logs.files import LogFile, hub_after
from pycast.logs.playlist import PlaylistEntry, PlaylistLog
from pycast.net.group import Group
from pycast.net.hangups import Hangups
from pycast.server.reserve import Reserve
from pycast.stats.counters import Counters
from pycast.stats.snapshot import ListenerSnapshot, NodeSnapshot
from pycast.stream.fanout import Reason
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount, MountState
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.stream.timeline import Title

if TYPE_CHECKING:
    from pycast.control.cluster_control import ClusterControl

log = logging.getLogger(__name__)

Watched = tuple[Mount, Listener]

# Why we end one listener: each has a line in the error log. Those who leave by themselves, or with their source, are in
# the access log.
SINGLED_OUT = frozenset({Reason.SLOW, Reason.EXPIRED, Reason.KILLED, Reason.BUG})


class Service:
    """The node's state and books."""

    def __init__(self, config: Config, open_files: int) -> None:
        self.config = config
        self.started = time.time()
        self.port = config.listen[0].port
        """The first listening port as bound."""
        self.is_stopping = False
        self.group = Group()
        self.counters = Counters()
        self.pacer = Pacer(config.limits.flush_interval, time.thread_time)
        self.hangups: Hangups[Watched] = Hangups(self._hung_up)
        self.mounts = Mounts(config, self.pacer, self.group, self._listener_gone, time.monotonic)
        self.mounts.on_new = self._new_mount
        self.mounts.on_closed = self._mount_closed
        self.reserve = Reserve(self.counters)
        self.admission = Admission(config.limits.clients, open_files)
        self.vitals = LoadMonitor(self.admission, self._egress, lambda: self.config.balancer.egress)
        self.lineages = Lineages()
        self.cluster = self._join_cluster() if config.is_clustered else None
        self.ownership = Ownership(
            lambda: self.config,
            self.mounts,
            self.lineages,
            self.group,
            time.monotonic,
            self.cluster.membership if self.cluster else None,
        )
        if self.cluster:
            self.vitals.relay_health = lambda: self.cluster.mirrors.health if self.cluster else 1.0
            self.cluster.answers.handlers |= {
                "source.is_alive": self.ownership.is_alive,
                "source.yield_mount": self.ownership.yield_mount,
            }
        self.drain = Drain(self.mounts, self.group, lambda: self.config.drain)
        self.drain.before_listeners.append(self._move_sources)
        self.drain.on_change.append(self._drain_changed)
        self.local = NodeControl(self)
        self.fallbacks = Fallbacks(self)
        self.way_out = WorkerDrain(self.drain, self.cluster)
        self.cluster_wide = self._see_everywhere() if self.cluster else self.local
        self._access_file = LogFile(config.logging.access_log, hub_after)
        self._playlist_file = LogFile(config.logging.playlist_log, hub_after)
        self._access_log = AccessLog(self._access_file)
        self._playlist_log = PlaylistLog(self._playlist_file)
        self._ids = itertools.count(1)

    def _join_cluster(self) -> Cluster:
        return Cluster(
            lambda: self.config,
            self.mounts,
            self.lineages,
            self.pacer,
            self.group,
            time.monotonic,
            lambda: Load(
                self.admission.limit,
                self.admission.open,
                sum(len(mount.fanout) for mount in self.mounts),
                self.vitals.percent,
            ),
        )

    @property
    def is_ready(self) -> bool:
        """Whether new listeners are welcome. A full node says yes: see `web/health.py`."""
        return not self.is_stopping and self.drain.is_ready

    def _see_everywhere(self) -> "ClusterControl":
        from pycast.control.cluster_control import (
            ClusterControl,  # what it makes at its import takes time: only for who needs it
        )

        assert self.cluster is not None
        return ClusterControl(self.local, self.cluster)

    def has_source(self, name: str) -> bool:
        """Whether a source feeds the mount, here or on another node of the cluster."""
        mount = self.mounts.get(name)
        return (mount is not None and mount.state is MountState.LIVE) or (
            self.cluster is not None and self.cluster.has_source(name)
        )

    @property
    def listen_url(self) -> str:
        """What stream addresses begin with."""
        scheme = "https" if self.config.listen[0].tls else "http"
        return f"{scheme}://{self.config.server.hostname}:{self.port}"

    def agent_line(self, processes: int) -> bytes:
        """What the balancer is told of this node, which speaks for so many `processes` like it."""
        standing = Standing.DRAINS if self.drain.is_draining else Standing.SERVES
        connections = processes * (self.admission.limit + RESERVE)
        return agent_reply(Standing.STOPS if self.is_stopping else standing, self.vitals.percent, connections)

    def next_id(self) -> int:
        """A number for a listener, unique in the cluster while the node runs."""
        return (self.cluster.number << 32 if self.cluster else 0) + next(self._ids)

    def snapshot(self) -> NodeSnapshot:
        """The node as it is now."""
        return snapshot_node(self)

    def listeners(self, mount: Mount) -> list[ListenerSnapshot]:
        """The mount's listeners as they are now."""
        return snapshot_listeners(mount)

    def log_access(self, entry: AccessEntry) -> None:
        """Writes a line of the access log."""
        self._access_log.write(entry)

    def reload(self, config: Config) -> None:
        """Takes a new configuration and opens the logs anew. Acceptor sockets stay as they are. Raises ExternalError,
        and takes nothing, if a log cannot be opened.
        """
        before, after = self.config.logging, config.logging
        access = _opened_anew(self._access_file, before.access_log, after.access_log)
        try:
            playlist = _opened_anew(self._playlist_file, before.playlist_log, after.playlist_log)
        except ExternalError:
            _close_replaced(access, self._access_file)
            raise
        _close_replaced(self._access_file, access)
        _close_replaced(self._playlist_file, playlist)
        self._access_file, self._access_log = access, AccessLog(access)
        self._playlist_file, self._playlist_log = playlist, PlaylistLog(playlist)
        self.config = config
        self.mounts.reload(config)
        self.admission.set_clients(config.limits.clients)

    def close_logs(self) -> None:
        """Writes out what the logs still hold."""
        self._access_file.close()
        self._playlist_file.close()

    def _move_sources(self) -> None:
        """Sends sources to other nodes, if there are any. A node alone keeps them: its listeners would hear nothing."""
        if self.cluster and self.cluster.others():
            self.ownership.disconnect_all()

    def _drain_changed(self, state: DrainState) -> None:
        if self.cluster:
            self.cluster.set_draining(state is not DrainState.SERVING)

    def _egress(self) -> int:
        """Bytes that went out, to listeners and to other nodes. Asked for once a second."""
        if not self.cluster:
            return total_bytes_sent(self)
        self.admission.set_mirrors(len(self.cluster.mirrors))
        return total_bytes_sent(self) + self.cluster.feeds.bytes_sent

    def _new_mount(self, mount: Mount) -> None:
        mount.on_title = self._title_changed
        mount.on_state = self.fallbacks.state_changed

    def _mount_closed(self, mount: Mount) -> None:
        # Totals never go back, also when the mount they were counted by is gone.
        self.counters.bytes_read += mount.bytes_read
        self.counters.bytes_sent += mount.fanout.bytes_sent

    def _title_changed(self, mount: Mount, title: Title) -> None:
        self._playlist_log.write(PlaylistEntry(time.time(), mount.name, len(mount.fanout), title.text))

    def _hung_up(self, watched: Watched, failed: bool) -> None:
        mount, listener = watched
        grace = 0.0 if failed else self.config.limits.half_close_grace
        if grace:  # one that has really gone resets the connection at the next write
            self.group.spawn_later(grace, "half-closed", self._drop_half_closed, listener)
        else:
            mount.fanout.drop(listener, Reason.RESET if failed else Reason.CLOSED)

    def _drop_half_closed(self, listener: Listener) -> None:
        """It may have moved to another mount meanwhile."""
        for mount in self.mounts:
            if mount.fanout.get(listener.id) is listener:
                mount.fanout.drop(listener, Reason.CLOSED)

    def _listener_gone(self, mount: Mount, listener: Listener, reason: Reason) -> None:
        self.hangups.forget(listener.transport.fileno())
        self.admission.leave()
        if reason is Reason.SLOW:
            mount.slow_listeners += 1
            self.counters.slow_listeners += 1
        level = logging.INFO if reason in SINGLED_OUT else logging.DEBUG
        log.log(level, "> mount %s: listener %d (%s) %s", mount.name, listener.id, listener.identity.ip, reason.value)
        who = listener.identity
        self.log_access(
            AccessEntry(
                ip=who.ip,
                user=who.user,
                ended=time.time(),
                method=who.method,
                path=who.path,
                protocol=who.protocol,
                status=200,
                bytes_sent=mount.fanout.sent_to(listener),
                referer=who.referer,
                agent=who.user_agent,
                duration_s=time.monotonic() - listener.joined,
            )
        )


def _opened_anew(file: LogFile, old_path: str, path: str) -> LogFile:
    if path != old_path:
        return LogFile(path, hub_after)
    file.reopen()
    return file


def _close_replaced(old: LogFile, new: LogFile) -> None:
    if old is not new:
        old.close()
