"""etcd over its HTTP/JSON gateway (3.4 and newer): keys, transactions, leases, and a watch that can be resumed.

Nothing here knows what the keys mean. A call goes to the member that answered last. If that one fails or does not
answer it goes to the next, all within the time limit of the call. So a request may be carried out twice: each put is
guarded by what it expects (`unchanged`, `absent`), and the caller recognizes its own value.

A member that has lost its leader keeps a watch open and sends nothing. So a watch asks for its stream to be ended in
that case (`hasleader`). A watch without a message for `WATCH_SILENCE_S` counts as broken and is opened again on another
member, from the revision after the last one seen: no event is lost, and an idle cluster costs one request in that time.
(etcd sends its own progress notes only every ten minutes, and they cannot be requested over HTTP/1.1.) Leases are
renewed through the member that has the watch, so that one that hangs is found sooner (`is_watch_suspect`).

All calls switch, and rely on sockets that gevent has patched.
"""

import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import gevent
import urllib3
from urllib3.connectionpool import HTTPConnectionPool, connection_from_url
from urllib3.exceptions import HTTPError

from pycast.cluster.etcd.etcd_records import Entry
from pycast.cluster.registry.registry import CALL_S
from pycast.errors import ExternalError

# The time limit of a call, for all members that it tries; the rest of CALL_S is for the caller's own work.
BUDGET_S = CALL_S - 0.1
WATCH_SILENCE_S = 10.0
# To connect to a member for a watch. Its first message has twice this time.
OPEN_S = 1.0
# The longest answer, or message of a watch, in bytes: 100,000 mounts of 300 bytes, in base64.
LONGEST = 64 * 1024 * 1024

JSON = {"Content-Type": "application/json"}
WATCH_HEADERS = JSON | {"Grpc-Metadata-hasleader": "true"}

Json = dict[str, Any]

AnswerT = TypeVar("AnswerT")


class EtcdError(ExternalError):
    """The error of a request that etcd refused; the base of all errors of etcd."""


class EtcdUnreachable(EtcdError):
    """The error of a call that no member answered in time."""


class LeaseGone(EtcdError):
    """The error of a lease that has expired."""


class WatchBroken(EtcdError):
    """The error of a watch that has ended or is silent. It can be resumed on another member."""


class Compacted(EtcdError):
    """The error of a watch from a revision that etcd no longer has."""


@dataclass(frozen=True, slots=True)
class Range:
    """The keys under a prefix, as of `revision`."""

    revision: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a transaction. `entries` are the keys that its `failure` part has read."""

    revision: int
    is_done: bool
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A write of a key, or its deletion (`entry` is None)."""

    key: str
    revision: int
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Note:
    """One message of a watch. The first one has no events: it confirms the watch."""

    revision: int
    events: tuple[WatchEvent, ...]


# -- parts of a transaction


def absent(key: str) -> Json:
    """Returns the condition that the key does not exist."""
    return {"key": _b64(key), "target": "CREATE", "result": "EQUAL", "create_revision": "0"}


