"""What happens in a soak: one function for each kind, with how often it happens beside the others.

Each is short, bounded, and leaves the servers able to serve; only a killed node is away for a second or two, and is
back when the function returns. The one invariant: what a listener may not survive is excused before it is done.
"""

import random
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

from attacks.wire import exchange
from tests.e2e.wire import Reply, basic, get, parse
from tests.soak.players import Audience, Wish
from tests.soak.stage import GUARDED, MOUNTS, ONE, PASSWORD, RELAYED, STEADY, TWO, UPSTREAM, USER, Stage

MOST_PLAYERS = 60
PAGES = ("/", "/status-json.xsl", "/status.xsl", "/metrics", f"{ONE}.m3u", f"{TWO}.xspf", "/livez", "/no-such-page")
PAGE_ANSWERS = frozenset({200, 302, 404})
REFUSALS = frozenset({401, 403, 429})


class Soak:
    """What the happenings work with."""

    def __init__(self, stage: Stage, audience: Audience, chance: random.Random, seconds: float) -> None:
        self.stage = stage
        self.audience = audience
        self.chance = chance
        self.counts: dict[str, int] = {}
        self.longest_absence_s = min(2.0, seconds / 20)
        """How long a killed node is away at most."""
        self._longest_stay_s = max(2.0, min(240.0, seconds / 3))
        self._numbers = iter(range(1 << 30))
        self._addresses = iter(range(1 << 30))

    def happen(self, kinds: "tuple[Happening, ...] | None" = None) -> None:
        """Has one of `kinds` happen, chosen by their weights."""
        kinds = kinds or HAPPENINGS
        kind = self.chance.choices(kinds, [one.weight for one in kinds])[0]
        self.counts[kind.name] = self.counts.get(kind.name, 0) + 1
        self.audience.happened(kind.name)
        kind.do(self)

    def node(self) -> str:
        """Returns any node's name."""
        return self.chance.choice(self.stage.cluster.names)

    def port(self) -> int:
        """Returns any node's port."""
        return self.stage.cluster[self.node()].port

    def admin(self, port: int, path: str) -> Reply:
        """Returns the answer to an admin's request."""
        return get(port, path, basic("admin", self.stage.upstream.admin_password))

    def join(self, mount: str, *, stays_s: float | None = None) -> int:
        """Has a player join on any node. Returns its number."""
        name, number = self.node(), next(self._numbers)
        login = basic(USER, PASSWORD) if mount == GUARDED else ""
        stays_s = stays_s or self.chance.uniform(0.2, self._longest_stay_s)
        port, is_icy = self.stage.cluster[name].port, self.chance.random() < 0.5
        self.audience.join(Wish(number, name, port, mount, is_icy, login, stays_s))
        return number

    def numbers(self) -> list[int]:
        """Returns the numbers of the present players."""
        return sorted(self.audience.players)

    def stranger(self) -> str:
        """Returns an address of loopback of its own: who guesses passwords is kept waiting, by address."""
        number = next(self._addresses)
        return f"127.9.{number // 250 % 250}.{1 + number % 250}"

    def expect(self, what: str, answer: Reply, statuses: frozenset[int]) -> None:
        """Notes an answer that is none of these."""
        if not answer.status_line or answer.status not in statuses:
            self.audience.fault(f"{what}: answered {answer.status_line!r} {answer.body[:100]!r}")


def join(soak: Soak) -> None:
    """Some players come, of any kind."""
    for _ in range(soak.chance.randrange(1, 6)):
        if len(soak.audience.players) < MOST_PLAYERS:
            soak.join(soak.chance.choice(MOUNTS))


def stall(soak: Soak) -> None:
    """A player stands still for a moment that the queue covers."""
    if numbers := soak.numbers():
        soak.audience.stall(soak.chance.choice(numbers), soak.chance.uniform(0.5, 4.0))


def freeze(soak: Soak) -> None:
    """A player stands still until the server gives it up."""
    if numbers := soak.numbers():
        number = soak.chance.choice(numbers)
        soak.audience.excuse("stands still", lambda player: player.wish.number == number)
        soak.audience.stall(number, 600.0)


def title(soak: Soak) -> None:
    """Titles, in any script, on any node."""
    song = f"{soak.chance.choice(('Björk - Jóga', '山口百恵', 'AC/DC - T.N.T.', 'x' * 200))} {soak.chance.random():.6f}"
    mount = soak.chance.choice((ONE, TWO, GUARDED, UPSTREAM))
    soak.stage.titles.add(song)
    port = soak.stage.upstream.port if mount == UPSTREAM else soak.port()
    path = f"/admin/metadata?mode=updinfo&mount={mount}&song={quote(song)}&charset=UTF-8"
    # A mount that has lost its source a moment ago is not there.
    soak.expect(f"title on {mount}", soak.admin(port, path), frozenset({200, 400, 404}))


