"""What relays do is asked of them at that moment, and orders go to the right one."""

from pycast.control.relay_desk import RelayDesk, RelayOrder
from pycast.stats.snapshot import RelayLine


class Relay:
    def __init__(self, mount: str) -> None:
        self.mount = mount
        self.orders: list[str] = []

    def line(self) -> RelayLine:
        return RelayLine(self.mount, False, (), str(len(self.orders)))

    def obey(self, order: RelayOrder) -> None:
        self.orders.append(order)


def test_orders_reach_the_relay_of_that_mount_only() -> None:
    desk, one, other = RelayDesk(), Relay("/b"), Relay("/a")
    desk.set([("/b", one), ("/a", other)])
    assert desk.order("/b", "restart") and not desk.order("/c", "restart")
    assert [(line.mount, line.state) for line in desk.lines()] == [("/a", "0"), ("/b", "1")]
    desk.set([])
    assert desk.lines() == [] and not desk.order("/b", "enable")
