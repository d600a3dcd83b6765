"""The parts of the node that the handlers of `web` need: a record, made once by `app/assembly.py`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from pycast.auth.guests import Guests
from pycast.auth.logins import Logins
from pycast.auth.source_logins import SourceLogins
from pycast.balance.drain import Drain
from pycast.balance.readiness import Readiness
from pycast.config.live import Live
from pycast.control.control import Control
from pycast.control.mount_finder import MountFinder
from pycast.control.own_address import OwnAddress
from pycast.control.title_history import TitleHistory
from pycast.stats.counters import Counters
from pycast.web.shared_pages import SharedPages

if TYPE_CHECKING:  # it needs the questions to other nodes, which a node alone does not load
    from pycast.balance.worker_drain import WorkerDrain


class Site(NamedTuple):
    """The parts of the node that web handlers use."""

    settings: Live
    counters: Counters
    logins: Logins
    sources: SourceLogins
    guests: Guests
    address: OwnAddress
    readiness: Readiness
    finder: MountFinder
    local: Control
    """This node alone."""
    drain: "Drain | WorkerDrain"
    """The drain of this node, in a cluster that of all workers of this server."""
    cluster_wide: Control
    """All nodes as one server; the same as `local` without a cluster."""
    pages: SharedPages
    history: TitleHistory
    ask_for_reload: Callable[[], None]
    """Has the configuration read again soon, by all workers of this server."""
    recent_lines: Callable[[str], list[bytes]]
    """Returns the last lines of the log of that name ("error", "access", "playlist"), if it is no file."""