def cut_source(soak: Soak) -> None:
    """An encoder's connection breaks; it comes back, to the next node."""
    mount = soak.chance.choice((ONE, TWO, GUARDED, UPSTREAM))
    if mount == UPSTREAM:
        soak.stage.breaks.append(time.monotonic())
    soak.audience.happened(f"{mount} is cut")
    soak.stage.encoders[mount].cut()


def hold_source(soak: Soak) -> None:
    """An encoder says nothing for a while, and then all at once."""
    mount = soak.chance.choice((ONE, TWO, GUARDED, UPSTREAM))
    soak.stage.encoders[mount].hold(soak.chance.uniform(0.5, 3.0))


def kill_source(soak: Soak) -> None:
    """The admin ends a source."""
    mount = soak.chance.choice((ONE, TWO, GUARDED, RELAYED))
    if mount == RELAYED:
        soak.stage.breaks.append(time.monotonic())
    soak.audience.happened(f"{mount} is killed")
    answer = soak.admin(soak.port(), f"/admin/killsource?mount={mount}")
    soak.expect(f"killsource {mount}", answer, frozenset({200, 400, 404}))


def kill_client(soak: Soak) -> None:
    """The admin ends a listener."""
    numbers = soak.numbers()
    player = soak.audience.players.get(soak.chance.choice(numbers)) if numbers else None
    if player is None:
        return
    wish = player.wish
    answer = soak.admin(wish.port, f"/admin/listclients?mount={wish.mount}")
    if answer.status != 200:  # it is on what takes the mount's place
        return
    for listener in ElementTree.fromstring(answer.body).iter("listener"):
        agent = listener.findtext("useragent") or listener.findtext("UserAgent")
        id = listener.get("id") or listener.findtext("ID")
        if agent == wish.agent and id:
            soak.audience.excuse("ended by the admin", lambda one: one.wish.number == wish.number)
            answer = soak.admin(wish.port, f"/admin/killclient?mount={wish.mount}&id={id}")
            soak.expect("killclient", answer, frozenset({200, 400, 404}))


def move(soak: Soak) -> None:
    """The admin moves all listeners of one mount to another."""
    answer = soak.admin(soak.port(), f"/admin/moveclients?mount={ONE}&destination={TWO}")
    soak.expect("moveclients", answer, frozenset({200, 400, 404}))


def kill_node(soak: Soak) -> None:
    """A node crashes, and is started again after a moment."""
    name = soak.chance.choice([one for one in soak.stage.cluster.names if one != STEADY])
    soak.audience.excuse("its node was killed", lambda player: player.wish.node == name)
    soak.stage.breaks.append(time.monotonic())
    soak.audience.happened(f"{name} is killed")
    soak.stage.cluster.kill(name)
    time.sleep(soak.chance.uniform(0.0, soak.longest_absence_s))
    soak.stage.cluster.restart(name)


def reload(soak: Soak) -> None:
    """A changed configuration and SIGHUP."""
    name = soak.node()
    if not soak.stage.reload(name, soak.chance.randrange(1 << 30)):
        soak.audience.fault(f"node {name} has not read its configuration again")


def guess(soak: Soak) -> None:
    """Strangers with wrong passwords: listeners, sources, admins."""
    requests = (
        f"GET {GUARDED} HTTP/1.0\r\n{basic(USER, 'wrong')}\r\n",
        f"GET {GUARDED} HTTP/1.0\r\n\r\n",
        f"SOURCE /mine.mp3 HTTP/1.0\r\n{basic('source', 'wrong')}Content-Type: audio/mpeg\r\n\r\n",
        f"GET /admin/stats HTTP/1.0\r\n{basic('admin', 'wrong')}\r\n",
        f"GET /admin/metadata?mode=updinfo&mount={ONE}&song=x HTTP/1.0\r\n{basic('source', 'wrong')}\r\n",
    )
    for request in requests:
        raw = exchange(soak.port(), request.encode(), source=soak.stranger())
        soak.expect(f"wrong password: {request[:30]!r}", parse(raw), REFUSALS)


def pages(soak: Soak) -> None:
    """Pages are looked at."""
    for path in soak.chance.sample(PAGES, 3):
        soak.expect(f"page {path}", get(soak.port(), path), PAGE_ANSWERS)


class Happening(NamedTuple):
    """A kind of thing that happens."""

    name: str
    weight: int
    do: Callable[[Soak], None]


HAPPENINGS = (
    Happening("players join", 30, join),
    Happening("a player stalls", 10, stall),
    Happening("a player freezes", 2, freeze),
    Happening("a title", 15, title),
    Happening("a source is cut", 4, cut_source),
    Happening("a source pauses", 4, hold_source),
    Happening("a source is killed", 3, kill_source),
    Happening("a listener is killed", 3, kill_client),
    Happening("listeners are moved", 2, move),
    Happening("a node is killed", 1, kill_node),
    Happening("a reload", 2, reload),
    Happening("wrong passwords", 6, guess),
    Happening("pages", 8, pages),
)
