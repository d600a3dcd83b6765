"""What came to a server under test, as objects: `server.sources["/live.mp3"]`, `server.listeners["/live.mp3"]`.

A visit is one connection: what it asked, what it was answered, how much it sent or got, how it ended. `front_door.py`
fills them in, from threads of its own; a test reads them at any time. The one invariant: a wait ends as soon as its
answer is known, a refusal or the end of the connection included.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar, overload
from urllib.parse import parse_qs, unquote, urlsplit

from pycast.testing.failures import ServerRefused, ServerTimeout, StreamOver
from pycast.testing.wire_heads import OWN_SOURCE, WireHead, WireHeaders

__tracebackhide__ = True

MOST_KEPT = 16 * 1024 * 1024
"""Bytes of a source's audio that are kept: a quarter of an hour of 128 kbit/s. Counts go on."""

MOST_KEPT_OF_ALL = 4 * MOST_KEPT
"""Bytes of all sources' audio that are kept for a server: one for a whole run of tests may see hundreds of sources."""

TellTitles = Callable[[str], list[tuple[str, str]]]
"""Says which titles a mount has had, each behind its time, as the log has it."""

V = TypeVar("V", bound="Visit")


class Visit:
    """One connection of a client. All visits of a server share `changed`."""

    def __init__(self, changed: threading.Condition, head: WireHead, mount: str) -> None:
        self._changed = changed
        self.mount = mount
        self.method = head.word
        self.target = head.target
        """The path as it was asked for, with its query."""
        self.headers: WireHeaders = head.headers
        """The request's headers: `visit.headers["ice-name"]`; `headers.fields` are all as they were sent."""
        self.raw_head = head.raw
        self.connected_at = time.time()
        self.ended_at: float | None = None
        self.status = 0
        """What it was answered; 0 as long as it was not."""
        self.answer = WireHead(b"", "", WireHeaders())
        """The head of the answer."""
        self.reason = ""
        """How the connection ended, such as `the client closed the connection`; empty while it lasts."""
        self.size = 0
        """Bytes of the body: what a source sent, what a listener got."""

    def __repr__(self) -> str:
        what = f"{self.method} {self.target}: {self.status}, {self.size} bytes"
        return f"<{type(self).__name__} {what}, {self.reason or 'connected'}>"

    @property
    def user_agent(self) -> str:
        """What the client calls itself; empty if it does not say."""
        return self.headers.get("user-agent", "")

    @property
    def is_connected(self) -> bool:
        """Whether the connection lasts."""
        return not self.reason

    @property
    def duration_s(self) -> float:
        """The seconds that it lasted, or has lasted so far."""
        return (self.ended_at or time.time()) - self.connected_at

    def wait_for_bytes(self, count: int, timeout: float = 10.0) -> None:
        """Returns once the body has `count` bytes. Raises StreamOver if the connection ends before, or
        ServerTimeout.
        """
        self._wait(lambda: self.size >= count, timeout, f"{count} bytes")

    def wait_for_end(self, timeout: float = 10.0) -> str:
        """Returns how the connection ended, as soon as it has. Raises ServerTimeout."""
        self._wait(lambda: bool(self.reason), timeout, "the end")
        return self.reason

    def answered(self, answer: WireHead, status: int) -> None:
        """Takes what the client was answered."""
        with self._changed:
            self.answer, self.status = answer, status
            self._changed.notify_all()

    def ended(self, reason: str) -> None:
        """Takes how the connection ended; the first reason counts."""
        with self._changed:
            if not self.reason:
                self.reason, self.ended_at = reason, time.time()
            self._changed.notify_all()

    def took(self, data: bytes) -> None:
        """Takes the next bytes of the body."""
        with self._changed:
            self.size += len(data)
            self._changed.notify_all()

    def _wait(self, is_so: Callable[[], bool], timeout: float, what: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: is_so() or self.reason, timeout)
            if is_so():
                return
            if self.reason:
                raise StreamOver(f"no {what}: {self}")
            raise ServerTimeout(f"waited {timeout:g} s for {what}: {self}")


class KeptAudio:
    """Which sources of a server have audio that is kept. When it is too much in all, that of the source goes whose
    connection ended first; if all are connected, that of the first.
    """

    def __init__(self) -> None:
        self._sources: dict[SourceVisit, None] = {}
        self._size = 0

    def grew(self, source: "SourceVisit", count: int) -> None:
        """Takes that `count` bytes more of a source are kept."""
        self._sources[source] = None
        self._size += count
        while self._size > MOST_KEPT_OF_ALL:
            first = min(self._sources, key=lambda one: one.ended_at or math.inf)
            del self._sources[first]
            self._size -= first.forget_audio()


