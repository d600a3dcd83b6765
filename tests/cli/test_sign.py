"""Tests of pycast.cli.sign: an address that the server takes."""

import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from pycast.auth.signed_address import why_not
from pycast.cli.main import main
from pycast.http.query import parse_form

KEYS = ("the new key, 16 or more", "the old key, 16 or more")
TOML = f"""
[server]
hostname = "radio.example"
[[mount]]
mount_name = "/live.mp3"
[mount.authentication]
type = "signed"
keys = ["{KEYS[0]}", "{KEYS[1]}"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pycast.toml"
    path.write_text(TOML)
    return path


def sign(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["sign", *map(str, arguments)])


def test_address_is_good_for_its_time_and_its_network(file: Path) -> None:
    result = sign("/live.mp3", "--config", file, "--valid", "2m", "--address", "192.0.2.0/24")
    assert result.stdout.startswith("http://radio.example:8000/live.mp3?expires=")
    query, now = parse_form(urlsplit(result.stdout.strip()).query.encode()), time.time()
    assert why_not(KEYS[:1], "/live.mp3", query, "192.0.2.7", now) == ""
    assert why_not(KEYS[:1], "/live.mp3", query, "192.0.3.7", now)
    assert why_not(KEYS[:1], "/live.mp3", query, "192.0.2.7", now + 121)


def test_address_is_at_the_port_for_listeners(file: Path) -> None:
    file.write_text(
        f'[[listen]]\nport = 8003\nserves = ["admin"]\n[[listen]]\nport = 8010\nserves = ["listeners"]\n{TOML}'
    )
    assert sign("/live.mp3", "--config", file).stdout.startswith("http://radio.example:8010/live.mp3?")


@pytest.mark.parametrize(("tls", "scheme"), [("true", "https"), ('"auto"', "http"), ("false", "http")])
def test_scheme_is_that_of_listenurl(file: Path, tls: str, scheme: str) -> None:
    """A port that takes both is told as http, as everywhere."""
    file.write_text(f'[tls]\ncertificate = "c.pem"\nprivate_key = "k.pem"\n[[listen]]\ntls = {tls}\n{TOML}')
    assert sign("/live.mp3", "--config", file).stdout.startswith(f"{scheme}://radio.example:8000/live.mp3?")


def test_file_is_found_as_by_serve(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert sign("/live.mp3").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("/x",), "no authentication"),
        (("live.mp3",), 'it has to begin with "/"'),
        (("/live.mp3", "--valid", "y"), "valid"),
        (("/live.mp3", "--address", "192.0.2.300"), "expected an IP address or a network"),
    ],
)
def test_what_cannot_be_signed_is_said(file: Path, arguments: tuple[str, ...], said: str) -> None:
    result = sign(*arguments, "--config", file)
    assert result.exit_code != 0 and said in result.stderr
