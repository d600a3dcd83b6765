"""A lineage tells whether two nodes have the same bytes; compared with a model that has the bytes."""

from random import Random

import pytest

from pycast.cluster.mirror.lineage import Lineage, Lineages
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch


def epoch(number: int) -> Epoch:
    return Epoch(0, number, 1, "n")


THREE = Lineage().with_epoch(epoch(1), 0).with_epoch(epoch(3), 100).with_epoch(epoch(4), 250)


def test_epochs_follow_each_other() -> None:
    assert Lineage().newest == NO_EPOCH
    assert THREE.newest == epoch(4)
    assert [THREE.end_of(epoch(number)) for number in (1, 3, 4)] == [100, 250, None]
    with pytest.raises(KeyError):
        THREE.end_of(epoch(2))


@pytest.mark.parametrize(("offset", "number"), [(0, 1), (100, 1), (101, 3), (249, 3), (250, 3), (251, 4), (9_999, 4)])
def test_a_node_is_known_by_the_epoch_of_its_last_byte(offset: int, number: int) -> None:
    assert THREE.known_at(offset) == epoch(number)


def test_a_node_of_one_epoch_is_known_by_it() -> None:
    assert Lineage().known_at(0) == NO_EPOCH
    assert Lineage().with_epoch(epoch(3), 100).known_at(100) == epoch(3)


@pytest.mark.parametrize(
    ("known", "offset"), [(NO_EPOCH, 0), (epoch(1), 100), (epoch(2), 100), (epoch(3), 250), (epoch(4), 0)]
)
def test_later_epochs_begin_at_one_offset(known: Epoch, offset: int) -> None:
    assert THREE.first_after(known) == offset


def test_an_epoch_without_bytes_is_not_kept() -> None:
    assert Lineage().with_epoch(epoch(1), 0).with_epoch(epoch(2), 0).entries == ((epoch(2), 0),)


@pytest.mark.parametrize(
    ("number", "offset", "agrees"),
    [
        (1, 50, True),
        (1, 100, True),
        (1, 101, False),  # it has bytes after the end of the epoch
        (3, 250, True),
        (3, 251, False),
        (4, 250, True),
        (4, 10_000, True),  # ahead of us, in the present epoch
        (2, 100, False),
        (5, 300, False),
    ],
)
def test_a_mirror_agrees_up_to_where_its_epoch_ended(number: int, offset: int, agrees: bool) -> None:
    assert THREE.agrees(epoch(number), offset) is agrees


def test_a_mirror_of_an_older_epoch_agrees_if_it_ends_where_ours_begins() -> None:
    lineage = Lineage().with_epoch(epoch(3), 100)
    assert lineage.agrees(epoch(1), 100)
    assert not lineage.agrees(epoch(1), 99)
    assert not Lineage().agrees(epoch(1), 0)


def test_a_mirror_that_lacks_what_comes_before_our_first_epoch_is_behind() -> None:
    lineage = Lineage().with_epoch(epoch(3), 100)
    assert lineage.begins_after(epoch(1), 99)
    assert not lineage.begins_after(epoch(1), 100) and not lineage.begins_after(epoch(3), 99)
    assert not Lineage().begins_after(epoch(1), 0)


def test_two_histories_agree_only_where_their_bytes_do() -> None:
    rng = Random(3)
    for _ in range(300):
        lineage, base = Lineage(), 0
        spans: list[tuple[Epoch, int, int]] = []  # the bytes of the node: for each epoch from and to
        for number in range(1, rng.randint(2, 6)):
            lineage = lineage.with_epoch(epoch(number), base)
            end = base + rng.randint(1, 50)
            spans.append((epoch(number), base, end))
            base = end
        for one, begun, end in spans[:-1]:
            for offset in range(begun + 1, end + 10):
                assert lineage.agrees(one, offset) is (offset <= end)


def test_a_lineage_is_made_of_its_entries() -> None:
    assert Lineage.of(THREE.entries) == THREE


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [(epoch(2), 0), (epoch(1), 5)],
        [(epoch(1), 5), (epoch(2), 0)],
        [(epoch(1), 5), (epoch(1), 6)],
        [(epoch(1), 5), (epoch(2), 5)],
    ],
)
def test_a_lineage_that_does_not_rise_is_refused(entries: list[tuple[Epoch, int]]) -> None:
    with pytest.raises(ValueError, match="rise"):
        Lineage.of(entries)


def test_a_mount_that_is_over_has_no_lineage() -> None:
    lineages = Lineages()
    assert lineages.get("/x") == Lineage()
    lineages.put("/x", THREE)
    assert lineages.get("/x") == THREE
    lineages.forget("/x")
    lineages.forget("/x")
    assert lineages.get("/x") == Lineage()
