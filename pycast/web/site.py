"""What the web's handlers need of the node: a record, made once by `app/assembly.py`."""

from dataclasses import dataclass

from pycast.balance.readiness import Readiness
from pycast.balance.worker_drain import WorkerDrain
from pycast.config.live import Live
from pycast.control.control import Control
from pycast.control.mount_finder import MountFinder
from pycast.control.own_address import OwnAddress
from pycast.stats.counters import Counters


@dataclass(frozen=True, slots=True)
class Site:
    """The node as the web sees it."""

    settings: Live
    counters: Counters
    address: OwnAddress
    readiness: Readiness
    finder: MountFinder
    drain: WorkerDrain
    local: Control
    """This node alone."""
    cluster_wide: Control
    """All nodes as one server; the same as `local` for a node alone."""
