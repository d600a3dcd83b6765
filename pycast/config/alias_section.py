"""Aliases: other paths for streams, pages and files, as in Icecast. A request for the one is answered as one for the
other; log lines have the path that was asked for.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from pycast.config.section import Section, key
from pycast.config.values import MaybeMountName, Text, Whole

# An address of IPv4 on a socket of IPv6.
_MAPPED = "::ffff:"


class AliasSection(Section):
    """Another path for a stream, a page or a file, for GET and HEAD only. Repeat the section for more."""

    source: MaybeMountName = key("", "The path that is asked for, exactly.", example="/listen")
    destination: MaybeMountName = key(
        "", "The path that is answered instead.", example="/live.mp3", icecast=("destination", "dest")
    )
    port: Whole = key(0, "Only for requests that come in through this port. 0: through any.", ge=0, le=65535)
    bind_address: Text = key("", "Only for requests that reach the server at this address. Empty: at any.")

    def holds_at(self, address: str, port: int) -> bool:
        """Whether it is for requests that reach the server there."""
        if self.port and self.port != port:
            return False
        return not self.bind_address or _same(self.bind_address, address)


def by_source(aliases: Iterable[AliasSection]) -> Mapping[str, tuple[AliasSection, ...]]:
    """Returns the aliases of each path, in the order of the file."""
    found: dict[str, list[AliasSection]] = defaultdict(list)
    for one in aliases:
        found[one.source].append(one)
    return {source: tuple(ones) for source, ones in found.items()}


def _same(one: str, other: str) -> bool:
    try:
        return ip_address(one.removeprefix(_MAPPED)) == ip_address(other.removeprefix(_MAPPED))
    except ValueError:
        return one == other
