"""Tests of pycast.config.schema: defaults, and that every key is explained."""

import pytest

from pycast import __version__
from pycast.config.schema import Config, LoggingSection, MountSection
from pycast.config.section import Section
from pycast.config.units import Size

SECTIONS = [key.section for key in Config.KEYS.values() if key.section]


def test_defaults_are_those_of_the_manual() -> None:
    config = Config()
    assert (config.limits.clients, config.limits.sources) == (10000, 100)
    assert (config.limits.queue_size, config.limits.burst_size) == (Size(bytes=524288), Size(bytes=65536))
    assert (config.limits.client_timeout, config.limits.header_timeout, config.limits.source_timeout) == (30, 15, 10)
    assert (config.limits.flush_interval, config.limits.source_grace, config.limits.source_takeover) == (0.5, 5, True)
    assert [(listen.bind_address, listen.port) for listen in config.listen] == [("0.0.0.0", 8000)]
    assert config.server.server_id == f"pycast {__version__}"
    assert config.http_headers == {"Access-Control-Allow-Origin": "*"}
    assert (config.logging.access_log, config.logging.error_log, config.logging.playlist_log) == ("-", "-", "")


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_and_key_is_explained(section: type[Section]) -> None:
    assert section.__doc__
    for name, key in section.KEYS.items():
        assert key.text, name
        assert key.text.endswith("."), name


@pytest.mark.parametrize("section", SECTIONS)
def test_every_default_and_example_is_a_value_that_the_key_accepts(section: type[Section]) -> None:
    for name, key in section.KEYS.items():
        if key.default is not None:
            assert key.read(key.default) == key.default, name
        if key.example is not None:
            key.read(key.example)


def test_nothing_can_be_changed_after_loading() -> None:
    with pytest.raises(AttributeError):
        setattr(Config().limits, "clients", 5)  # noqa: B010  # a type checker would refuse the plain way


@pytest.mark.parametrize(
    ("written", "meant"), [(-1, None), ("-1", None), (0, False), (1, True), (True, True), ("no", False)]
)
def test_public_takes_icecasts_three_values(written: object, meant: bool | None) -> None:
    assert MountSection.KEYS["public"].read(written) is meant


@pytest.mark.parametrize(("written", "meant"), [(4, "debug"), ("3", "info"), ("WARN", "warning"), ("error", "error")])
def test_log_level_takes_icecasts_numbers(written: object, meant: str) -> None:
    assert LoggingSection.KEYS["log_level"].read(written) == meant
