"""The relays of this node for an admin: what each does, and orders to it.

What makes relays (`relay/`) puts them here; this package does not know them. The one invariant: who asks gets what the
relays do at that moment.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # for an admin's page, not for the start
    from pycast.stats.snapshot import RelayLine

RelayOrder = Literal["enable", "disable", "restart"]

ORDERS: tuple[RelayOrder, ...] = ("enable", "disable", "restart")


class SteeredRelay(Protocol):
    """A relay, as it is steered. Its methods never switch."""

    def line(self) -> "RelayLine":
        """Returns what it does."""

    def obey(self, order: RelayOrder) -> None:
        """Begins to carry an order out."""


class RelayDesk:
    """The relays, by mount. Nothing in it switches."""

    def __init__(self) -> None:
        self._relays: dict[str, SteeredRelay] = {}

    def set(self, relays: Iterable[tuple[str, SteeredRelay]]) -> None:
        """Replaces the relays."""
        self._relays = dict(relays)

    def lines(self) -> "list[RelayLine]":
        """Returns what the relays do, by mount."""
        return [relay.line() for _, relay in sorted(self._relays.items())]

    def order(self, mount: str, order: RelayOrder) -> bool:
        """Gives an order to a relay. Returns whether there is one."""
        relay = self._relays.get(mount)
        if relay is not None:
            relay.obey(order)
        return relay is not None