class SourceVisit(Visit):
    """An encoder's connection. All of a server share `kept`."""

    def __init__(self, changed: threading.Condition, kept: KeptAudio, head: WireHead, mount: str) -> None:
        super().__init__(changed, head, mount)
        self._kept = kept
        self._audio: bytearray | None = bytearray()

    @property
    def content_type(self) -> str:
        """The type that it says its stream has."""
        return self.headers.get("content-type", "")

    @property
    def is_own(self) -> bool:
        """Whether it is one of `Server.stream`, unless the test has given that another name."""
        return self.user_agent == OWN_SOURCE

    @property
    def audio(self) -> bytes:
        """What it sent, without chunks: the first 16 MiB of it. Raises LookupError if it is not kept any more: see
        `KeptAudio`.
        """
        with self._changed:
            if self._audio is None:
                raise LookupError(
                    f"its audio is not kept any more: a server keeps {MOST_KEPT_OF_ALL >> 20} MiB of all sources. "
                    f"Read it sooner, or give this test a server of its own: {self}"
                )
            return bytes(self._audio)

    def took(self, data: bytes) -> None:
        with self._changed:
            if self._audio is not None:
                more = data[: max(MOST_KEPT - len(self._audio), 0)]
                self._audio += more
                self._kept.grew(self, len(more))
            super().took(data)

    def forget_audio(self) -> int:
        """Keeps its audio no longer. Returns how many bytes that were. The caller holds `changed`."""
        size, self._audio = len(self._audio or b""), None
        return size


class ListenerVisit(Visit):
    """A player's connection."""

    @property
    def wants_titles(self) -> bool:
        """Whether it asked for ICY titles."""
        return self.headers.get("icy-metadata", "").strip() == "1"

    @property
    def range(self) -> str:
        """The range that it asked for, such as `bytes=0-`; empty if none."""
        return self.headers.get("range", "")

    @property
    def content_type(self) -> str:
        """The type that it was told."""
        return self.answer.headers.get("content-type", "")


class TitleUpdate(NamedTuple):
    """A request of an encoder for another title."""

    at: float
    """When, in seconds since 1970."""
    title: str
    status: int
    """What it was answered."""
    is_taken: bool
    """Whether the server has taken the title. It answers 200 also when it has not."""
    headers: WireHeaders


class AiredTitle(str):
    """A title that a mount has had; `at` is the second when it began, since 1970."""

    at: float


class Visits(Sequence[V], Generic[V]):
    """The visits of one mount that were let in, oldest first: `visits[0]`, `visits.last`, `len(visits)`."""

    def __init__(self, visitors: "Visitors[V]", mount: str) -> None:
        self._visitors = visitors
        self._mount = mount

    def __repr__(self) -> str:
        return f"<visits of {self._mount}: {list(self)}, refused: {self.refused}>"

    def __len__(self) -> int:
        return len(self._let_in())

    @overload
    def __getitem__(self, index: int) -> V: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[V]: ...
    def __getitem__(self, index: int | slice) -> V | Sequence[V]:
        return self._let_in()[index]

    def __iter__(self) -> Iterator[V]:
        return iter(self._let_in())

    @property
    def last(self) -> V:
        """The latest that was let in. Raises LookupError if none was."""
        found = self._let_in()
        if not found:
            raise LookupError(f"nobody has come to {self._mount} yet: {self}")
        return found[-1]

    @property
    def refused(self) -> list[V]:
        """Those that were not let in; `status` says what each was answered."""
        return [one for one in self._all() if one.status and not _is_in(one)]

    @property
    def updates(self) -> list[TitleUpdate]:
        """The requests for other titles, those that were refused too."""
        return self._visitors.updates_of(self._mount)

    @property
    def titles(self) -> list[AiredTitle]:
        """The titles that the mount has had, each with its time, of ICY or in Ogg."""
        return self._visitors.titles_of(self._mount)

    def wait(self, count: int = 1, timeout: float = 10.0) -> V:
        """Returns the latest once `count` have been let in. Raises ServerRefused as soon as one is refused when the
        wait has begun or was refused and none came after it, or ServerTimeout.
        """
        with self._visitors.changed:
            self._visitors.changed.wait_for(lambda: len(self) >= count or self._is_refused(), timeout)
            if len(self) >= count:
                return self.last
            what = f"waited for {count} on {self._mount}: {self}"
            raise ServerRefused(what) if self._is_refused() else ServerTimeout(f"{timeout:g} s over: {what}")

    def wait_for_refusal(self, count: int = 1, timeout: float = 10.0) -> V:
        """Returns the latest that was refused, once `count` were. Raises ServerTimeout."""
        with self._visitors.changed:
            if not self._visitors.changed.wait_for(lambda: len(self.refused) >= count, timeout):
                raise ServerTimeout(f"waited {timeout:g} s for {count} refused on {self._mount}: {self}")
            return self.refused[-1]

    def _is_refused(self) -> bool:
        answered = [one for one in self._all() if one.status]
        # An encoder may first ask without a password, and come again with it.
        return bool(answered) and not _is_in(answered[-1]) and "authorization" in answered[-1].headers

    def _let_in(self) -> list[V]:
        return [one for one in self._all() if _is_in(one)]

    def _all(self) -> list[V]:
        return self._visitors.all_of(self._mount)


