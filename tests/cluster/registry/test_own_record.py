"""A node's own record tells two processes of one name apart, and gives its listeners numbers of its own."""

from dataclasses import replace

from pycast.cluster.registry.own_record import OwnRecord


def named(name: str) -> OwnRecord:
    own = OwnRecord()
    own.now = replace(own.now, node=name)
    return own


def test_each_process_has_a_boot_of_its_own() -> None:
    assert len({OwnRecord().now.boot for _ in range(100)}) == 100


def test_before_it_has_joined_it_has_no_name() -> None:
    assert (OwnRecord().now.node, OwnRecord().now.address) == ("", "")


def test_the_number_follows_from_the_name_alone() -> None:
    assert named("a").number == named("a").number != named("b").number


def test_a_listeners_id_with_it_is_exact_as_a_floating_number() -> None:
    numbers = [named(f"10.0.{one // 250}.{one % 250}:8000").number for one in range(1000)]
    assert max(numbers) < 1 << 20  # with 32 bits for the listener this is below 2**53
    assert len(set(numbers)) > 990
