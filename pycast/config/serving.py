"""Which of the configured ports to name to somebody who wants something of the server."""

from pycast.config.schema import Config


def first_shoutcast_mount(config: Config) -> str:
    """Returns the mount of the first SHOUTcast port; empty without one."""
    return next((listen.shoutcast_mount for listen in config.listen if listen.shoutcast_mount), "")


def first_serving(config: Config, kind: str) -> int:
    """Returns the index of the first [[listen]] section that serves `kind`, a word of `serves`; 0 if none does."""
    return next((index for index, listen in enumerate(config.listen) if kind in listen.serves), 0)