def _is_in(visit: Visit) -> bool:
    return 200 <= visit.status < 300


class Visitors(Generic[V]):
    """All visits of one kind: `visitors["/live.mp3"]` are those of a mount."""

    def __init__(self, changed: threading.Condition, tell_titles: TellTitles) -> None:
        self.changed = changed
        self._tell_titles = tell_titles
        self._visits: list[V] = []
        self._updates: list[tuple[str, TitleUpdate]] = []

    def __getitem__(self, mount: str) -> Visits[V]:
        return Visits(self, mount)

    @property
    def mounts(self) -> list[str]:
        """The mounts that somebody came for."""
        with self.changed:
            return list(dict.fromkeys(one.mount for one in self._visits))

    def add(self, visit: V) -> None:
        """Takes a visit that has begun."""
        with self.changed:
            self._visits.append(visit)
            self.changed.notify_all()

    def add_update(self, mount: str, update: TitleUpdate) -> None:
        """Takes a request for another title."""
        with self.changed:
            self._updates.append((mount, update))
            self.changed.notify_all()

    def all_of(self, mount: str) -> list[V]:
        """Returns all visits of a mount, oldest first."""
        with self.changed:
            return [one for one in self._visits if one.mount == mount]

    def updates_of(self, mount: str) -> list[TitleUpdate]:
        """Returns the requests for other titles of a mount, oldest first."""
        with self.changed:
            return [update for name, update in self._updates if name == mount]

    def titles_of(self, mount: str) -> list[AiredTitle]:
        """Returns the titles that a mount has had, oldest first."""
        from datetime import datetime

        titles = []
        for at, text in self._tell_titles(mount):
            title = AiredTitle(text)
            title.at = datetime.strptime(at, "%d/%b/%Y:%H:%M:%S %z").timestamp()
            titles.append(title)
        return titles


class TitleRequest(NamedTuple):
    """What a request for another title says."""

    mount: str
    title: str


def title_request(head: WireHead, default_mount: str) -> TitleRequest | None:
    """Returns what the request wants, if it is one for another title. `/admin.cgi` may name no mount."""
    url = urlsplit(head.target)
    query = parse_qs(url.query, keep_blank_values=True, encoding="utf-8", errors="replace")
    if url.path not in ("/admin/metadata", "/admin.cgi") or query.get("mode") != ["updinfo"]:
        return None
    artist, title = (query.get(name, [""])[-1] for name in ("artist", "title"))
    text = query["song"][-1] if "song" in query else " - ".join(filter(None, (artist, title)))
    return TitleRequest(query.get("mount", [default_mount])[-1], text)


def title_update(head: WireHead, answer: WireHead, text: bytes, default_mount: str) -> tuple[str, TitleUpdate] | None:
    """Returns a mount and what was asked for it, if the request is one for another title; `text` begins its answer."""
    wanted = title_request(head, default_mount)
    if wanted is None:
        return None
    is_taken = answer.status == 200 and (b"<return>1<" in text or b"successful" in text)
    return wanted.mount, TitleUpdate(time.time(), wanted.title, answer.status, is_taken, head.headers)


def mount_of(head: WireHead) -> str:
    """Returns the mount that a request is for: its path."""
    return unquote(urlsplit(head.target).path)
