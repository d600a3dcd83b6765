"""The drain as an admin sees it: of the whole server, which is this process and the other workers of its parent."""

import logging
from dataclasses import replace

from pycast.balance.drain import Drain
from pycast.balance.drain_plan import DrainState, Progress
from pycast.cluster.link.questions import DrainCommand, DrainOrder, DrainReport
from pycast.cluster.member import ClusterMember

log = logging.getLogger(__name__)

ASK_S = 1.0


class WorkerDrain:
    """Begins, cancels and shows the drain of all workers."""

    def __init__(self, drain: Drain, cluster: ClusterMember) -> None:
        self._drain = drain
        self._cluster = cluster

    def begin(self, *, now: bool = False) -> None:
        """May switch."""
        self._drain.begin(now=now)
        self._ask(DrainOrder.NOW if now else DrainOrder.BEGIN)

    def cancel(self) -> None:
        """May switch."""
        self._drain.cancel()
        self._ask(DrainOrder.CANCEL)

    def progress(self) -> Progress:
        """Of all together: the one that is furthest behind says where it is. May switch."""
        own = self._drain.progress()
        for other in self._ask(DrainOrder.LOOK):
            states = list(DrainState)
            own = replace(
                own,
                state=min(own.state, other.state, key=states.index),
                listeners=own.listeners + other.listeners,
                of=own.of + other.of,
                next_s=max(own.next_s, other.next_s),
                deadline_s=max(own.deadline_s, other.deadline_s),
            )
        return own

    def on_command(self, command: DrainCommand) -> DrainReport:
        """Does to this worker's drain what an admin ordered at another one, and tells how far it is."""
        match command.order:
            case DrainOrder.BEGIN:
                self._drain.begin()
            case DrainOrder.NOW:
                self._drain.begin(now=True)
            case DrainOrder.CANCEL:
                self._drain.cancel()
        own = self._drain.progress()
        return DrainReport(own.state.value, own.listeners, own.of, own.next_s, own.deadline_s)

    def _ask(self, order: DrainOrder) -> list[Progress]:
        """What the other workers say of their drains."""
        siblings = [node.address for node in self._cluster.siblings()]
        reports = self._cluster.rpc.call_all(siblings, DrainCommand(order), ASK_S).values()
        return [progress for report in reports if (progress := _maybe_progress(report)) is not None]


def _maybe_progress(report: DrainReport) -> Progress | None:
    """None: its state is of a newer worker, and not known here."""
    try:
        state = DrainState(report.state)
    except ValueError:
        log.warning("another worker's drain is in an unknown state: %.80r", report.state)
        return None
    return Progress(state, report.listeners, report.of, report.next_s, report.deadline_s)
