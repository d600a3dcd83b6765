"""Tests of pycast.app.process_owner: the process ends up as the user that is named, or does not start."""

import os
import pwd
import subprocess

import pytest

from pycast.app.process_owner import ProcessOwner, missing_owner, owner_advice, owner_of
from pycast.config.load import loads
from pycast.config.schema import Config
from pycast.errors import ConfigError
from tests.e2e.as_icecast import modules, python_for


def config(user: str, group: str = "") -> Config:
    return loads(f'[security]\nuser = "{user}"\ngroup = "{group}"\n', {}, "test")


def test_without_a_user_the_process_stays_who_it_is() -> None:
    assert owner_of(loads("", {}, "test")) is None


@pytest.mark.parametrize(("user", "group", "said"), [
    ("no-such-user", "", 'security.user = "no-such-user": expected a user of this machine'),
    ("nobody", "no-such-group", 'security.group = "no-such-group": expected a group of this machine'),
])  # fmt: skip
def test_user_or_group_that_is_not_there_is_an_error(user: str, group: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        owner_of(config(user, group))
    assert list(missing_owner(config(user, group))) == [said]


def test_who_is_not_root_stays_who_he_is_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: pwd.getpwnam("nobody").pw_uid)
    assert owner_of(config("root")) is None
    assert list(owner_advice(config("root"))) == [
        'security.user = "root": only root can change the user; the server goes on as nobody'
    ]
    assert list(owner_advice(config("nobody"))) == []


def test_who_is_not_root_needs_no_user_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: pwd.getpwnam("nobody").pw_uid)
    unknown = config("no-such-user", "no-such-group")
    assert owner_of(unknown) is None
    assert list(missing_owner(unknown)) == []
    assert list(owner_advice(unknown)) == [
        'security.user = "no-such-user": only root can change the user; the server goes on as nobody'
    ]


def test_group_is_the_users_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    nobody = pwd.getpwnam("nobody")
    found, other = owner_of(config("nobody")), owner_of(config("nobody", "daemon"))
    assert found is not None
    assert other is not None
    assert (found.uid, found.gid) == (nobody.pw_uid, nobody.pw_gid)
    assert other.gid not in (nobody.pw_gid, 0)


SCRIPT = """
import os, socket
from pycast.app.process_owner import owner_of
from pycast.config.load import loads

owner = owner_of(loads('[security]\\nuser = "nobody"\\n', {}, "test"))
owner.act()
acts_as = os.geteuid()
with owner.as_root():
    sock = socket.create_server(("127.0.0.1", 0))
    assert (os.geteuid(), os.getegid()) == (0, 0)
assert os.geteuid() == acts_as == owner.uid
owner.give_up([sock.fileno()])
assert os.getresuid() == (owner.uid,) * 3
assert os.getresgid() == (owner.gid,) * 3
assert 0 not in os.getgroups()
assert os.fstat(sock.fileno()).st_uid == owner.uid
try:
    os.seteuid(0)
except PermissionError:
    print("gave it up")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_is_given_up_for_good_and_sockets_belong_to_the_user() -> None:
    done = subprocess.run(
        [python_for("nobody"), "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": modules()},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "gave it up\n", done.stderr


def test_user_who_cannot_read_the_modules_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("setgroups", "setegid", "seteuid"):
        monkeypatch.setattr(os, name, lambda given: None)
    monkeypatch.setattr(os, "access", lambda name, mode, effective_ids: name != os.__file__)
    with pytest.raises(ConfigError, match=r'security.user = "nobody": expected a user that can read'):
        ProcessOwner("nobody", 65534, 65534).act()
    files = ("/etc/x.pem", "", os.__file__)
    assert [line.split(":")[0] for line in ProcessOwner("nobody", 1, 1).unreadable(files)] == [
        f"user nobody cannot read {os.__file__}"
    ]
