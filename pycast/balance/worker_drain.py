"""The drain of the whole server as an admin sees it: of this process and of the other workers of its parent.

It is used in a cluster only; for a node alone, `Drain` is the drain of the server. A worker that does not answer within
`ASK_S` is left out.
"""

import logging

from pycast.balance.drain import Drain
from pycast.balance.drain_plan import DrainState, Progress
from pycast.cluster.link.admin_answers import DrainOrder, DrainReport
from pycast.cluster.link.questions import DrainCommand
from pycast.cluster.member import ClusterMember

log = logging.getLogger(__name__)

ASK_S = 1.0


class WorkerDrain:
    """The drain of all workers of this server."""

    def __init__(self, drain: Drain, cluster: ClusterMember) -> None:
        self._drain = drain
        self._cluster = cluster

    def begin(self, *, now: bool = False) -> None:
        """Starts the drain of all workers, without the lead if `now`. May switch."""
        self._drain.begin(now=now)
        self._ask(DrainOrder.NOW if now else DrainOrder.BEGIN)

    def cancel(self) -> None:
        """Cancels the drain of all workers. May switch."""
        self._drain.cancel()
        self._ask(DrainOrder.CANCEL)

    def progress(self) -> Progress:
        """Returns the progress of all workers: the sum of their listeners, and the least advanced state. May switch."""
        own = self._drain.progress()
        for other in self._ask(DrainOrder.LOOK):
            states = list(DrainState)
            own = own._replace(
                state=min(own.state, other.state, key=states.index),
                listeners=own.listeners + other.listeners,
                of=own.of + other.of,
                next_s=max(own.next_s, other.next_s),
                deadline_s=max(own.deadline_s, other.deadline_s),
            )
        return own

    def on_command(self, command: DrainCommand) -> DrainReport:
        """Carries out an admin's order that another worker received. Returns the progress of this worker's drain."""
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
        """Sends `order` to the other workers. Returns the progress that they report. May switch."""
        siblings = [node.address for node in self._cluster.siblings()]
        reports = self._cluster.rpc.call_all(siblings, DrainCommand(order), ASK_S).values()
        return [progress for report in reports if (progress := _maybe_progress(report)) is not None]


def _maybe_progress(report: DrainReport) -> Progress | None:
    """Returns None if the state is unknown here: it may be one of a newer version."""
    try:
        state = DrainState(report.state)
    except ValueError:
        log.warning("another worker's drain is in an unknown state: %.80r", report.state)
        return None
    return Progress(state, report.listeners, report.of, report.next_s, report.deadline_s)
