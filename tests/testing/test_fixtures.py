"""Fixtures of a scope of one's own, and which lines of whose log a report gets. (In runs of pytest: test_plugin.py.)"""

import pytest

from pycast.testing import Server
from pycast.testing.fixtures import LogWatch, MakeServer, server_fixture

radio = server_fixture(scope="module", hostname="radio.example.org", location="nowhere")
pytestmark = pytest.mark.pycast(location="here")
ports: set[int] = set()


class Log:
    text = ""

    def mark_log(self) -> str:
        return self.text

    def log_since(self, mark: str) -> str:
        return self.text.removeprefix(mark)


@pytest.mark.parametrize("number", [1, 2])
def test_a_server_of_a_module_is_one_and_has_its_settings_and_markers(radio: Server, number: int) -> None:
    ports.add(radio.port)
    assert len(ports) == 1
    status = radio.get("/status-json.xsl")[1]
    assert b'"host":"radio.example.org"' in status and b'"location":"here"' in status


def test_only_lines_of_the_present_test_are_told() -> None:
    watch, shared, own = LogWatch(), Log(), Log()
    with watch.watching("shared", shared):
        shared.text = "before\n"
        watch.begin_test()
        assert watch.sections() == []
        with watch.watching("own", own), watch.watching("own", own):
            shared.text += "now\n"
            own.text = "all\n"
            assert watch.sections() == [
                ("pycast log (shared)", "now\n"),
                ("pycast log (own)", "all\n"),
                ("pycast log (own 2)", "all\n"),
            ]
        assert watch.sections() == [("pycast log (shared)", "now\n")]
    assert watch.sections() == []


def test_made_servers_have_the_settings_of_the_test_and_their_own_and_end_together() -> None:
    make = MakeServer("make", {"hostname": "a.example.org", "location": "a"})
    server = make(location="b")
    status = server.get("/status-json.xsl")[1]
    assert b'"host":"a.example.org"' in status and b'"location":"b"' in status
    make.close()
    assert server.exit_status == 0
