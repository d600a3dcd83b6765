"""What relays do is asked of them at that moment, and orders go to the right one."""

from pycast.control.relay_desk import RelayDesk, RelayOrder, RelayOrders
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


def test_which_relays_are_off_is_known_whether_they_are_there_or_not() -> None:
    desk, one, other = RelayDesk(), Relay("/b"), Relay("/a")
    desk.set([("/b", one), ("/a", other)])
    for mount in ("/b", "/a"):
        desk.order(mount, "disable")
    desk.set([])
    assert desk.is_off("/a") and desk.is_off("/b") and not desk.is_off("/c")
    desk.set([("/b", one), ("/a", other)])
    desk.order("/a", "restart")
    desk.order("/b", "enable")
    assert not (desk.is_off("/a") or desk.is_off("/b"))


def test_orders_of_another_process_are_carried_out_if_they_are_later() -> None:
    desk, one, other = RelayDesk(), Relay("/b"), Relay("/a")
    desk.set([("/b", one), ("/a", other)])
    desk.order("/b", "disable")
    later = desk.orders.at + 1
    desk.take(RelayOrders(later - 2, ()))
    assert desk.is_off("/b") and one.orders == ["disable"]
    desk.take(RelayOrders.from_note(RelayOrders(later, ("/a", "/none")).to_note()))
    assert (one.orders, other.orders) == (["disable", "enable"], ["disable"])
    assert desk.orders == RelayOrders(later, ("/a", "/none")) and not desk.is_off("/b")
    assert RelayOrders.from_note(b"") == RelayOrders() < desk.orders
