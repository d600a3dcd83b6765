"""The drain as an admin sees it: of the whole server, which is this process and the other workers of its parent."""

from dataclasses import replace

from pycast.balance.drain import Drain
from pycast.balance.drain_plan import DrainState, Progress
from pycast.cluster.link.rpc import Message
from pycast.cluster.member import ClusterMember

ASK_S = 1.0


class WorkerDrain:
    """Begins, cancels and shows the drain of all workers."""

    def __init__(self, drain: Drain, cluster: ClusterMember | None) -> None:
        self._drain = drain
        self._cluster = cluster

    def begin(self, *, now: bool = False) -> None:
        """May switch."""
        self._drain.begin(now=now)
        self._ask("now" if now else "begin")

    def cancel(self) -> None:
        """May switch."""
        self._drain.cancel()
        self._ask("cancel")

    def progress(self) -> Progress:
        """Of all together: the one that is furthest behind says where it is. May switch."""
        own = self._drain.progress()
        for answer in self._ask("look"):
            try:
                other = Progress(
                    DrainState(answer["state"]),
                    int(answer["listeners"]),
                    int(answer["of"]),
                    float(answer["next_s"]),
                    float(answer["deadline_s"]),
                )
            except (KeyError, ValueError, TypeError):
                continue
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

    def on_question(self, message: Message) -> Message:
        match message["do"]:
            case "begin":
                self._drain.begin()
            case "now":
                self._drain.begin(now=True)
            case "cancel":
                self._drain.cancel()
        own = self._drain.progress()
        return {
            "state": own.state.value,
            "listeners": own.listeners,
            "of": own.of,
            "next_s": own.next_s,
            "deadline_s": own.deadline_s,
        }

    def _ask(self, what: str) -> list[Message]:
        siblings = [node.address for node in self._cluster.siblings()] if self._cluster else []
        if not siblings or self._cluster is None:
            return []
        return list(self._cluster.rpc.call_all(siblings, "server.drain", {"do": what}, ASK_S).values())
