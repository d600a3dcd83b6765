"""The interface of an admin's questions and orders, for this node (`NodeControl`) or all nodes (`ClusterControl`)."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pycast.control.relay_desk import RelayOrder
    from pycast.stats.snapshot import ListenerSnapshot, NodeEvents, NodeSnapshot, RelayLine


class Control(Protocol):
    """Questions and orders. All methods may switch."""

    def snapshot(self) -> "NodeSnapshot":
        """Returns the current statistics."""

    def workers(self) -> "Sequence[NodeSnapshot]":
        """Returns the current statistics of each worker of this server, this process first."""

    def knows(self, mount: str) -> bool:
        """Whether there is such a mount."""

    def listeners(self, mount: str) -> "Sequence[ListenerSnapshot]":
        """Returns the mount's listeners."""

    def kill(self, mount: str, id: int) -> bool:
        """Ends a listener's connection. Returns whether it was there."""

    def kill_source(self, mount: str) -> bool:
        """Ends a mount's source. Returns whether there was one."""

    def set_title(self, mount: str, artist: str, title: str, url: str, sender: str = "") -> bool:
        """Sets the title. Returns whether the stream takes titles. `sender` is the address of the encoder that asks: if
        its source stands by, it is the title of that one. Empty: it is that of the source on the air.
        """

    def set_fallback(self, mount: str, fallback: str) -> None:
        """Puts a fallback in place of the configured one, until the mount has another source."""

    def reset_stats(self, mount: str, counts: Collection[str]) -> None:
        """Has some of a mount's statistics counted anew: the "peak" of its listeners, the bytes "read" and "sent"."""

    def add_slave(self, host: str, port: int, interval_s: int) -> None:
        """Remembers a server that takes listeners for whom there is no room."""

    def relays(self) -> "Sequence[RelayLine]":
        """Returns what the relays do."""

    def events(self, marks: Mapping[str, int]) -> "Sequence[NodeEvents]":
        """Returns what has happened on each node since the marks, which are numbers by the names of processes."""

    def order_relay(self, mount: str, order: "RelayOrder") -> bool:
        """Gives an order to the relay of a mount. Returns whether there is one."""

    def move(self, mount: str, to: str) -> int:
        """Moves a mount's listeners to another mount for good. Returns how many. Raises Refused."""
