"""Tests of pycast.auth.htpasswd: a file that changes, checks that hold up nobody, and changes by admins."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.pool import Pool

from pycast.auth import htpasswd
from pycast.auth.htpasswd import CHECK_S, Changed, PasswordChecks, UserFile
from pycast.auth.password_file import hashed
from pycast.errors import Refused
from pycast.stats.counters import Counters

MD5_OF_A = "0cc175b9c0f1b6a831c399e269772661"
SLOW = hashed("pw", b"s" * 16)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    def later(self) -> None:
        self.now += CHECK_S + 0.1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(f"ann:{MD5_OF_A}\nbob:{SLOW}\n")
    return path


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def checks(counters: Counters) -> Iterator[PasswordChecks]:
    made = PasswordChecks(counters)
    yield made
    made.close()


@pytest.fixture
def users(path: Path, checks: PasswordChecks, clock: Clock) -> UserFile:
    return UserFile(str(path), checks, clock)


@pytest.mark.parametrize(
    ("user", "password", "is_so"),
    [
        ("ann", "a", True),
        ("ann", "b", False),
        ("bob", "pw", True),
        ("bob", "a", False),
        ("eve", "a", False),
        ("", "", False),
    ],
)
def test_users_come_in_with_their_password_only(users: UserFile, user: str, password: str, is_so: bool) -> None:
    assert users.is_right(user, password) is is_so


def test_file_is_read_again_when_it_changes_and_not_at_each_check(
    users: UserFile, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    read = htpasswd._read

    def counted(path: Path, known: Any) -> Any:
        nonlocal looks
        looks += 1
        return read(path, known)

    monkeypatch.setattr(htpasswd, "_read", counted)
    for _ in range(20):
        assert users.is_right("ann", "a")
    assert looks == 1
    path.write_text("eve:" + MD5_OF_A)
    assert not users.is_right("eve", "a")
    clock.later()
    assert users.is_right("eve", "a") and not users.is_right("ann", "a")


def test_good_result_is_remembered_until_the_hash_changes_and_a_bad_one_is_not(
    users: UserFile, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    compute = PasswordChecks._compute

    def counted(self: PasswordChecks, stored: str, password: str) -> bool:
        computed.append(password)
        return compute(self, stored, password)

    monkeypatch.setattr(PasswordChecks, "_compute", counted)
    for password in ("pw", "pw", "no", "no", "pw"):
        assert users.is_right("bob", password) is (password == "pw")
    assert computed == ["pw", "no", "no"]
    path.write_text(f"bob:{hashed('pw', b'other' * 3)}")
    clock.later()
    assert users.is_right("bob", "pw")
    assert computed[3:] == ["pw"]


def test_remembered_results_are_few(checks: PasswordChecks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(htpasswd, "MOST_REMEMBERED", 3)
    monkeypatch.setattr(PasswordChecks, "_compute", lambda self, stored, password: True)
    for number in range(10):
        assert checks.is_right(f"u{number}", "pw", SLOW)
    assert len(checks._good) == 3


def test_loop_goes_on_while_a_hash_is_computed(users: UserFile) -> None:
    turns = 0

    def count() -> None:
        nonlocal turns
        while True:
            gevent.sleep(0)
            turns += 1

    counter = Pool().spawn(count)
    try:
        assert users.is_right("bob", "pw")
    finally:
        counter.kill()
    assert turns > 5


def test_those_who_wait_are_few(checks: PasswordChecks, counters: Counters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(htpasswd, "MOST_WAITING", 2)
    waiting = [Pool().spawn(checks.is_right, f"u{number}", "pw", SLOW) for number in range(2)]
    gevent.sleep(0)
    with pytest.raises(Refused) as refused:
        checks.is_right("late", "pw", SLOW)
    assert (refused.value.status, dict(refused.value.headers)) == (503, {"Retry-After": "5"})
    assert [one.get() for one in waiting] == [True, True]
    assert (checks.waiting, counters.busy_logins) == (0, 1)


def test_time_does_not_tell_who_is_in_the_file(users: UserFile, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []

    def compute(self: PasswordChecks, stored: str, password: str) -> bool:
        computed.append(password)
        return False

    monkeypatch.setattr(PasswordChecks, "_compute", compute)
    users.is_right("eve", "guess")
    users.is_right("bob", "guess")
    assert computed == ["guess", "guess"]


def test_file_that_is_gone_is_said_once_and_who_was_in_it_stays(
    users: UserFile, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    assert users.is_right("ann", "a")
    path.unlink()
    for _ in range(3):
        clock.later()
        assert users.is_right("ann", "a")
    assert len(caplog.records) == 1
    path.write_text("")
    clock.later()
    assert not users.is_right("ann", "a")


def test_file_that_was_never_there_lets_nobody_in(
    tmp_path: Path, checks: PasswordChecks, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    users = UserFile(str(tmp_path / "none"), checks, clock)
    assert not users.is_right("ann", "a") and users.users() == []
    assert len(caplog.records) == 1


def test_hash_of_an_unknown_kind_is_said(path: Path, users: UserFile, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text("ann:$9$10$x\n")
    assert not users.is_right("ann", "a")
    assert "unknown kind for 1 users" in caplog.text


def test_admin_adds_lists_and_deletes_users_and_they_count_at_once(users: UserFile, path: Path) -> None:
    assert users.add("eve", "e") is Changed.ADDED
    assert users.add("eve", "other") is Changed.EXISTS
    assert users.is_right("eve", "e") and not users.is_right("eve", "other")
    assert users.users() == ["ann", "bob", "eve"]
    assert users.delete("ann") is Changed.DELETED
    assert users.delete("ann") is Changed.NOT_DELETED
    assert not users.is_right("ann", "a")
    assert path.read_text().startswith("bob:")


@pytest.mark.parametrize("user", ["a:b", "#x", "a\nb"])
def test_name_that_cannot_be_is_not_added(users: UserFile, path: Path, user: str) -> None:
    before = path.read_text()
    assert users.add(user, "x") is Changed.NOT_ADDED
    assert path.read_text() == before


def test_folder_that_is_not_there_is_a_failure(checks: PasswordChecks, clock: Clock, tmp_path: Path) -> None:
    users = UserFile(str(tmp_path / "no" / "users"), checks, clock)
    assert users.add("ann", "a") is Changed.NOT_ADDED
    assert users.delete("ann") is Changed.NOT_DELETED
