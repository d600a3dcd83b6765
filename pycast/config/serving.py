"""Which of the configured ports to name to somebody who wants something of the server."""

from pycast.config.schema import Config, ListenSection


def first_shoutcast_mount(config: Config) -> str:
    """Returns the mount of the first SHOUTcast port; empty without one."""
    return next((listen.shoutcast_mount for listen in config.listen if listen.shoutcast_mount), "")


def is_v6_only(config: Config, listen: ListenSection) -> bool:
    """Whether this section's IPv6 address has to leave IPv4 alone: another section has one of its ports there. Else
    "::" takes both.
    """
    return ":" in listen.bind_address and any(
        ":" not in other.bind_address and not _ports(listen).isdisjoint(_ports(other)) for other in config.listen
    )


def _ports(listen: ListenSection) -> set[int]:
    if not listen.port:
        return set()
    return {listen.port, listen.port + 1} if listen.shoutcast_mount else {listen.port}


def first_serving(config: Config, kind: str) -> int:
    """Returns the index of the first [[listen]] section that serves `kind`, a word of `serves`; 0 if none does."""
    return next((index for index, listen in enumerate(config.listen) if kind in listen.serves), 0)
