"""The address at which listeners reach this node, for playlists and statistics."""

from pycast.config.live import Live


class OwnAddress:
    """The node's address. `port` is that of the configuration until the node listens, then the first port as bound."""

    def __init__(self, settings: Live) -> None:
        self._settings = settings
        self.port = settings.now.listen[0].port

    @property
    def url(self) -> str:
        """The beginning of stream addresses, `http://hostname:port`."""
        config = self._settings.now
        scheme = "https" if config.listen[0].tls else "http"
        return f"{scheme}://{config.server.hostname}:{self.port}"
