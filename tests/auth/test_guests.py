"""Tests of pycast.auth.guests: who is let in, once or several times, for how long, and that nothing is left of them."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pycast.auth.guests import Asking, Guest, Guests
from pycast.auth.logins import Logins
from pycast.auth.signed_address import signed_path
from pycast.auth.url_forms import About, Judgement
from pycast.config.live import Live
from pycast.config.load import loads
from pycast.errors import Refused
from pycast.stats.counters import Counters
from pycast.stream.events import ListenerLeft
from pycast.stream.fanout import Reason
from tests.web.sites import make_request

KEY = "a key of 16 letters or more"
TOML = f"""
[[mount]]
mount_name = "/file"
[mount.authentication]
type = "htpasswd"
filename = "FILE"
[[mount]]
mount_name = "/many"
[mount.authentication]
type = "htpasswd"
filename = "FILE"
allow_duplicate_users = true
[[mount]]
mount_name = "/asked"
[mount.authentication]
type = "url"
listener_add = "http://x/"
listener_remove = "http://x/"
headers = ["cookie", "x-none"]
[[mount]]
mount_name = "/told"
[mount.authentication]
type = "url"
listener_remove = "http://x/"
[[mount]]
mount_name = "/signed"
[mount.authentication]
type = "signed"
keys = ["{KEY}"]
"""
MD5_OF_A = "0cc175b9c0f1b6a831c399e269772661"


class Calls:
    """Answers as a test chooses, and keeps what it was asked and told."""

    def __init__(self) -> None:
        self.verdict = Judgement(True)
        self.added: list[About] = []
        self.sent: list[tuple[tuple[str, str], ...]] = []
        self.told: list[tuple[str, int]] = []
        self.removed: list[tuple[int, float]] = []

    def about(self, id: int, target: str, given: tuple[str, str] | None, ip: str, agent: str) -> About:
        user, password = given or ("", "")
        return About("h", 8000, id, target, user, password, ip, agent)

    def listener_add(
        self, about: About, referer: str, listeners: int, sent: tuple[tuple[str, str], ...], rules: object
    ) -> Judgement:
        self.added.append(about)
        self.told.append((referer, listeners))
        self.sent.append(sent)
        return self.verdict

    def listener_remove(self, about: About, duration_s: float, sent: int, rules: object) -> None:
        self.removed.append((about.id, duration_s))


class House:
    """The guests of a node without listeners of its own, and what is around them."""

    def __init__(self, folder: Path) -> None:
        calls: Any = Calls()
        (folder / "users").write_text(f"ann:{MD5_OF_A}\nbob:{MD5_OF_A}\n")
        self.now = 100.0
        self.calls: Calls = calls
        self.counters = Counters()
        settings = Live(loads(TOML.replace("FILE", str(folder / "users")), {}, "test"))
        logins = Logins(self.counters, lambda: self.now, lambda seconds: None)
        self.guests = Guests(settings, logins, calls, self.counters, lambda: self.now)
        self._ids = iter(range(1, 1000))

    def come(self, target: str, given: tuple[str, str] | None = None, more: str = "", ip: str = "192.0.2.7") -> Guest:
        request = make_request(target, more=more)
        asking = Asking(next(self._ids), request.path, request.target, ip, given, request.headers, request.query)
        return self.guests.let_in(asking)

    def refusal(self, target: str, given: tuple[str, str] | None = None, **more: str) -> Refused:
        with pytest.raises(Refused) as refused:
            self.come(target, given, **more)
        return refused.value


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made


def test_users_of_the_file_come_in_by_their_names(house: House) -> None:
    guest = house.come("/file", ("ann", "a"))
    assert (guest.user, guest.mount, guest.about, len(house.guests)) == ("ann", "/file", None, 1)


@pytest.mark.parametrize("given", [None, ("ann", "b"), ("eve", "a"), ("", "")])
def test_others_are_refused_and_counted(house: House, given: tuple[str, str] | None) -> None:
    refused = house.refusal("/file", given)
    assert (refused.status, refused.public) == (401, "You need to authenticate")
    assert (house.counters.refused_listeners, house.counters.failed_logins) == (1, int(given is not None))
    assert len(house.guests) == 0


def test_user_listens_once_unless_several_times_are_allowed(house: House) -> None:
    first = house.come("/file", ("ann", "a"))
    assert house.refusal("/file", ("ann", "a")).status == 401
    house.come("/file", ("bob", "a"))
    house.come("/many", ("ann", "a"))
    house.come("/many", ("ann", "a"))
    house.guests.give_up(first.id)
    house.come("/file", ("ann", "a"))


def test_user_who_listens_on_another_node_does_not_listen_here_too(house: House) -> None:
    asked: list[tuple[str, str]] = []

    def elsewhere(mount: str, user: str) -> bool:
        assert house.guests.has_user(mount, user), "that node, if it lets the user in now, hears of this one"
        asked.append((mount, user))
        return user == "ann"

    house.guests._listens_elsewhere = elsewhere
    assert house.refusal("/file", ("ann", "a")).status == 401
    bob = house.come("/file", ("bob", "a"))
    house.come("/many", ("ann", "a"))
    assert asked == [("/file", "ann"), ("/file", "bob")]
    house.guests.give_up(bob.id)
    assert not house.guests.has_user("/file", "ann") and not house.guests.has_user("/file", "bob")


def test_guest_is_given_up_once_and_others_are_none(house: House) -> None:
    guest = house.come("/asked", ("ann", "x"))
    house.now += 12
    for _ in range(2):
        house.guests.give_up(guest.id)
    house.guests.give_up(999)
    assert house.calls.removed == [(guest.id, 12.0)]
    assert len(house.guests) == 0 and not house.guests._users


def test_guest_that_leaves_a_mount_is_forgotten_wherever_it_is(house: House) -> None:
    guest = house.come("/asked")
    listener: Any = SimpleNamespace(id=guest.id, sent=0)
    house.guests.on_listener_left(ListenerLeft("/elsewhere", listener, Reason.CLOSED))
    assert house.calls.removed == [(guest.id, 0.0)]


def test_server_is_asked_with_the_headers_that_it_wants(house: House) -> None:
    house.come("/asked?token=1", ("ann", "x"), "Cookie: c=1\r\nUser-Agent: VLC\r\nReferer: https://r/\r\n")
    [about] = house.calls.added
    assert (about.mount, about.user, about.password, about.ip, about.agent) == (
        *("/asked?token=1", "ann", "x", "192.0.2.7", "VLC"),
    )
    assert (house.calls.sent, house.calls.told) == ([(("cookie", "c=1"),)], [("https://r/", 0)])


@pytest.mark.parametrize(
    ("verdict", "status", "public"),
    [
        (Judgement(False), 401, "You need to authenticate"),
        (Judgement(False, message="geo-blocked"), 401, "You need to authenticate"),
        (Judgement(False, message="not here", status=403), 403, "not here"),
        (Judgement(False, status=302, location="https://shop/"), 302, "Moved"),
    ],
)
def test_refusal_is_that_of_the_server(house: House, verdict: Judgement, status: int, public: str) -> None:
    house.calls.verdict = verdict
    refused = house.refusal("/asked")
    assert (refused.status, refused.public) == (status, public)
    assert verdict.message in str(refused)
    assert dict(refused.headers).get("Location", "") == verdict.location
    assert house.calls.removed == []


def test_server_names_the_listener(house: House) -> None:
    house.calls.verdict = Judgement(True, "ann")
    assert house.come("/asked").user == "ann"
    assert house.refusal("/asked").status == 401, "the same user again"


def test_mount_that_only_tells_asks_nobody(house: House) -> None:
    guest = house.come("/told")
    house.guests.give_up(guest.id)
    assert (house.calls.added, house.calls.removed) == ([], [(guest.id, 0.0)])


def test_signed_address_comes_in_and_others_hear_why_not(house: House) -> None:
    good = signed_path(KEY, "/signed", int(time.time()) + 60)
    assert house.come(good, ("ann", "a")).user == ""
    refused = house.refusal("/signed")
    assert (refused.status, "needs a signed address" in refused.public) == (403, True)
    other = signed_path(KEY, "/signed", int(time.time()) + 60, "192.0.2.8")
    assert house.refusal(other).public == "This address was made for another IP address"


def test_wrong_passwords_from_one_address_are_few(house: House) -> None:
    for _ in range(10):
        house.refusal("/file", ("ann", "wrong"))
    assert house.refusal("/file", ("ann", "wrong")).status == 429
    assert house.refusal("/file", ("ann", "a")).status == 429, "nobody learns that it is right"
    assert house.come("/file", ("ann", "a"), ip="192.0.2.99").user == "ann"


def test_guest_has_the_time_that_the_server_gives_it(house: House) -> None:
    house.calls.verdict = Judgement(True, limit_s=30.0)
    assert house.come("/asked").limit_s == 30.0
    house.calls.verdict = Judgement(True)
    assert house.come("/asked").limit_s == 0.0
