"""The number of an ownership: which node has a mount's source, and its place in the order of all owners.

Epochs of one mount are totally ordered and no two owners ever have the same one: `number` rises with each claim (etcd's
revision, or the highest number seen + 1 in a mesh), and the node's name decides between two claims that were made at
the same time. A higher epoch always wins, and no node accepts bytes of a lower one. The operator raises `generation`
after a registry was restored from an old backup, so that new epochs are higher than all earlier ones.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, order=True)
class Epoch:
    """An ownership's number, compared field by field. `rank` orders a provisional claim against a confirmed one: each
    driver has its own rule for it.
    """

    generation: int = 0
    number: int = 0
    rank: int = 0
    node: str = ""

    def __str__(self) -> str:
        return f"{self.generation}.{self.number}.{self.rank}.{self.node}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the epoch that `str` wrote. Raises ValueError."""
        generation, number, rank, node = text.split(".", 3)
        return cls(int(generation), int(number), int(rank), node)


NO_EPOCH = Epoch()
"""Lower than the epoch of any owner."""
