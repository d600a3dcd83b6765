"""Who asks for a mount that is fed on demand wakes its source, and waits no longer than that takes."""

import gevent

from pycast.control.on_demand import OnDemand
from pycast.net.group import Group
from tests.control.stage import stage


def test_who_asks_wakes_the_source_and_counts_until_it_is_decided() -> None:
    on_demand, woken = OnDemand(), []
    on_demand.add("/a", lambda: woken.append(on_demand.waiting("/a")))
    asking = Group().spawn("asks", on_demand.start, "/a")
    gevent.sleep(0)
    assert (woken, on_demand.waiting("/a"), asking.ready()) == ([1], 1, False)
    on_demand.decided("/a")
    asking.join(5)
    assert asking.ready() and on_demand.waiting("/a") == 0


def test_who_waits_goes_on_when_the_mount_is_no_longer_one() -> None:
    on_demand = OnDemand()
    on_demand.add("/a", lambda: None)
    asking = Group().spawn("asks", on_demand.start, "/a")
    gevent.sleep(0)
    on_demand.remove("/a")
    asking.join(5)
    assert asking.ready() and "/a" not in on_demand and on_demand.waiting("/a") == 0
    on_demand.start("/a")
    on_demand.decided("/a")
    on_demand.remove("/a")


def test_mount_on_demand_is_found_when_its_source_has_come() -> None:
    with stage('[[mount]]\nmount_name = "/x"\nfallback_mount = "/a"\n') as node:

        def begin() -> None:
            node.begin("/a")
            node.on_demand.decided("/a")

        node.on_demand.add("/a", begin)
        assert node.finder.may_be_heard("/a") and list(node.on_demand) == ["/a"]
        found = node.finder.find("/x")  # as a fallback, too
        assert found is not None and found.name == "/a"
        node.on_demand.add("/a", lambda: 1 / 0)
        assert node.finder.find("/a") is found  # it has its source: nobody is woken


def test_a_path_rests_while_who_asks_for_it_would_wake_a_source() -> None:
    with stage('[[mount]]\nmount_name = "/x"\nfallback_mount = "/a"\n') as node:
        node.on_demand.add("/a", lambda: None)
        assert node.finder.is_resting("/x") and node.finder.is_resting("/a") and not node.finder.is_resting("/b")
        node.begin("/x")
        assert node.finder.is_resting("/a") and not node.finder.is_resting("/x")
        node.begin("/a")
        assert not node.finder.is_resting("/a")
