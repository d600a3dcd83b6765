"""Tests of pycast.config.icecast_aliases: aliases and the file server of Icecast's file."""

import pytest

from tests.config.imports import imported, left_out


@pytest.mark.parametrize("word", ["destination", "dest"])
def test_an_alias_comes_over(word: str) -> None:
    xml = f'<paths><alias source="/a" {word}="/b.mp3" port="8001" bind-address="10.0.0.1"/></paths>'
    (alias,) = imported(xml).alias
    assert (alias.source, alias.destination, alias.port, alias.bind_address) == ("/a", "/b.mp3", 8001, "10.0.0.1")


def test_what_the_server_does_anyway_makes_no_section() -> None:
    assert imported('<paths><alias source="/" dest="/status.xsl"/></paths>').alias == ()


@pytest.mark.parametrize("attributes", ['source="/a"', 'destination="/a"', 'source="/a" dest="/a"', ""])
def test_an_alias_that_leads_nowhere_is_named(attributes: str) -> None:
    (note,) = left_out(f"<paths><alias {attributes}/></paths>")
    assert note.startswith("line 1: paths/alias") and note.endswith(
        "it needs a source and another path as its destination"
    )


def test_an_alias_that_is_no_path_is_named() -> None:
    (note,) = left_out('<paths><alias source="a" destination="/b"/></paths>')
    assert "expected a name that begins with one" in note


def test_the_file_server_comes_over() -> None:
    config = imported("<fileserve>0</fileserve><mime-types>/m</mime-types><paths><webroot>/w</webroot></paths>")
    assert (config.server.fileserve, config.paths.mime_types, config.paths.webroot) == (False, "/m", "/w")
    assert imported("<paths><mime-types>/m</mime-types></paths>").paths.mime_types == "/m"
