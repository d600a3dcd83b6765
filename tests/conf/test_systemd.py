"""conf/pycast.service: what systemd itself says of it, and that its times fit those of the examples."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pycast.app.node import STOP_S
from pycast.config.load import load
from pycast.config.units import parse_time
from tests.conf.examples import CLUSTER_ENVIRONMENT, CONF

UNIT = CONF / "pycast.service"


def settings() -> dict[str, list[str]]:
    """Each key with its values, in order. No key of the unit stands in two sections."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_systemd_knows_every_setting(tmp_path: Path) -> None:
    """Where there is a systemd; it looks for the programs too, so the example's become ones that are there."""
    program = shutil.which("systemd-analyze")
    if program is None:
        assert Path("/run/systemd/system").exists() is False, "systemd runs here, without systemd-analyze"
        return
    copy = tmp_path / "pycast.service"
    copy.write_text(UNIT.read_text().replace("/opt/pycast/bin/pycast", "/bin/true"))
    done = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_waits_for_the_node_and_watches_its_loop() -> None:
    unit = settings()
    assert unit["Type"] == ["notify"]
    assert unit["NotifyAccess"] == ["main"]
    assert 10 <= float(unit["WatchdogSec"][0]) <= 60
    # The notifier's socket, and nothing else, needs this family.
    assert "AF_UNIX" in unit["RestrictAddressFamilies"][0].split()


@pytest.mark.parametrize("name", ["cluster/pycast.toml", "cluster/pycast-etcd.toml", "minimal.toml"])
def test_a_stop_is_not_cut_short_while_the_node_drains(name: str) -> None:
    drain = load(CONF / name, CLUSTER_ENVIRONMENT).drain
    assert settings()["KillSignal"] == ["SIGTERM"]
    assert parse_time(settings()["TimeoutStopSec"][0]) >= drain.deadline + STOP_S + 10


def test_a_reload_that_would_be_refused_sends_no_signal() -> None:
    check, hang_up = settings()["ExecReload"]
    assert check.endswith("pycast check /etc/pycast/pycast.toml")
    assert hang_up.endswith("kill -HUP $MAINPID")


def test_every_listener_has_a_descriptor() -> None:
    clients = load(CONF / "cluster" / "pycast.toml", CLUSTER_ENVIRONMENT).limits.clients
    assert int(settings()["LimitNOFILE"][0]) > 2 * clients


def test_the_secret_comes_from_the_environment() -> None:
    assert settings()["EnvironmentFile"] == ["-/etc/pycast/pycast.env"]
    assert "/etc/pycast/pycast.env" in (CONF / "cluster" / "pycast.toml").read_text()
