"""A small Site: real settings, counters and readiness, and a node that gives the answers a test chooses."""

import time
from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from pycast.auth.auth_calls import AuthCalls
from pycast.auth.guests import Guests
from pycast.auth.logins import Logins
from pycast.auth.source_logins import SourceLogins
from pycast.balance.drain_plan import DrainState, Progress
from pycast.balance.readiness import Readiness
from pycast.config.live import Live
from pycast.config.load import loads
from pycast.config.values import SERVED
from pycast.control.own_address import OwnAddress
from pycast.control.title_history import TitleHistory
from pycast.errors import Refused
from pycast.http.request import HeadReader, Request
from pycast.http.response import Response
from pycast.net.group import Group
from pycast.stats.counters import Counters
from pycast.stats.snapshot import ListenerSnapshot, NodeSnapshot, RelayLine
from pycast.web.route import Door
from pycast.web.routes import answer
from pycast.web.shared_pages import SharedPages
from pycast.web.site import Site
from tests.stats.snapshots import mount, node

PASSWORDS = '[authentication]\nadmin_password = "pw"\nrelay_password = "rp"\n'
ADMIN = "Basic YWRtaW46cHc="  # admin:pw
RELAY = "Basic cmVsYXk6cnA="  # relay:rp
DOOR = Door("127.0.0.1", frozenset(SERVED), True)
SOURCE = "Basic c291cmNlOmhhY2ttZQ=="  # source:hackme


class FakeControl:
    """A control that answers with the snapshot it was given, and records its orders."""

    def __init__(self, snapshot: NodeSnapshot, listeners: Sequence[ListenerSnapshot] = ()) -> None:
        self.orders: list[tuple[object, ...]] = []
        self.relay_lines: list[RelayLine] = []
        self._snapshot = snapshot
        self._listeners = listeners

    def snapshot(self) -> NodeSnapshot:
        return self._snapshot

    def workers(self) -> Sequence[NodeSnapshot]:
        return [self.snapshot()]

    def knows(self, mount: str) -> bool:
        return any(one.name == mount for one in self._snapshot.mounts)

    def listeners(self, mount: str) -> Sequence[ListenerSnapshot]:
        return self._listeners

    def kill(self, mount: str, id: int) -> bool:
        self.orders.append(("kill", mount, id))
        return any(one.id == id for one in self._listeners)

    def kill_source(self, mount: str) -> bool:
        self.orders.append(("kill source", mount))
        return True

    def set_title(self, mount: str, artist: str, title: str, url: str, sender: str = "") -> bool:
        self.orders.append(("title", mount, artist, title, url))
        return True

    def set_fallback(self, mount: str, fallback: str) -> None:
        self.orders.append(("fallback", mount, fallback))

    def reset_stats(self, mount: str, counts: Collection[str]) -> None:
        self.orders.append(("reset", mount, *counts))

    def relays(self) -> list[RelayLine]:
        return self.relay_lines

    def order_relay(self, mount: str, order: str) -> bool:
        self.orders.append(("relay", mount, order))
        return mount == "/here"

    def move(self, mount: str, to: str) -> int:
        self.orders.append(("move", mount, to))
        return 1


class FakeDrain:
    """A drain that records its orders. `is_ready` is for a Readiness, the rest for the drain's page."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.is_ready = True
        self.is_draining = False

    def begin(self, *, now: bool = False) -> None:
        self.orders.append("now" if now else "begin")

    def cancel(self) -> None:
        self.orders.append("cancel")

    def progress(self) -> Progress:
        return Progress(DrainState.SERVING, 3, 3, 0.0, 0.0)


def make_site(local: Any = None, cluster_wide: Any = None, *, toml: str = PASSWORDS, has_source: bool = True) -> Site:
    """Returns a Site of a node with the mount /live.mp3, or of the controls given."""
    settings = Live(loads(toml, {}, "test"))
    local = local or FakeControl(node(mount()))
    drain: Any = FakeDrain()
    finder: Any = SimpleNamespace(
        has_source=lambda name: has_source,
        on_this_node=lambda name: None,
        may_be_heard=local.knows,
        played_by_others=list,
    )
    counters, pages = Counters(), SharedPages()
    logins = Logins(counters, lambda: 0.0, lambda seconds: None)
    address, readiness = OwnAddress(settings), Readiness(drain)
    calls = AuthCalls(settings, lambda: 8000, counters, Group(), time.monotonic)
    return Site(
        settings=settings,
        counters=counters,
        logins=logins,
        address=address,
        readiness=readiness,
        finder=finder,
        drain=drain,
        local=local,
        cluster_wide=cluster_wide or local,
        pages=pages,
        sources=SourceLogins(settings, calls),
        history=TitleHistory(),
        ask_for_reload=lambda: local.orders.append(("reload",)),
        recent_lines=lambda name: [f"the {name} log\n".encode()],
        guests=Guests(settings, logins, calls, counters, time.monotonic),
    )


def make_request(target: str, *, method: str = "GET", authorization: str = "", more: str = "") -> Request:
    """Returns a request as it is read from a connection; `more` are lines of its head."""
    login = f"Authorization: {authorization}\r\n" if authorization else ""
    request = HeadReader().feed(f"{method} {target} HTTP/1.0\r\n{login}{more}\r\n".encode())
    assert request is not None
    return request


def ask(site: Site, target: str, *, body: bytes = b"", door: Door = DOOR, **head: str) -> Response:
    """Returns the answer of the route table. Raises Refused."""
    return answer(site, make_request(target, **head), body, door)


def refusal(site: Site, target: str, *, body: bytes = b"", door: Door = DOOR, **head: str) -> tuple[int, str]:
    """Returns status and public text of the table's refusal."""
    with pytest.raises(Refused) as refused:
        ask(site, target, body=body, door=door, **head)
    return refused.value.status, refused.value.public


def text_of(response: Response) -> str:
    """Returns the body of an answer, which is bytes."""
    assert isinstance(response.body, bytes)
    return response.body.decode()
