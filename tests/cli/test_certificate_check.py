"""Tests of pycast.cli.certificate_check, and of `pycast check` with it: what is an error, and what a warning."""

import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from pycast.cli.certificate_check import DAY_S, certificate_advice, certificate_problems, end_of_certificate
from pycast.cli.main import main
from pycast.config.load import loads
from pycast.config.schema import Config
from tests.net.test_certificate_files import make


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for 30 days from now on, and its key."""
    return make(tmp_path_factory.mktemp("tls"), "radio.example", days="30")


def config(certificate: str = "", key: str = "") -> Config:
    return loads(f'[tls]\ncertificate = "{certificate}"\nprivate_key = "{key}"\n', {}, "f.toml")


def date_of(what: str, certificate: str) -> str:
    """Returns its `startdate` or `enddate`, as openssl tells it."""
    command = ["openssl", "x509", "-noout", f"-{what}", "-in", certificate]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    return f"{datetime.strptime(said.partition('=')[2].strip(), '%b %d %H:%M:%S %Y GMT'):%Y-%m-%d}"


def advice(pair: tuple[str, str], days: float) -> list[str]:
    """What is said so many days after the certificate was made."""
    return list(certificate_advice(config(*pair), time.time() + days * DAY_S))


def test_right_certificate_needs_no_words_and_its_end_is_told(pair: tuple[str, str]) -> None:
    assert list(certificate_problems(config(*pair))) == advice(pair, 0) == advice(pair, 15.9) == []
    assert end_of_certificate(config(*pair)) == date_of("enddate", pair[0])
    assert end_of_certificate(config()) == ""
    assert list(certificate_problems(config())) == list(certificate_advice(config(), 0.0)) == []


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (16.5, ", in 13 days: renew it"),
        (28.5, ", in 1 day: renew it"),
        (29.5, ", in less than a day: renew it"),
        (30.5, ": clients refuse it; renew it"),
        (-1, "clients refuse it until then"),
    ],
)
def test_certificate_at_its_end_or_before_its_begin_is_warned_about(
    pair: tuple[str, str], days: float, said: str
) -> None:
    [line] = advice(pair, days)
    assert line.startswith("tls.certificate ")
    assert f" on {date_of('enddate' if days > 0 else 'startdate', pair[0])}" in line
    assert said in line


def test_pair_that_cannot_be_used_is_an_error_of_the_right_key(pair: tuple[str, str], tmp_path: Path) -> None:
    certificate, key = pair
    other = make(tmp_path, "other")[1]
    for wrong, said in (
        (config(certificate), "tls.private_key"),
        (config(certificate, other), "tls.private_key"),
        (config(key, key), "tls.certificate"),
        (config("", key), "tls.certificate"),
    ):
        [line] = certificate_problems(wrong)
        assert line.startswith(f'{said} = "')
        assert "expected" in line


def test_check_fails_for_a_wrong_key_and_names_its_line(pair: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "pycast.toml"
    wrong = make(tmp_path, "other")[1]
    toml = f'[[listen]]\ntls = true\n[tls]\ncertificate = "{pair[0]}"\nprivate_key = '
    file.write_text(f'{toml}"{wrong}"\n')
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f'pycast: {file}:5: tls.private_key = "{wrong}": expected the key of')
    file.write_text(f'{toml}"{pair[1]}"\n')
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 0
    assert "certificate until 20" in result.stdout


def test_check_warns_of_a_certificate_that_is_over_and_does_not_fail(
    pair: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pycast.toml"
    file.write_text(f'[tls]\ncertificate = "{pair[0]}"\nprivate_key = "{pair[1]}"\n')
    later = time.time() + 31 * DAY_S
    monkeypatch.setattr("pycast.cli.check.time.time", lambda: later)
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 0
    assert f"warning: {file}:2: tls.certificate ended on " in result.stderr


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for some hosts."""
    hosts = "subjectAltName=DNS:Radio.example,DNS:*.cdn.example,IP:10.0.0.1,IP:2001:db8::1"
    return make(tmp_path_factory.mktemp("named"), "other.example", "-addext", hosts, days="30")


@pytest.mark.parametrize(
    ("toml", "refused"),
    [
        ('[server]\nhostname = "radio.example"\n[[listen]]\ntls = true\n', ""),
        ('[server]\nhostname = "a.cdn.example"\n[[listen]]\ntls = true\n', ""),
        ('[server]\nhostname = "10.0.0.1"\n[[listen]]\ntls = true\n', ""),
        ('[server]\nhostname = "other.example"\n[[listen]]\ntls = true\n', 'server.hostname = "other.example"'),
        ('[server]\nhostname = "a.b.cdn.example"\n[[listen]]\ntls = true\n', 'server.hostname = "a.b.cdn.example"'),
        ('[server]\nhostname = "cdn.example"\n[[listen]]\ntls = true\n', 'server.hostname = "cdn.example"'),
        ('[server]\nhostname = "other.example"\n', ""),  # no port of TLS
        ('[server]\nhostname = "x.example"\npublic_url = "https://y.example"\n[[listen]]\ntls = true\n', ""),
        ('[[listen]]\ntls = true\nbind_address = "10.0.0.9"\n', ""),
        ('[[listen]]\ntls = true\nbind_address = "z.example"\n', 'listen[0].bind_address = "z.example"'),
        ('[cluster]\nsecret = "s"\ntls = true\nadvertise = "[2001:DB8:0::1]:8000"\n', ""),
        ('[cluster]\nsecret = "s"\ntls = true\nadvertise = "10.0.0.2:8000"\n', 'cluster.advertise = "10.0.0.2"'),
        ('[cluster]\nsecret = "s"\nadvertise = "10.0.0.2:8000"\n', ""),
    ],
)
def test_certificate_that_is_not_for_a_host_that_clients_connect_to_is_warned_about(
    toml: str, refused: str, named: tuple[str, str]
) -> None:
    config = loads(f'{toml}[tls]\ncertificate = "{named[0]}"\nprivate_key = "{named[1]}"\n', {}, "f.toml")
    said = list(certificate_advice(config, time.time()))
    hosts = "Radio.example, *.cdn.example, 10.0.0.1, 2001:DB8:0:0:0:0:0:1"
    line = f"tls.certificate: clients that connect to {refused} refuse it: it is for {hosts}"
    assert said == ([line] if refused else [])


def test_certificate_without_any_host_is_said_to_be_for_none(pair: tuple[str, str]) -> None:
    toml = f'[[listen]]\ntls = true\n[tls]\ncertificate = "{pair[0]}"\nprivate_key = "{pair[1]}"\n'
    config = loads(f'[server]\nhostname = "radio.example"\n{toml}', {}, "f.toml")
    [line] = certificate_advice(config, time.time())
    assert line.endswith("refuse it: it is for no host at all (its subjectAltName is missing)")
