"""An Icecast for other people's tests: `with Server() as server:` and there is a streaming server on a free port.

For whoever tests an encoder, a player or an app that reads Icecast's status. The server is a process of its own;
nothing of it is imported into the test's process, so it works beside any event loop and any monkey patching.
`Cluster` is several of them that are one, for tests of what happens when a server dies.
`pycast.testing.plugin` has the pytest fixtures. The one invariant: when the `with` block ends, the process and its
files are gone.
"""

from pycast.testing.server import Server, ServerDied, ServerTimeout
from pycast.testing.server_cluster import Cluster

__all__ = ["Cluster", "Server", "ServerDied", "ServerTimeout"]
