"""An Icecast for the tests of other projects: `with Server() as server:` runs a streaming server on a free port.

For tests of an encoder, a player or an app that reads Icecast's status. The server is a process of its own; nothing of
it is imported into the test's process, so it works with any event loop and any monkey patching. `Cluster` is several
servers that act as one, for tests of what happens when a server dies.
`pycast.testing.plugin` has the pytest fixtures. The one invariant: when the `with` block ends, the process and its
files are gone.
"""

from pycast.testing.failures import (
    ListenTimeout,
    ServerDied,
    ServerRefused,
    ServerTimeout,
    StreamOver,
    StreamRefused,
)
from pycast.testing.server import Server
from pycast.testing.server_cluster import Cluster

__all__ = [
    "Cluster",
    "ListenTimeout",
    "Server",
    "ServerDied",
    "ServerRefused",
    "ServerTimeout",
    "StreamOver",
    "StreamRefused",
]