def unchanged(key: str, revision: int) -> Json:
    """Returns the condition that the key was last written at `revision`; for 0, that it does not exist."""
    return {"key": _b64(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}


def put(key: str, value: bytes, lease: int = 0) -> Json:
    return {"request_put": {"key": _b64(key), "value": b64encode(value).decode(), "lease": str(lease)}}


def delete(key: str) -> Json:
    return {"request_delete_range": {"key": _b64(key)}}


def get(key: str) -> Json:
    return {"request_range": {"key": _b64(key)}}


class EtcdClient:
    """A client of one etcd with one or more members."""

    def __init__(self, endpoints: Sequence[str], clock: Callable[[], float], ca: str = "") -> None:
        self._pools = [_pool(url, ca) for url in endpoints]
        self._clock = clock
        self._first = 0
        self._watched = -1
        self.is_watch_suspect = False
        """Whether the member that has the watch has failed to answer a call since the watch began."""

    def __len__(self) -> int:
        return len(self._pools)

    def range(self, prefix: str, budget_s: float = BUDGET_S) -> Range:
        """Returns all keys with this prefix: a linearizable read. Raises EtcdError."""
        last = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        return self._call("/v3/kv/range", {"key": _b64(prefix), "range_end": _b64(last)}, budget_s, _range)

    def txn(
        self,
        compare: Sequence[Json],
        success: Sequence[Json],
        failure: Sequence[Json] = (),
        budget_s: float = BUDGET_S,
    ) -> Outcome:
        """Carries out `success` if all of `compare` holds, else `failure`. Raises EtcdError."""
        body = {"compare": list(compare), "success": list(success), "failure": list(failure)}
        return self._call("/v3/kv/txn", body, budget_s, _outcome)

    def grant(self, ttl_s: int, budget_s: float = BUDGET_S) -> int:
        """Returns the number of a new lease. Raises EtcdError."""
        return self._call("/v3/lease/grant", {"TTL": str(ttl_s)}, budget_s, lambda answer: int(answer["ID"]))

    def keep_alive(self, lease: int, budget_s: float = BUDGET_S) -> None:
        """Renews a lease. Raises LeaseGone, EtcdError."""
        first = max(self._watched, 0)
        path, body = "/v3/lease/keepalive", {"ID": str(lease)}
        if self._call(path, body, budget_s, lambda answer: int(answer.get("result", {}).get("TTL", 0)), first) <= 0:
            raise LeaseGone(f"lease {lease:x} has expired")

    def time_to_live(self, lease: int, budget_s: float = BUDGET_S) -> float:
        """Returns the seconds until the lease expires, negative if it has. Raises EtcdError."""
        path, body = "/v3/lease/timetolive", {"ID": str(lease)}
        return self._call(path, body, budget_s, lambda answer: float(answer.get("TTL", 0)))

    def revoke(self, lease: int, budget_s: float = BUDGET_S) -> None:
        """Ends a lease, which deletes the keys that have it. Raises EtcdError."""
        self._call("/v3/lease/revoke", {"ID": str(lease)}, budget_s, lambda answer: None)

    def watch(self, prefix: str, revision: int) -> Iterator[Note]:
        """Yields what happens to keys with this prefix from `revision` on, as one member reports it. Each call asks the
        next member. Raises WatchBroken or Compacted; never ends otherwise.
        """
        self._watched = (self._watched + 1) % len(self._pools)
        self.is_watch_suspect = False
        pool = self._pools[self._watched]
        last = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        wanted = {
            "key": _b64(prefix),
            "range_end": _b64(last),
            "start_revision": str(revision),
            "progress_notify": True,
        }
        try:
            with gevent.Timeout(OPEN_S * 2, WatchBroken("it did not open in time")):
                response = _post(pool, "/v3/watch", {"create_request": wanted}, OPEN_S, WATCH_SILENCE_S, WATCH_HEADERS)
            try:
                messages = JsonStream(LONGEST)
                for chunk in response.stream(64 * 1024):
                    for message in messages.feed(chunk):
                        yield _note(message)
            finally:
                response.close()
        except (HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WatchBroken(f"{pool.host}:{pool.port}: {error}") from error
        raise WatchBroken(f"{pool.host}:{pool.port} ended the watch")

    def close(self) -> None:
        """Closes the connections that are kept between calls."""
        for pool in self._pools:
            pool.close()

    def _call(
        self, path: str, body: Json, budget_s: float, read: Callable[[Json], AnswerT], first: int | None = None
    ) -> AnswerT:
        """Returns what `read` finds in the answer of the first member that gives a proper one."""
        deadline = self._clock() + budget_s
        count = len(self._pools)
        first = self._first if first is None else first
        reason = "no time"
        with gevent.Timeout(budget_s, EtcdUnreachable(f"no answer within {budget_s:.1f} s")):
            for tried in range(2 * count):
                left = deadline - self._clock()
                if left <= 0:
                    break
                member = (first + tried) % count
                try:
                    return read(_answer(self._pools[member], path, body, left / max(1, count - tried)))
                except (KeyError, TypeError) as error:
                    reason = f"{self._pools[member].host}:{self._pools[member].port}: no answer of etcd's: {error!r}"
                except (HTTPError, OSError, ValueError, AttributeError) as error:
                    reason = f"{self._pools[member].host}:{self._pools[member].port}: {error}"
                self._failed(member)
        raise EtcdUnreachable(reason)

    def _failed(self, member: int) -> None:
        if member == self._first:
            self._first = (member + 1) % len(self._pools)
        if member == self._watched:
            self.is_watch_suspect = True


class JsonStream:
    """A parser of JSON objects, one on each line, from bytes that are cut anywhere."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Json]:
        """Returns the objects that are complete now. Raises ValueError."""
        *lines, rest = data.split(b"\n")
        found = []
        for line in lines:
            whole = b"".join((*self._parts, line))
            self._parts, self._size = [], 0
            if whole.strip():
                found.append(_object(whole))
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > self._limit:
                raise ValueError(f"a message of more than {self._limit} bytes")
        return found


def _pool(url: str, ca: str) -> HTTPConnectionPool:
    more: Json = {}
    if url.startswith("https:"):
        context = ssl.create_default_context()
        if ca:
            context.load_verify_locations(ca)
        more["ssl_context"] = context
    return connection_from_url(url, maxsize=4, **more)


def _post(
    pool: HTTPConnectionPool, path: str, body: Json, connect_s: float, read_s: float, headers: dict[str, str]
) -> urllib3.BaseHTTPResponse:
    timeout = urllib3.Timeout(connect=connect_s, read=read_s)
    data = json.dumps(body).encode()
    return pool.urlopen(
        "POST", path, data, headers, retries=False, redirect=False, timeout=timeout, preload_content=False
    )


def _answer(pool: HTTPConnectionPool, path: str, body: Json, time_s: float) -> Json:
    """Returns one member's answer. Raises EtcdError for an error that each member would report, HTTPError, OSError or
    ValueError if the member failed.
    """
    response = _post(pool, path, body, time_s, time_s, JSON)
    try:
        data = response.read(LONGEST + 1)
    finally:
        response.release_conn()
    if response.status == 404 and not data.startswith(b"{"):
        raise EtcdError(f"{pool.host}:{pool.port} has no /v3/: is it an etcd of version 3.4 or newer?")
    if len(data) > LONGEST:
        raise EtcdError(f"an answer of more than {LONGEST} bytes")
    answer = _object(data)
    if response.status == 200 and "error" not in answer:
        return answer
    text = str(answer.get("message") or answer.get("error"))
    if "lease not found" in text:
        raise LeaseGone(text)
    if response.status < 500:
        raise EtcdError(text[:200])
    raise ValueError(text[:200])


def _note(message: Json) -> Note:
    """Reads a message of a watch. Raises WatchBroken or Compacted."""
    result = message.get("result", {})
    if result.get("canceled") or "error" in message:
        reason = str(result.get("cancel_reason") or message.get("error") or "cancelled")
        if int(result.get("compact_revision", 0)):
            raise Compacted(f"compacted up to {result['compact_revision']}")
        raise WatchBroken(reason[:200])
    return Note(_revision(result), tuple(_event(one) for one in result.get("events", ())))


def _range(answer: Json) -> Range:
    return Range(_revision(answer), tuple(_entry(kv) for kv in answer.get("kvs", ())))


def _outcome(answer: Json) -> Outcome:
    found = [one.get("response_range", {}).get("kvs", ()) for one in answer.get("responses", ())]
    entries = tuple(_entry(kv) for kvs in found for kv in kvs)
    return Outcome(_revision(answer), answer.get("succeeded") is True, entries)


def _event(data: Json) -> WatchEvent:
    entry = _entry(data["kv"])
    return WatchEvent(entry.key, entry.revision, None if data.get("type") == "DELETE" else entry)


def _entry(kv: Json) -> Entry:
    key = b64decode(kv["key"]).decode(errors="replace")
    return Entry(key, b64decode(kv.get("value", "")), int(kv["mod_revision"]), int(kv.get("lease", 0)))


def _revision(answer: Json) -> int:
    return int(answer["header"]["revision"])


def _object(data: bytes) -> Json:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _b64(text: str) -> str:
    return b64encode(text.encode()).decode()
