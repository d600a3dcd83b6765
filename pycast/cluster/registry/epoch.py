"""The number of an ownership: who has a mount's source, and since when in the order of all owners.

Epochs of one mount are totally ordered and no two owners ever have the same one: `number` rises with each claim (etcd's
revision, or the highest number seen + 1 in a mesh), and the node's name decides between two claims that were made at
the same time. A higher epoch always wins, and nobody takes a byte of a lower one. `generation` is raised by the
operator when a registry was restored from an old backup, so that what follows is higher than what was.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, order=True)
class Epoch:
    """Compared field by field. `rank` orders a claim that could not be confirmed against one that was, see the
    drivers."""

    generation: int = 0
    number: int = 0
    rank: int = 0
    node: str = ""

    def __str__(self) -> str:
        return f"{self.generation}.{self.number}.{self.rank}.{self.node}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The epoch that `str` wrote. Raises ValueError."""
        generation, number, rank, node = text.split(".", 3)
        return cls(int(generation), int(number), int(rank), node)


NO_EPOCH = Epoch()
"""Lower than that of any owner."""
