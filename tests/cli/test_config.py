"""`pycast config` prints a file to start from: the whole manual, and a server like one without a file."""

from click.testing import CliRunner

from pycast.cli.main import main
from pycast.config.load import loads
from pycast.config.schema import Config


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["config", *arguments])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_what_it_prints_is_a_configuration_of_nothing_but_defaults() -> None:
    assert loads(printed(), {}, "printed") == loads("", {}, "empty")


def test_every_section_is_in_it() -> None:
    toml = printed()
    assert [name for name in Config.KEYS if f"[{name}]" not in toml] == []


def test_as_a_page_it_has_a_table_for_each_section() -> None:
    page = printed("--markdown")
    assert page.startswith("#")
    assert [name for name in Config.KEYS if name not in page] == []


def test_output_ends_with_one_line_end() -> None:
    for arguments in ((), ("--markdown",)):
        text = printed(*arguments)
        assert text.endswith("\n") and not text.endswith("\n\n")
