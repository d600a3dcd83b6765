"""The address at which listeners reach this node, for playlists and statistics, and its name for other servers."""

import os
from functools import cached_property
from urllib.parse import urlsplit

from pycast.config.live import Live
from pycast.config.serving import first_serving


class OwnAddress:
    """The node's address. `port` serves listeners; it is that of the configuration until the node listens."""

    def __init__(self, settings: Live) -> None:
        self._settings = settings
        self.port = settings.now.listen[first_serving(settings.now, "listeners")].port

    @property
    def url(self) -> str:
        """The beginning of stream addresses: `server.public_url`, or `http://hostname:port`."""
        config = self._settings.now
        if config.server.public_url:
            return config.server.public_url
        scheme = "https" if config.listen[first_serving(config, "listeners")].is_tls_only else "http"
        return f"{scheme}://{config.server.hostname}:{self.port}"

    @property
    def plain(self) -> tuple[str, int] | None:
        """Host and port at which listeners are served without TLS; None if they are not."""
        parts = urlsplit(self.url)
        return (parts.hostname or "", parts.port or 80) if parts.scheme == "http" else None

    @cached_property
    def server(self) -> str:
        """What this server is called in `icy-relay-path`: all nodes of a cluster have one name."""
        config = self._settings.now
        if not config.is_clustered:
            return os.urandom(4).hex()
        from hashlib import blake2b

        return blake2b(config.cluster.name.encode(), digest_size=4, key=config.cluster.secret.encode()[:64]).hexdigest()
