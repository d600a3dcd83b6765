"""Tests of pycast.auth.known_passwords: what everybody can guess, and which keys hold it."""

import random

import pytest

from pycast.auth.known_passwords import WELL_KNOWN, is_well_known, password_advice, well_known_keys
from pycast.config.load import loads
from pycast.config.random_passwords import random_password


@pytest.mark.parametrize(
    "password",
    ["hackme", "HackMe", "hackme1", "change me", "change me 3", "Change-Me!", "changeme", "", "  ", "admin", "12345"],
)
def test_what_is_in_manuals_and_examples_is_well_known(password: str) -> None:
    assert is_well_known(password)


@pytest.mark.parametrize("password", ["adminpass", "hackmexy", "xhackme", "48151623", "пароль-7", "!?", "k3vq"])
def test_other_passwords_are_not(password: str) -> None:
    assert not is_well_known(password)


def test_the_name_of_the_user_is_no_password() -> None:
    assert is_well_known("Morning Show", "morningshow")
    assert not is_well_known("morningshow")
    assert not is_well_known("!!!", "???")


def test_a_random_password_is_never_taken_for_a_known_one() -> None:
    rng = random.Random(1)
    assert not any(is_well_known(random_password(rng)) for _ in range(2000))
    assert max(map(len, WELL_KNOWN)) < 16


def test_each_key_with_a_known_password_is_named_once() -> None:
    toml = """
        [authentication]
        source_password = "fgQ7-vTr-2x"
        admin_password = "change me 3"
        [[mount]]
        mount_name = "/a"
        [[mount]]
        mount_name = "/b"
        username = "bob"
        password = "bob1"
        [[mount]]
        mount_name = "/c"
        password = "changeme"
    """
    keys = ["authentication.relay_password", "authentication.admin_password", "mount[2].password"]
    config = loads(toml, {}, "test")
    assert list(well_known_keys(config)) == keys
    lines = list(password_advice(config))
    assert [line.partition(" ")[0] for line in lines] == [*keys[:2], "mount[1].password", keys[2]]
    assert [line for line in lines if "from this machine only" in line] == [lines[1]]
    assert not any("change me" in line or "hackme" in line or "bob1" in line for line in lines)


def test_short_secrets_of_any_section_are_weak() -> None:
    lines = (f'{role}_password = "{password}"\n' for role, password in (("source", "k3vqz7x"), ("relay", "k3vqz7xy")))
    toml = f'[authentication]\n{"".join(lines)}admin_password = "k3vqz7xyz"\n[cluster]\nsecret = "k3vq"\n'
    said = list(password_advice(loads(toml, {}, "test")))
    assert [line.partition(" has fewer than 8 characters")[0] for line in said] == [
        "authentication.source_password",
        "cluster.secret",
    ]
    known = list(password_advice(loads('[cluster]\nsecret = "change me 1"\n', {}, "test")))
    assert "cluster.secret is publicly known: set one that nobody can guess" in known


def test_a_configuration_with_passwords_of_its_own_gets_no_advice() -> None:
    lines = (f'{role}_password = "fgQ7-vTr-{role}"\n' for role in ("source", "relay", "admin"))
    assert list(password_advice(loads(f"[authentication]\n{''.join(lines)}", {}, "test"))) == []
