"""Tests of pycast.config.toml_table: what was set is what a reader of the file gets."""

import tomli

from pycast.config.toml_table import TomlTable


def test_values_load_as_they_were_set_and_words_are_comments() -> None:
    table = TomlTable("[logging]")
    table.set("access_log", 'a "b"', "closed: line 3")
    table.set("Access-Control-Allow-Origin", "*")
    table.set("max_listeners", 5, "first")
    table.set("max_listeners", 0)
    table.set("hidden", True)
    table.set("hidden", None)
    table.set_off("error_log", "/l/e", "nobody can write it")
    assert tomli.loads(table.text()) == {
        "logging": {"access_log": 'a "b"', "Access-Control-Allow-Origin": "*", "max_listeners": 0}
    }
    assert table.text().splitlines()[1:] == [
        'access_log = "a \\"b\\""  # closed: line 3',
        '"Access-Control-Allow-Origin" = "*"',
        "max_listeners = 0",
        '# error_log = "/l/e"  # nobody can write it',
    ]


def test_section_without_a_line_is_no_text() -> None:
    assert TomlTable("[server]").text() == ""
