"""Tests of pycast.config.parse: tables become sections, and each thing that is wrong is found."""

from pycast.config.parse import parse
from pycast.config.schema import Config


def test_tables_become_sections() -> None:
    config, problems = parse({"limits": {"clients": "7"}, "listen": [{"port": 1}, {}], "http_headers": {"A": "b"}})
    assert problems == []
    assert config.limits.clients == 7
    assert [listen.port for listen in config.listen] == [1, 8000]
    assert config.http_headers == {"A": "b"}
    assert config.given.keys() == {"limits", "listen", "http_headers"}


def test_nothing_is_the_default_configuration() -> None:
    assert parse({}) == (Config(), [])


def test_all_that_is_wrong_is_found_in_the_order_of_the_tables() -> None:
    _, problems = parse({"limits": {"clients": 0, "x": 1}, "mount": [{"type": "y"}], "listen": {}, "tls": 3, "z": 4})
    assert [(path, value) for path, value, _ in problems] == [
        (("limits", "clients"), 0),
        (("limits", "x"), 1),
        (("mount", 0, "type"), "y"),
        (("listen",), {}),
        (("tls",), 3),
        (("z",), 4),
    ]
    assert all(expected.startswith(("expected ", "unknown ")) for _, _, expected in problems)


def test_what_is_wrong_is_left_out() -> None:
    config, _ = parse({"limits": {"clients": 0, "sources": 3}})
    assert (config.limits.clients, config.limits.sources) == (10000, 3)


def test_an_array_has_a_table_in_each_place() -> None:
    _, problems = parse({"mount": [{"mount_name": "/a"}, 7]})
    assert problems == [(("mount", 1), 7, "expected a table of keys")]
