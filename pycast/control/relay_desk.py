"""The relays of this node for an admin: what each does, and orders to it.

What makes relays (`relay/`) puts them here; this package does not know them. Which of them are switched off is kept
here, as a relay may go and come again with a reload or the list of a master, and a process be replaced (`take`). The
one invariant: who asks gets what the relays do at that moment.
"""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

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


class RelayOrders(NamedTuple):
    """Which relays are switched off. Of two, the later one holds."""

    at: float = 0.0
    """When that was ordered, by the clock that all processes of a machine share; 0 for never."""
    off: tuple[str, ...] = ()
    """Their mounts."""

    def to_note(self) -> bytes:
        """Returns it as text for another process."""
        import json

        return json.dumps(self).encode()

    @classmethod
    def from_note(cls, note: bytes) -> "RelayOrders":
        """Reads what `to_note` has made; nothing is ordered in an empty text."""
        import json

        at, off = json.loads(note or b"[0, []]")
        return cls(at, tuple(off))


class RelayDesk:
    """The relays, by mount. Nothing in it switches."""

    def __init__(self) -> None:
        self.orders = RelayOrders()
        """What holds now."""
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
        if relay is None:
            return False
        relay.obey(order)
        off = {*self.orders.off} - {mount} | ({mount} if order == "disable" else set())
        self.orders = RelayOrders(time.monotonic(), tuple(sorted(off)))
        return True

    def is_off(self, mount: str) -> bool:
        """Whether a relay of this mount does nothing until it is switched on."""
        return mount in self.orders.off

    def take(self, orders: RelayOrders) -> None:
        """Carries out what was ordered in other processes of this server, if that is later than what holds here."""
        if orders.at <= self.orders.at:
            return
        before, self.orders = self.orders, orders
        for mount in {*before.off} ^ {*orders.off}:
            relay = self._relays.get(mount)
            if relay is not None:
                relay.obey("disable" if mount in orders.off else "enable")
