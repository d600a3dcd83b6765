"""An etcd in memory, with the methods of `EtcdClient`: guarded writes, leases, and answers that get lost.

The real etcd is in tests/cluster/etcd_server.py. Invariant: each write has a revision of its own.
"""

from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from pycast.cluster.etcd.client import EtcdUnreachable, LeaseGone, Outcome, Range
from pycast.cluster.etcd.etcd_records import Entry

Json = dict[str, Any]


def text(value: str) -> str:
    return b64decode(value).decode()


class MemoryEtcd:
    """An etcd of one member. `is_away`: it does not answer. `loses`: how many answers get lost after the call."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.leases: dict[int, float] = {}
        self.revision = 1
        self.is_away = False
        self.loses = 0
        self.is_closed = False
        self.is_watch_suspect = False
        self._granted = 100

    def __len__(self) -> int:
        return 1

    def put(self, key: str, value: bytes, lease: int = 0) -> Entry:
        """Writes as another client."""
        self.revision += 1
        self.entries[key] = Entry(key, value, self.revision, lease)
        return self.entries[key]

    def expire(self, lease: int) -> None:
        """Ends a lease as if it had not been renewed."""
        self.leases.pop(lease, None)
        self.entries = {key: entry for key, entry in self.entries.items() if entry.lease != lease}
        self.revision += 1

    # -- the client's methods

    def range(self, prefix: str, budget_s: float = 0) -> Range:
        self._ask()
        found = tuple(entry for key, entry in sorted(self.entries.items()) if key.startswith(prefix))
        return Range(self.revision, found)

    def txn(
        self, compare: Sequence[Json], success: Sequence[Json], failure: Sequence[Json] = (), budget_s: float = 0
    ) -> Outcome:
        self._ask()
        is_done = all(self._holds(one) for one in compare)
        found = [entry for one in (success if is_done else failure) for entry in self._do(one)]
        self._answer()
        return Outcome(self.revision, is_done, tuple(found))

    def grant(self, ttl_s: int, budget_s: float = 0) -> int:
        self._ask()
        self._granted += 1
        self.leases[self._granted] = ttl_s
        return self._granted

    def keep_alive(self, lease: int, budget_s: float = 0) -> None:
        self._ask()
        if lease not in self.leases:
            raise LeaseGone(f"lease {lease:x} has expired")

    def time_to_live(self, lease: int, budget_s: float = 0) -> float:
        self._ask()
        return self.leases.get(lease, -1.0)

    def revoke(self, lease: int, budget_s: float = 0) -> None:
        self._ask()
        self.expire(lease)

    def close(self) -> None:
        self.is_closed = True

    # -- how it does it

    def _ask(self) -> None:
        if self.is_away:
            raise EtcdUnreachable("nobody answers")

    def _answer(self) -> None:
        if self.loses:
            self.loses -= 1
            raise EtcdUnreachable("the answer was lost")

    def _holds(self, guard: Json) -> bool:
        entry = self.entries.get(text(guard["key"]))
        wanted = int(guard["mod_revision"] if "mod_revision" in guard else guard["create_revision"])
        return (entry.revision if entry else 0) == wanted

    def _do(self, request: Json) -> list[Entry]:
        if put := request.get("request_put"):
            self.put(text(put["key"]), b64decode(put["value"]), int(put["lease"]))
        if deleted := request.get("request_delete_range"):
            self.revision += 1
            self.entries.pop(text(deleted["key"]), None)
        if asked := request.get("request_range"):
            entry = self.entries.get(text(asked["key"]))
            return [entry] if entry else []
        return []
