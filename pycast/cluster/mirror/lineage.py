"""The epoch to which each byte of a mount belongs, and so where a mirror that comes back may resume. Pure.

Offsets run through all epochs of a mount: an epoch's first byte has the offset at which the epoch before it ended. So
"epoch E up to offset O" means the same byte on every node, and two nodes that agree on it have the same bytes before
it. A mirror that has bytes of an epoch after the offset at which that epoch ended has bytes that no other node has: it
cannot resume and has to jump.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from pycast.cluster.registry.epoch import NO_EPOCH, Epoch


@dataclass(frozen=True, slots=True)
class Lineage:
    """The epochs of a mount with the offset of their first byte, oldest first; both rise."""

    entries: tuple[tuple[Epoch, int], ...] = ()

    @property
    def newest(self) -> Epoch:
        """The present epoch; `NO_EPOCH` if there is none."""
        return self.entries[-1][0] if self.entries else NO_EPOCH

    def with_epoch(self, epoch: Epoch, base: int) -> Self:
        """Returns this lineage with a new epoch from `base` on. Epochs that begin at or after `base` have no bytes, and
        are left out.
        """
        kept = tuple(entry for entry in self.entries if entry[1] < base and entry[0] < epoch)
        return type(self)((*kept, (epoch, base)))

    def end_of(self, epoch: Epoch) -> int | None:
        """Returns the offset at which an epoch ends; None for the present one. Raises KeyError for an unknown one."""
        for index, (one, _) in enumerate(self.entries):
            if one == epoch:
                return self.entries[index + 1][1] if index + 1 < len(self.entries) else None
        raise KeyError(epoch)

    def known_at(self, offset: int) -> Epoch:
        """Returns the epoch of the last byte before `offset`, by which another node tells whether it has the same ones.
        Of a newer one this node has none: its owner may be gone before the first, or before the rest of what comes
        before that, and whoever claims the mount then has the same bytes, but has never heard of it.
        """
        if not self.entries:
            return NO_EPOCH
        return next((epoch for epoch, base in reversed(self.entries) if base < offset), self.entries[0][0])

    def first_after(self, epoch: Epoch) -> int:
        """Returns the offset of the first byte of a later epoch than `epoch`; 0 if there is none."""
        return next((base for one, base in self.entries if one > epoch), 0)

    def begins_after(self, epoch: Epoch, offset: int) -> bool:
        """Whether a mirror that has everything before `offset`, up to `epoch`, has it from before this lineage: it has
        no other bytes than this node, and lacks some.
        """
        return bool(self.entries) and epoch < self.entries[0][0] and offset < self.entries[0][1]

    def agrees(self, epoch: Epoch, offset: int) -> bool:
        """Whether a mirror that has everything before `offset`, up to `epoch`, has the same bytes as this node."""
        try:
            end = self.end_of(epoch)
        except KeyError:
            # An epoch that is not in this lineage: it agrees if the mirror ends exactly where the lineage begins.
            return bool(self.entries) and epoch < self.entries[0][0] and offset == self.entries[0][1]
        return end is None or offset <= end

    @classmethod
    def of(cls, entries: Iterable[tuple[Epoch, int]]) -> Self:
        """Returns the lineage with these entries. Raises ValueError unless they rise."""
        made = tuple(entries)
        rise = all(one[0] < next[0] and one[1] < next[1] for one, next in pairwise(made))
        if not made or not rise:
            raise ValueError("a lineage's epochs and offsets rise")
        return cls(made)


class Lineages:
    """The lineages of this node's mounts."""

    def __init__(self) -> None:
        self._by_mount: dict[str, Lineage] = {}

    def get(self, mount: str) -> Lineage:
        """Returns the mount's lineage, empty if it has none."""
        return self._by_mount.get(mount, _NONE)

    def put(self, mount: str, lineage: Lineage) -> None:
        self._by_mount[mount] = lineage

    def forget(self, mount: str) -> None:
        self._by_mount.pop(mount, None)


_NONE = Lineage()
