"""Tests of pycast.cli.drain: where it finds the server, what it says, how it ends. Against a real server:
tests/balancer/test_drain.py.
"""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner

from pycast.cli.drain import own_url, text_of
from pycast.cli.main import main
from pycast.config.load import loads
from pycast.errors import ExternalError


def progress(state: str, listeners: object = 0) -> dict[str, object]:
    return {"state": state, "listeners": listeners, "of": 500, "next_s": 12.4, "deadline_s": 100.0}


class Answers(BaseHTTPRequestHandler):
    """Gives one state after the other to who has the password, then closes without a word."""

    states: ClassVar[list[tuple[str, object]]] = []
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:  # the library's name
        self.asked.append(f"{self.command} {self.path}")
        if not self.states:
            self.close_connection = True
            return
        allowed = self.headers.get("Authorization") == "Basic YWRtaW46cHc="  # admin:pw
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps(progress(*self.states.pop(0))).encode())

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("pycast.cli.drain._POLL_S", 0.0)
    Answers.states, Answers.asked = [], []
    with HTTPServer(("127.0.0.1", 0), Answers) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def run(*arguments: str) -> tuple[int, list[str], str]:
    result = CliRunner().invoke(main, ["drain", *arguments])
    return result.exit_code, result.stdout.splitlines(), result.stderr


@pytest.mark.parametrize(
    ("toml", "url"),
    [
        ("", "http://127.0.0.1:8000"),
        ('[[listen]]\nbind_address = "10.1.2.3"\nport = 80', "http://10.1.2.3:80"),
        ('[[listen]]\nbind_address = "::"\nport = 80', "http://[::1]:80"),
        ('[[listen]]\nbind_address = "2001:db8::1"\nport = 80', "http://[2001:db8::1]:80"),
        ("[[listen]]\nport = 80\nproxy_protocol = true\n[[listen]]\nport = 81", "http://127.0.0.1:81"),
        ('[[listen]]\nserves = ["listeners"]\n[[listen]]\nport = 81\nserves = ["admin"]', "http://127.0.0.1:81"),
    ],
)
def test_this_machines_server_is_found_in_the_configuration(toml: str, url: str) -> None:
    assert own_url(loads(toml, {}, "test"), "admin") == url


def test_a_server_with_no_port_for_this_machine_is_a_clear_error() -> None:
    with pytest.raises(ExternalError, match="PROXY header"):
        own_url(loads("[[listen]]\nproxy_protocol = true", {}, "test"), "admin")


def test_a_server_whose_ports_serve_no_admin_is_a_clear_error() -> None:
    with pytest.raises(ExternalError, match='has "admin" in serves'):
        own_url(loads('[[listen]]\nserves = ["listeners"]', {}, "test"), "admin")


def test_it_tells_what_changes_and_ends_when_the_server_is_empty(server: str) -> None:
    Answers.states = [("lead", 500), ("lead", 500), ("moving", 500), ("leaving", 500), ("leaving", 250), ("done", 0)]
    assert run(server, "--password", "pw") == (
        0,
        [
            "waiting 12 s for the balancer; 500 listeners",
            "moving sources and mirrors; 500 listeners",
            "disconnecting listeners; 500 listeners of 500",
            "disconnecting listeners; 250 listeners of 500",
            "empty; 0 listeners",
        ],
        "",
    )
    assert Answers.asked == ["POST /admin/drain", *["GET /admin/drain"] * 5]


def test_a_server_that_is_gone_meanwhile_has_been_stopped(server: str) -> None:
    Answers.states = [("leaving", 3)]
    assert run(server, "--password", "pw")[:2] == (0, ["disconnecting listeners; 3 listeners of 500", "stopped"])


def test_one_that_serves_again_meanwhile_is_a_failure(server: str) -> None:
    Answers.states = [("lead", 3), ("serving", 3)]
    code, _, error = run(server, "--password", "pw")
    assert (code, "cancelled" in error) == (1, True)


@pytest.mark.parametrize(("option", "asked"), [("--now", "POST /admin/drain?now=1"), ("--cancel", "cancel=1")])
def test_options_become_parameters(server: str, option: str, asked: str) -> None:
    Answers.states = [("done" if option == "--now" else "serving", 0)]
    assert run(server, "--password", "pw", option)[0] == 0
    (only,) = Answers.asked
    assert asked in only


def test_user_and_password_are_those_of_the_configuration(server: str, tmp_path: Path) -> None:
    path = tmp_path / "pycast.toml"
    path.write_text('[authentication]\nadmin_password = "pw"\n')
    Answers.states = [("done", 0)]
    assert run(server, "--config", str(path))[0] == 0


def test_trouble_is_told_with_what_to_do(server: str) -> None:
    Answers.states = [("done", 0)]
    assert "refused the user name or the password" in run(server, "--password", "wrong")[2]
    assert "Connection refused" in run("http://127.0.0.1:1", "--password", "pw")[2]


def test_what_a_server_says_cannot_command_the_terminal(server: str) -> None:
    Answers.states = [("leaving", "\x1b[2J\x9b"), ("done", "\u202e")]
    _, lines, _ = run(server, "--password", "pw")
    assert len(lines) == 2 and all(line.isprintable() for line in lines)


@pytest.mark.parametrize("state", ["serving", "lead", "moving", "leaving", "done"])
def test_each_state_has_its_words(state: str) -> None:
    assert "7 listeners" in text_of({"state": state, "listeners": 7})


def test_ctrl_c_ends_the_command_only_and_says_so(server: str) -> None:
    Answers.states = [("leaving", 3)] * 1000
    command = [sys.executable, "-m", "pycast", "drain", server.replace("//", "//admin:pw@"), "--user", "admin"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as drain:
        assert drain.stdout is not None
        assert drain.stdout.readline() == "disconnecting listeners; 3 listeners of 500\n"
        drain.send_signal(signal.SIGINT)
        _, said = drain.communicate(timeout=20)
    assert drain.returncode == 130
    assert said.splitlines() == [
        "",
        "The drain goes on without this command. To cancel it, or to follow it again:",
        f"  pycast drain {server} --user admin --cancel",
        f"  pycast drain {server} --user admin",
    ]


def test_password_comes_from_a_file_too(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("pw\n")
    Answers.states = [("done", 0)] * 2
    assert run(server, "--password-file", str(secret))[0] == 0
    monkeypatch.setenv("PYCAST_AUTHENTICATION__ADMIN_PASSWORD_FILE", str(secret))
    assert run(server)[0] == 0
    secret.write_text("")
    code, _, said = run(server, "--password-file", str(secret))
    assert (code, "it is empty" in said) == (2, True)


def test_without_a_configuration_and_a_password_it_says_what_is_missing(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pycast.cli.serve.SEARCH_PATH", (Path("pycast.toml"),))
    code, _, said = run(server)
    assert code == 1
    assert "the admin's password is not known" in said
    assert "give --config or --password" in said
    assert Answers.asked == []


def test_a_wrong_configuration_is_no_hindrance_where_nothing_of_it_is_needed(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Its secret is a variable of the service.
    (tmp_path / "pycast.toml").write_text('[cluster]\npeers = ["10.0.0.1:8000"]\n')
    Answers.states = [("done", 0)]
    assert run(server, "--password", "pw") == (0, ["empty; 0 listeners"], "")
    for arguments in ([server], ["--password", "pw"], [server, "--password", "pw", "--config", "pycast.toml"]):
        code, _, said = run(*arguments)
        assert (code, "cluster.secret" in said) == (1, True), arguments
