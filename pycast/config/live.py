"""The configuration in force: one handle for everybody who reads live settings.

A `Config` is frozen, so a reload makes a new one and puts it here. Whoever needs a setting reads `settings.now` when it
needs it, and keeps neither the `Config` nor the value. Keys that are read once at the start are marked in schema.py.
"""

from pycast.config.schema import Config


class Live:
    """Holds the configuration in force as `now`."""

    def __init__(self, config: Config) -> None:
        self._now = config

    @property
    def now(self) -> Config:
        """The configuration in force."""
        return self._now

    def replace(self, config: Config) -> None:
        """Puts another configuration in force."""
        self._now = config
