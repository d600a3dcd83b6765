"""conf/pycast.service, and the units of the AWS example: what systemd says of them, and that their times fit."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pycast.app.node import STOP_S
from pycast.config.load import load
from pycast.config.schema import Config
from pycast.config.units import parse_time
from pycast.net.sockets import BACKLOG
from tests.conf.examples import CLUSTER_ENVIRONMENT, CONF
from tests.conf.stack import files_of_a_node

UNIT, SOCKET = CONF / "pycast.service", CONF / "pycast.socket"
UNITS = {"conf": UNIT.read_text()} | {
    f"aws {Path(name).name}": text for name, text in files_of_a_node().items() if name.endswith(".service")
}
MIGRATION = (CONF.parent / "docs/migrating-from-icecast.md").read_text()
IN_ICECASTS_PLACE = re.findall(r"```ini\n(# /etc/systemd/.+?)```", MIGRATION, re.DOTALL)
# What a node at AWS does in its own way: it asks AWS first, and drains for longer.
OWN_AT_AWS = {"ExecStartPre", "ExecReload", "TimeoutStartSec", "TimeoutStopSec"}


def settings(text: str = UNITS["conf"]) -> dict[str, list[str]]:
    """Each key with its values, in order. No key of the unit stands in two sections."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_units_in_icecasts_place_wait_until_it_accepts_and_are_reloaded_by_the_signal() -> None:
    drop_in, debian = map(settings, IN_ICECASTS_PLACE)
    for unit in (drop_in, debian):
        assert unit["Type"] == ["notify"]
        assert unit["ExecReload"][-1] == "/bin/kill -HUP $MAINPID"
    assert drop_in["ExecStart"] == ["", "/usr/local/bin/icecast -c /etc/icecast.xml"]
    # logrotate's file in Debian's package looks for a process of this name, and the folders are this user's.
    assert debian["ExecStart"] == ["/usr/local/bin/icecast2 -c /etc/icecast2/icecast.xml"]
    assert (debian["User"], debian["Group"]) == (["icecast2"], ["icecast"])


@pytest.mark.parametrize("name", UNITS)
def test_systemd_knows_every_setting(name: str, tmp_path: Path) -> None:
    """Where there is a systemd; it looks for the programs too, so the example's become ones that are there."""
    program = shutil.which("systemd-analyze")
    if program is None:
        assert Path("/run/systemd/system").exists() is False, "systemd runs here, without systemd-analyze"
        return
    copy = tmp_path / "pycast.service"
    copy.write_text(re.sub(r"/opt/pycast/bin/pycast|/usr/local/bin/[a-z-]+", "/bin/true", UNITS[name]))
    done = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_takes_the_port_of_the_socket_unit_and_knows_its_service(tmp_path: Path) -> None:
    unit = settings(SOCKET.read_text())
    assert unit["ListenStream"] == [f"0.0.0.0:{Config().listen[0].port}"]
    assert unit["Backlog"] == [str(BACKLOG)]
    program = shutil.which("systemd-analyze")
    if program is None:
        assert Path("/run/systemd/system").exists() is False, "systemd runs here, without systemd-analyze"
        return
    service, socket = tmp_path / "pycast.service", tmp_path / "pycast.socket"
    service.write_text(re.sub(r"/opt/pycast/bin/pycast", "/bin/true", UNITS["conf"]))
    socket.write_text(SOCKET.read_text())
    command = [program, "verify", "--man=no", "--recursive-errors=no", str(socket), str(service)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
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


def test_the_unit_at_aws_is_the_same_but_for_what_is_its_own() -> None:
    shortened, whole = settings(UNITS["aws pycast.service"]), settings()
    assert {key: value for key, value in shortened.items() if key not in OWN_AT_AWS}.items() <= whole.items()
