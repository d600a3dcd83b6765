"""The address at which listeners reach this node, for playlists and statistics."""

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
        scheme = "https" if config.listen[first_serving(config, "listeners")].tls else "http"
        return f"{scheme}://{config.server.hostname}:{self.port}"
