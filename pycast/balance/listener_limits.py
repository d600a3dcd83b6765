"""How many listeners the server takes in all, from one address, and for how much bandwidth.

Addresses are counted only while there is a limit for them. Those who are connected when a limit comes, or is lowered,
stay. Invariant: a listener that was admitted counts until it leaves, wherever it moves meanwhile.
"""

import logging
from collections import Counter
from collections.abc import Callable

from pycast.config.live import Live
from pycast.http.addresses import network_of
from pycast.logs.seldom import Seldom
from pycast.stats.counters import Counters
from pycast.stream.events import ListenerLeft
from pycast.stream.mount import Mount
from pycast.stream.mount_limits import RETRY_AFTER, NoRoom, rate_of
from pycast.stream.mounts import Mounts

log = logging.getLogger(__name__)


class TooManyFromAddress(NoRoom):
    """A listener whose address has too many already, whatever room there is."""


class ListenerLimits:
    """The limits of a node for listeners, besides those of each mount. Nothing in it switches."""

    def __init__(
        self,
        settings: Live,
        mounts: Mounts,
        counters: Counters,
        clock: Callable[[], float],
        elsewhere: Callable[[], int] = lambda: 0,
    ) -> None:
        """`elsewhere` returns how many listeners the other nodes have."""
        self._settings = settings
        self._mounts = mounts
        self._counters = counters
        self._seldom = Seldom(clock)
        self._elsewhere = elsewhere
        self._by_address: Counter[str] | None = None

    def admit(self, ip: str, mount: Mount, *, is_exempt: bool = False) -> None:
        """Counts a listener that is about to join `mount`. Raises NoRoom if there is a limit against it, unless it
        `is_exempt`.
        """
        limits = self._settings.now.limits
        if not is_exempt:
            self._check_room(mount)
        if limits.listeners_per_ip >= 0:
            addresses, address = self._addresses(), network_of(ip)
            if addresses[address] >= limits.listeners_per_ip and not is_exempt:
                raise TooManyFromAddress(
                    "too many listeners from your address",
                    status=503,
                    cause=f"{limits.listeners_per_ip} listeners from {address}",
                    headers=(RETRY_AFTER,),
                )
            addresses[address] += 1
        else:
            self._by_address = None

    def on_listener_left(self, event: ListenerLeft) -> None:
        """Counts a listener out."""
        if self._by_address is not None:
            address = network_of(event.listener.identity.ip)
            self._by_address[address] -= 1
            if self._by_address[address] <= 0:
                del self._by_address[address]

    def note(self, ip: str, refusal: NoRoom) -> None:
        """Counts and logs a listener that was refused, by its mount or here."""
        self._counters.listeners_over_limit += 1
        if count := self._seldom.due():
            log.info("! %s: no room for a listener: %s; refused since the last such line: %d", ip, refusal, count)

    def _check_room(self, mount: Mount) -> None:
        limits = self._settings.now.limits
        if 0 <= limits.max_listeners <= self._listeners():
            raise _no_room("max listeners reached", f"the server has its {limits.max_listeners} listeners")
        if limits.max_bandwidth and self._bandwidth() + rate_of(mount) > limits.max_bandwidth:
            raise _no_room("max bandwidth reached", f"the listeners need the {limits.max_bandwidth} bit/s already")

    def _listeners(self) -> int:
        return sum(len(mount.fanout) for mount in self._mounts) + self._elsewhere()

    def _bandwidth(self) -> float:
        return sum(len(mount.fanout) * rate_of(mount) for mount in self._mounts if len(mount.fanout))

    def _addresses(self) -> Counter[str]:
        if self._by_address is None:
            listeners = (listener for mount in self._mounts for listener in mount.fanout)
            self._by_address = Counter(network_of(one.identity.ip) for one in listeners)
        return self._by_address


def _no_room(public: str, cause: str) -> NoRoom:
    return NoRoom(public, status=503, cause=cause, headers=(RETRY_AFTER,))
