"""Under which address listeners reach this node, as playlists and statistics say it."""

from pycast.config.live import Live


class OwnAddress:
    """The node's address. `port` is the first listening port as bound: assembly sets it when the node listens."""

    def __init__(self, settings: Live) -> None:
        self._settings = settings
        self.port = settings.now.listen[0].port

    @property
    def url(self) -> str:
        """What stream addresses begin with: `http://hostname:port`."""
        config = self._settings.now
        scheme = "https" if config.listen[0].tls else "http"
        return f"{scheme}://{config.server.hostname}:{self.port}"
