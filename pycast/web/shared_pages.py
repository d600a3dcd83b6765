"""The public pages, rendered once for all visitors of about the same second, and compressed once.

Every web player polls, and anybody may ask as often as he likes. So what is rendered is kept (kept.py), and requests of
the same page share the same bytes, on their way out too. What a request can choose is bounded: pages of one mount are
kept for the `MOST_MOUNTS` asked for last, and a page with the visitor's own address (`Host`) in it is rendered with
gaps, filled in for each. Filled and compressed copies are kept for the addresses by which most visitors come; others
get their own, which costs no more than a copy of its bytes.

What an admin gets is never kept here: a page is rendered for nobody in particular.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from pycast.http.request import Request
from pycast.http.response import Pair, Response
from pycast.http.validators import has_copy, takes_gzip
from pycast.net.turns import in_turns
from pycast.web.kept import LONGEST_S, Changes, Kept, NotKept

if TYPE_CHECKING:
    from pycast.control.control import Control
    from pycast.stats.snapshot import NodeSnapshot

# Pages of single mounts that are kept.
MOST_MOUNTS = 64

# Addresses of the server (`http://host:port`) for which copies are kept, and those that are counted to find them.
MOST_ADDRESSES, MOST_COUNTED = 4, 1000

# A page is kept for so long however little it costs: the request for which it is made costs more than the page, and ten
# others. After a change it is made at once all the same.
SHORTEST_S = 0.1

# Below this size, gzip saves no packet.
LEAST_GZIP = 1000

# zlib's default costs twice as much, for a tenth less.
GZIP_LEVEL, GZIP_FORMAT = 4, 31

# Compressed at once: about a millisecond.
PIECE = 32_768


T = TypeVar("T")


class ForVisitors(Protocol):
    """A rendered page with gaps for the address of the server."""

    def for_visitor(self, base_url: str) -> bytes:
        """Returns the page for who came by that address."""


class SharedPage(NamedTuple):
    """A rendered page. `gzipped` and `tag` are empty if it was rendered for one visitor only, or is small."""

    body: bytes
    gzipped: bytes = b""
    tag: str = ""
    again: Callable[[], bool] | None = None
    """That of its answers."""

    def answer(self, request: Request, content_type: str, headers: tuple[Pair, ...] = ()) -> Response:
        """Returns the answer to `request`: the page, gzipped if the client takes that, or 304 if it has this page."""
        is_gzipped = bool(self.gzipped) and takes_gzip(request.headers)
        headers = (*headers, ("Vary", "Accept-Encoding"))
        if self.tag:
            tag = f'"{self.tag}-gzip"' if is_gzipped else f'"{self.tag}"'
            headers = (*headers, ("ETag", tag))
            if has_copy(request.headers, tag):
                return Response(304, b"", "", headers, True, again=self.again)
        if is_gzipped:
            headers = (*headers, ("Content-Encoding", "gzip"))
            return Response(200, self.gzipped, content_type, headers, True, again=self.again)
        return Response(200, self.body, content_type, headers, True, again=self.again)


def packed(body: bytes) -> SharedPage:
    """Returns a page with its gzip and its tag. May switch."""
    from hashlib import blake2b

    tag = blake2b(body, digest_size=12).hexdigest()
    if len(body) < LEAST_GZIP:
        return SharedPage(body, b"", tag)
    return SharedPage(body, b"".join(in_turns(_gzip(body))), tag)


def _gzip(body: bytes) -> Iterator[bytes]:
    import zlib

    gzip = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_FORMAT)
    for at in range(0, len(body), PIECE):
        yield gzip.compress(body[at : at + PIECE])
    yield gzip.flush()


class SharedPages:
    """The pages that are kept. `key` names a page; `mount` is the one that it is about, None for all."""

    def __init__(self) -> None:
        self._changes = Changes()
        self._whole: dict[Hashable, Any] = {}
        self._of_mounts: OrderedDict[Hashable, Any] = OrderedDict()

    def on_change(self, event: object) -> None:
        """Handles a change of a mount, its source or its title."""
        self._changes.on_change(event)

    def get(self, key: str, mount: str | None, render: Callable[[], bytes], may_wait: bool = True) -> SharedPage:
        """Returns a page that is the same for all. May switch, unless it may not wait: then raises NotKept."""
        kept: Kept[SharedPage] = self._find(key, mount, lambda: _kept(lambda: packed(render()), self._changes))
        return kept.get(may_wait)

    def get_for_visitor(
        self, key: str, mount: str | None, render: Callable[[], ForVisitors], base_url: str, may_wait: bool = True
    ) -> SharedPage:
        """Returns a page with the visitor's address of the server in it. May switch, unless it may not wait: then
        raises NotKept.
        """
        copies: _Copies = self._find(key, mount, lambda: _Copies(render, self._changes))
        return copies.get(base_url, may_wait)

    def get_made(self, key: str, mount: str | None, make: Callable[[], T]) -> T:
        """Returns what `make` returns, kept by how long making it takes, waiting included. May switch."""
        kept: Kept[T] = self._find(key, mount, lambda: Kept(make, self._changes, cost_clock=time.monotonic))
        return kept.get()

    def snapshot(self, key: str, control: "Control") -> "NodeSnapshot":
        """Returns the statistics, not older than half a second, for pages of which there are many. May switch."""
        kept: Kept[NodeSnapshot] = self._find(
            f"snapshot {key}", None, lambda: Kept(control.snapshot, self._changes, LONGEST_S / 2)
        )
        return kept.get()

    def _find(self, key: str, mount: str | None, make: Callable[[], Any]) -> Any:
        if mount is None:
            found = self._whole[key] = self._whole.get(key) or make()
            return found
        pages, name = self._of_mounts, (key, mount)
        found = pages[name] = pages.pop(name, None) or make()
        if len(pages) > MOST_MOUNTS:
            pages.popitem(last=False)
        return found


def _kept(make: Callable[[], T], changes: Changes) -> Kept[T]:
    return Kept(make, changes, shortest_s=SHORTEST_S)


class _Copies:
    """A page, and its copies for the addresses by which most visitors came since it was last rendered."""

    def __init__(self, render: Callable[[], ForVisitors], changes: Changes) -> None:
        self._render = render
        self._asked: Counter[str] = Counter()
        self._edition = 0
        self._kept = _kept(self._make, changes)

    def get(self, base_url: str, may_wait: bool = True) -> SharedPage:
        self._count(base_url)
        _, page, copies = self._kept.get(may_wait)
        return copies.get(base_url) or SharedPage(page.for_visitor(base_url))

    def _count(self, base_url: str) -> None:
        if base_url in self._asked or len(self._asked) < MOST_COUNTED:
            self._asked[base_url] += 1

    def _make(self) -> tuple[int, ForVisitors, dict[str, SharedPage]]:
        page = self._render()
        most, self._asked = self._asked.most_common(MOST_ADDRESSES), Counter()
        self._edition += 1
        return self._edition, page, {base_url: self._copy(page, base_url) for base_url, _ in most}

    def _copy(self, page: ForVisitors, base_url: str) -> SharedPage:
        return packed(page.for_visitor(base_url))._replace(again=partial(self._again, base_url, self._edition))

    def _again(self, base_url: str, edition: int) -> bool:
        try:
            now, _, _ = self._kept.get_kept()
        except NotKept:
            return False
        if now != edition:
            return False
        self._count(base_url)
        return True
