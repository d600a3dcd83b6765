"""The pytest plugin, in runs of pytest of its own."""

import re
from pathlib import Path
from typing import Any

import pytest

from pycast.testing import Server
from tests.testing.test_docs import run_pytest


def test_fixture_is_a_running_server(pycast_server: Server) -> None:
    assert pycast_server.get("/livez")[0] == 200


@pytest.mark.pycast(hostname="radio.example.org", sources=0)
def test_marker_gives_settings(pycast_server: Server) -> None:
    assert b"radio.example.org" in pycast_server.get("/status-json.xsl")[1]


def test_shared_server_is_the_same_for_all(pycast_shared_server: Server, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue("pycast_shared_server") is pycast_shared_server
    assert pycast_shared_server.get("/livez")[0] == 200


@pytest.mark.pycast(location="outer", hostname="outer")
class TestNearestMarkerHasTheLastWord:
    @pytest.mark.pycast(location="inner")
    def test_it(self, pycast_server: Server) -> None:
        status = pycast_server.get("/status-json.xsl")[1]
        assert b'"location":"inner"' in status and b'"host":"outer"' in status


def test_many_servers_for_one_test(make_pycast_server: Any) -> None:
    servers = [make_pycast_server(hostname=name) for name in ("one.example.org", "two.example.org")]
    assert servers[0].port != servers[1].port
    assert b"two.example.org" in servers[1].get("/status-json.xsl")[1]


FAILING = """
import pytest
from pycast.testing.fixtures import server_fixture

radio = server_fixture(scope="module", hostname="radio.example.org")


def test_others(radio, pycast_shared_server):
    radio.get("/another.mp3")
    pycast_shared_server.get("/another.mp3")


def test_it(radio, pycast_shared_server, pycast_server, make_pycast_server):
    make_pycast_server().get("/none.mp3")
    make_pycast_server().get("/none.mp3")
    for server in (pycast_server, radio, pycast_shared_server):
        server.get("/none.mp3")
    with pytest.raises(OSError):
        pycast_server.wait_for_source("/live.mp3", timeout=0)
    radio.wait_for_source("/live.mp3", timeout=0)
"""


def test_report_of_a_failed_test_has_what_its_servers_logged_meanwhile_and_a_short_traceback(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(FAILING)
    done = run_pytest(file)
    assert done.returncode == 1
    names = re.findall(r"-+ pycast log \((.+)\) -+$", done.stdout, re.MULTILINE)
    assert sorted(names) == [
        "make_pycast_server", "make_pycast_server 2", "pycast_server", "pycast_shared_server", "radio"
    ]  # fmt: skip
    # With CI=true, pytest's summary has the whole message, and with it a log.
    sections = done.stdout.partition("pycast log (")[2].partition("short test summary")[0]
    assert sections.count("! 127.0.0.1: GET /none.mp3") == 5 and "another" not in sections
    assert "ServerTimeout: waited 0 s for a source on /live.mp3; its mounts: none" in done.stdout
    assert re.findall(r"^(\S+\.py):\d+: ", done.stdout, re.MULTILINE) == ["test_it.py"]


def test_run_that_does_not_use_it_does_not_load_the_server(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(
        "import sys\n\n\ndef test_it():\n    assert not {'gevent', 'pycast.config', 'pycast.app'} & set(sys.modules)\n"
    )
    done = run_pytest(file)
    assert done.returncode == 0, done.stdout
