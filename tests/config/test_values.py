"""Tests of pycast.config.values: what no text may have, and words."""

from collections.abc import Iterator

import pytest

from pycast.config.load import loads
from pycast.config.schema import AuthenticationSection, Config, ListenSection, ServerSection
from pycast.config.section import Key, Section
from pycast.config.values import SERVED
from pycast.errors import ConfigError


def test_what_a_port_serves_is_a_list_or_one_text() -> None:
    read = ListenSection.KEYS["serves"].read
    assert read(["admin", "metrics"]) == ("admin", "metrics")
    assert read("listeners, sources") == ("listeners", "sources")  # a variable of the environment
    assert read([]) == ()
    assert loads("", {}, "f").listen[0].serves == SERVED


@pytest.mark.parametrize(
    ("written", "hint"),
    [(["listner"], "did you mean listeners?"), (["Admin"], "did you mean admin?"), (["x"], "not 'x'")],
)
def test_a_word_that_no_port_serves_is_answered_with_the_nearest(written: object, hint: str) -> None:
    with pytest.raises(ValueError, match="expected a list of the words listeners, sources") as error:
        ListenSection.KEYS["serves"].read(written)
    assert hint in str(error.value)


@pytest.mark.parametrize("character", ["\x00", "\n", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\ud800"])
def test_no_text_has_a_character_that_ends_a_line_or_moves_a_cursor(character: str) -> None:
    for section, key in ((ServerSection, "location"), (AuthenticationSection, "admin_password")):
        with pytest.raises(ValueError, match="expected"):
            section.KEYS[key].read(f"a{character}b")
    assert ServerSection.KEYS["location"].read("Köln \u200e") == "Köln \u200e"


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "Connection", "icy-metaint", "Content-Encoding"]
)
@pytest.mark.parametrize("where", ["[http_headers]\n", '[[mount]]\nmount_name = "/x"\n[mount.http_headers]\n'])
def test_headers_by_which_clients_read_an_answer_are_the_servers_own(where: str, name: str) -> None:
    for value in ('"5"', '{ "404" = "5" }'):
        with pytest.raises(ConfigError, match=f"http_headers.*expected no {name}"):
            loads(f"{where}{name} = {value}\n", {}, "test")


def test_such_a_header_of_an_icecast_xml_is_left_out_with_its_line() -> None:
    header = '<header name="Content-Length" value="5"/>'
    config = loads(f"<icecast>\n<http-headers>\n{header}\n</http-headers></icecast>", {}, "icecast.xml")
    assert "Content-Length" not in config.http_headers
    assert [note for note in config.notes if note.startswith("icecast.xml:3: left out") and "Content-Length" in note]


@pytest.mark.parametrize("name", ["hex", "rot13", "undefined", "klingon"])
def test_a_charset_is_one_of_text(name: str) -> None:
    with pytest.raises(ConfigError, match="expected the name of a character set"):
        loads(f'[[mount]]\nmount_name = "/x"\ncharset = "{name}"\n', {}, "test")


def keys_of(section: type[Section]) -> Iterator[Key]:
    for key in section.KEYS.values():
        if key.section:
            yield from keys_of(key.section)
        else:
            yield key


ODD_NUMBERS = ("--5", "²", "9" * 400, "9" * 400 + "M", "9" * 5000 + "%", 10**400, -(10**400), "1e999", "nan")


@pytest.mark.parametrize("value", [*ODD_NUMBERS, True, None, [], {}, b"", "http://["], ids=lambda one: repr(one)[:20])
def test_every_key_takes_a_value_or_says_what_it_expects(value: object) -> None:
    for key in keys_of(Config):
        try:
            key.read(value)
        except ValueError as error:
            assert str(error).startswith("expected"), key.name
