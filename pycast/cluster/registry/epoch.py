"""The number of an ownership: which node has a mount's source, and its place in the order of all owners.

Epochs of one mount are totally ordered and no two owners ever have the same one: `number` rises with each claim (etcd's
revision, or the highest number seen + 1 in a mesh), and the node's name decides between two claims that were made at
the same time. A higher epoch always wins, and no node accepts bytes of a lower one. The operator raises `generation`
after a registry was restored from an old backup, so that new epochs are higher than all earlier ones.
"""

import re
from dataclasses import dataclass
from typing import Self

from pycast.patterns import pattern

# Numbers are as long as this at most, and a single message can add little to them (`ClusterState.check`), so that
# nobody can use them up.
_DIGITS = 36
_TEXT = pattern(rf"([0-9]{{1,{_DIGITS}}})\.([0-9]{{1,{_DIGITS}}})\.([0-9]{{1,9}})\.(.*)", re.DOTALL)


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
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f"expected an epoch, not {text[:60]!r}")
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4])


class Ceiling:
    """The highest numbers of an epoch that are possible, over all mounts.

    Numbers rise by one with each claim, or follow etcd's revisions. One that is far above all that were seen is an
    error, and if it were believed, the next claims would have to be above it: so a single message could use up all
    numbers there are. It is refused, and raises the ceiling by a step all the same: should all the others be there by
    now, they are believed soon.
    """

    # More claims than a mesh makes in its life, and more writes than etcd makes while a node is away.
    STEP = 1 << 40
    GENERATION_STEP = 1000

    def __init__(self) -> None:
        self._number = self.STEP
        self._generation = self.GENERATION_STEP

    def check(self, epoch: Epoch) -> None:
        """Raises ValueError for an epoch that is not possible."""
        if epoch.number > self._number or epoch.generation > self._generation:
            self._number += self.STEP if epoch.number > self._number else 0
            self._generation += self.GENERATION_STEP if epoch.generation > self._generation else 0
            raise ValueError(f"an epoch far above all others: {str(epoch)[:60]}")

    def see(self, epoch: Epoch) -> None:
        """Notes an epoch that exists."""
        self._number = max(self._number, epoch.number + self.STEP)
        self._generation = max(self._generation, epoch.generation + self.GENERATION_STEP)


NO_EPOCH = Epoch()
"""Lower than the epoch of any owner."""
