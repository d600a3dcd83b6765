"""Tests of pycast.config.schema: defaults, and that every key is explained."""

import pytest
from pydantic import BaseModel, ValidationError

from pycast import __version__
from pycast.config.problems import section_model
from pycast.config.schema import Config
from pycast.config.units import Size

SECTIONS = [model for name in Config.model_fields if (model := section_model(name))]


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


@pytest.mark.parametrize("model", SECTIONS)
def test_every_section_and_key_is_explained(model: type[BaseModel]) -> None:
    assert model.__doc__
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_nothing_can_be_changed_after_loading() -> None:
    with pytest.raises(ValidationError):
        setattr(Config().limits, "clients", 5)  # noqa: B010  # a type checker would refuse the plain way


@pytest.mark.parametrize(
    ("written", "meant"), [(-1, None), ("-1", None), (0, False), (1, True), (True, True), ("no", False)]
)
def test_public_takes_icecasts_three_values(written: object, meant: bool | None) -> None:
    config = Config.model_validate({"mount": [{"mount_name": "/a", "public": written}]})
    assert config.mount[0].public is meant


@pytest.mark.parametrize(("written", "meant"), [(4, "debug"), ("3", "info"), ("WARN", "warning"), ("error", "error")])
def test_log_level_takes_icecasts_numbers(written: object, meant: str) -> None:
    assert Config.model_validate({"logging": {"log_level": written}}).logging.log_level == meant
