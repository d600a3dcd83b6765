"""Which epoch the bytes of a mount belong to, and where a mirror that comes back goes on. Pure.

Offsets are counted through all epochs of a mount: an epoch's first byte has the offset at which the one before ended.
So "epoch E up to offset O" names a byte in the same way on every node, and two nodes that agree on that have the same
bytes before it. A mirror that had more of an epoch than what was agreed to be its end has bytes that nobody else has:
it cannot go on, it has to jump.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from pycast.cluster.registry.epoch import NO_EPOCH, Epoch


@dataclass(frozen=True, slots=True)
class Lineage:
    """Epochs of a mount with the offset of their first byte, oldest first; both rise."""

    entries: tuple[tuple[Epoch, int], ...] = ()

    @property
    def newest(self) -> Epoch:
        """The present one."""
        return self.entries[-1][0] if self.entries else NO_EPOCH

    def with_epoch(self, epoch: Epoch, base: int) -> Self:
        """This one, and from `base` on a new epoch. What had begun at or after `base` has no bytes, and goes."""
        kept = tuple(entry for entry in self.entries if entry[1] < base and entry[0] < epoch)
        return type(self)((*kept, (epoch, base)))

    def end_of(self, epoch: Epoch) -> int | None:
        """Where the bytes of an epoch end; None for the present one. Raises KeyError for one that is not in it."""
        for index, (one, _) in enumerate(self.entries):
            if one == epoch:
                return self.entries[index + 1][1] if index + 1 < len(self.entries) else None
        raise KeyError(epoch)

    def agrees(self, epoch: Epoch, offset: int) -> bool:
        """Whether a mirror that has all up to `offset`, the last of it in `epoch`, has the bytes that we have."""
        try:
            end = self.end_of(epoch)
        except KeyError:
            # Of another past than ours: it agrees if it ends exactly where ours begins.
            return bool(self.entries) and epoch < self.entries[0][0] and offset == self.entries[0][1]
        return end is None or offset <= end

    def to_json(self) -> list[list[object]]:
        """Its JSON."""
        return [[str(epoch), base] for epoch, base in self.entries]

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Raises ValueError."""
        if not isinstance(data, list):
            raise ValueError("a lineage is a list")
        entries = tuple((Epoch.parse(str(epoch)), int(base)) for epoch, base in data)
        rise = all(one[0] < next[0] and one[1] < next[1] for one, next in pairwise(entries))
        if not entries or not rise:
            raise ValueError("a lineage's epochs and offsets rise")
        return cls(entries)


class Lineages:
    """The lineages of this node's mounts."""

    def __init__(self) -> None:
        self._by_mount: dict[str, Lineage] = {}

    def get(self, mount: str) -> Lineage:
        """Empty for a mount that has none."""
        return self._by_mount.get(mount, _NONE)

    def put(self, mount: str, lineage: Lineage) -> None:
        """From now on."""
        self._by_mount[mount] = lineage

    def forget(self, mount: str) -> None:
        """The mount is over."""
        self._by_mount.pop(mount, None)


_NONE = Lineage()
