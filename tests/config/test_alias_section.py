"""Tests of pycast.config.alias_section: an alias holds where it says."""

import pytest

from pycast.config.alias_section import AliasSection
from pycast.config.load import loads
from pycast.errors import ConfigError


@pytest.mark.parametrize(
    ("alias", "address", "port", "holds"),
    [
        (AliasSection(), "10.0.0.1", 8000, True),
        (AliasSection(port=8000), "10.0.0.1", 8000, True),
        (AliasSection(port=8001), "10.0.0.1", 8000, False),
        (AliasSection(bind_address="10.0.0.1"), "10.0.0.1", 8000, True),
        (AliasSection(bind_address="10.0.0.1"), "::ffff:10.0.0.1", 8000, True),
        (AliasSection(bind_address="10.0.0.2", port=8000), "10.0.0.1", 8000, False),
        (AliasSection(bind_address="2001:DB8::1"), "2001:db8:0::1", 8000, True),
        (AliasSection(bind_address="no address"), "10.0.0.1", 8000, False),
    ],
)
def test_an_alias_holds_at_its_address_and_port(alias: AliasSection, address: str, port: int, holds: bool) -> None:
    assert alias.holds_at(address, port) == holds


def test_aliases_are_found_by_their_source_in_the_order_of_the_file() -> None:
    text = "".join(
        f'[[alias]]\nsource = "{source}"\ndestination = "{to}"\n'
        for source, to in (("/a", "/1"), ("/b", "/2"), ("/a", "/3"))
    )
    aliases = loads(text, {}, "test").aliases
    assert {source: [one.destination for one in ones] for source, ones in aliases.items()} == {
        "/a": ["/1", "/3"],
        "/b": ["/2"],
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('source = "/a"', 'alias[0].destination: expected a path, such as "/listen"'),
        ('source = "/a"\ndestination = "/a"', "expected another path than source"),
        ('source = "a"\ndestination = "/a"', "expected a name that begins with one"),
    ],
)
def test_an_alias_that_leads_nowhere_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        loads(f"[[alias]]\n{text}\n", {}, "test")
    assert problem in str(error.value)
