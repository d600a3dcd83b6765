"""The pytest plugin, in runs of pytest of its own."""

from pathlib import Path

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


def test_report_of_a_failed_test_has_the_servers_log(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text("def test_it(pycast_server):\n    pycast_server.get('/%00')\n    assert False\n")
    done = run_pytest(file)
    assert done.returncode == 1
    assert "pycast log" in done.stdout and "/%00" in done.stdout


def test_run_that_does_not_use_it_does_not_load_the_server(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(
        "import sys\n\n\ndef test_it():\n    assert not {'gevent', 'pycast.config', 'pycast.app'} & set(sys.modules)\n"
    )
    done = run_pytest(file)
    assert done.returncode == 0, done.stdout
