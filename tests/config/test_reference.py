"""Tests of pycast.config.reference: the sample files and the manual say what the schema says."""

import re
from pathlib import Path

import pytest

from pycast.config.load import loads
from pycast.config.reference import default_toml, reference_markdown, toml_value
from pycast.config.schema import Config, MountSection
from pycast.config.units import Size

ROOT = Path(__file__).parents[2]


def test_sample_file_is_what_the_schema_makes() -> None:
    assert (ROOT / "conf" / "pycast.toml").read_text() == default_toml(), "run: pycast config > conf/pycast.toml"


def test_manual_has_the_tables_the_schema_makes() -> None:
    manual = (ROOT / "docs" / "configuration.md").read_text()
    assert reference_markdown() in manual, "put the output of `pycast config --markdown` into docs/configuration.md"


def test_each_key_that_needs_a_restart_is_marked_in_the_file_and_in_the_manual() -> None:
    keys = [key for one in Config.KEYS.values() if one.section for key in one.section.KEYS.values()]
    marked = [line for line in reference_markdown().splitlines() if line.endswith("| yes |")]
    assert [line.split("`")[1] for line in marked] == [key.name for key in keys if key.needs_restart]
    assert len(marked) == len(re.findall("Needs a restart\\.", default_toml().replace("\n# ", " ")))


def test_default_file_means_the_same_as_no_file() -> None:
    assert loads(default_toml(), {}, "default") == Config()


def test_every_example_in_the_default_file_is_valid() -> None:
    shown = re.sub(r"^#(?=[a-z0-9_]+ = |\[)", "", default_toml(), flags=re.MULTILINE)
    # A secret is given as itself or as a file, not as both.
    is_file = re.compile(r'^(\w+)_file = "/run/secrets/\1"\n', re.MULTILINE)
    config = loads(is_file.sub("", shown), {}, "default")
    assert config.mount[0].given.keys() == {key.name for key in MountSection.KEYS.values() if not key.secret}
    assert config.server.server_id == "Icecast 2.4.4"


@pytest.mark.parametrize("name", ["minimal.toml", "station.toml"])
def test_example_files_are_valid(name: str) -> None:
    assert loads((ROOT / "conf" / name).read_text(), {}, name).authentication.source_password != "hackme"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "true"),
        (0.5, "0.5"),
        (30.0, "30"),
        (Size(bytes=65536), '"64k"'),
        (Size(bytes=65535), "65535"),
        (Size(seconds=4), '"4s"'),
        ('a"\\\n', '"a\\"\\\\\\U0000000a"'),
        ({"X-A": "b"}, '{ "X-A" = "b" }'),
        ({}, "{}"),
    ],
)
def test_values_are_written_as_toml(value: object, written: str) -> None:
    assert toml_value(value) == written
