"""Tests of pycast.config.serving: the port that is named serves what is wanted of it."""

import pytest

from pycast.config.load import loads
from pycast.config.serving import first_serving, first_shoutcast_mount, is_v6_only

SEPARATE = """
[[listen]]
port = 8000
serves = ["listeners", "health"]
[[listen]]
port = 8001
serves = ["listeners", "sources"]
[[listen]]
port = 8003
serves = ["admin", "metrics"]
"""


@pytest.mark.parametrize(
    ("kind", "index"), [("listeners", 0), ("sources", 1), ("health", 0), ("admin", 2), ("metrics", 2), ("nothing", 0)]
)
def test_the_first_port_that_serves_it_is_named(kind: str, index: int) -> None:
    assert first_serving(loads(SEPARATE, {}, "test"), kind) == index


def test_by_default_the_first_port_serves_all() -> None:
    assert first_serving(loads("", {}, "test"), "admin") == 0


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ('bind_address = "0.0.0.0"', True),
        ('bind_address = "192.0.2.1"', True),
        ("", True),
        ("port = 8001", False),
        ('port = 7999\nshoutcast_mount = "/sc"', True),
        ('bind_address = "::1"', False),
        ("port = 0", False),
    ],
)
def test_ipv6_leaves_ipv4_to_another_section_with_the_same_port(other: str, expected: bool) -> None:
    six = '[[listen]]\nbind_address = "::"\n'
    for toml, index in ((f"{six}[[listen]]\n{other}\n", 0), (f"[[listen]]\n{other}\n{six}", 1)):
        config = loads(toml, {}, "test")
        assert [is_v6_only(config, listen) for listen in config.listen].count(True) == expected
        assert is_v6_only(config, config.listen[index]) is expected


def test_the_first_shoutcast_port_names_the_mount() -> None:
    assert first_shoutcast_mount(loads("", {}, "test")) == ""
    second, third = (f'[[listen]]\nport = {port}\nshoutcast_mount = "/{name}"\n' for port, name in ((1, "a"), (3, "b")))
    toml = f"[[listen]]\n{second}{third}"
    assert first_shoutcast_mount(loads(toml, {}, "test")) == "/a"
