"""`pycast status` asks a server and shows its table; an error says what to do."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner

from pycast.cli.main import main
from pycast.cli.server_client import ServerClient
from pycast.errors import ExternalError
from tests.cli.terminal import Terminal
from tests.cli.test_nodes_view import NODES
from tests.cli.test_status_view import ADMIN, LIVE, status


class Answers(BaseHTTPRequestHandler):
    """Answers as a server would: the status, and the statistics for who has the password."""

    nodes: ClassVar[bytes] = b""

    def do_GET(self) -> None:  # the library's name
        allowed = self.headers.get("Authorization") == "Basic YWRtaW46cHc="  # admin:pw
        if self.path == "/admin/stats" and not allowed:
            self.send_response(401)
            self.end_headers()
            return
        answers = {"/status-json.xsl": status(LIVE), "/admin/stats": ADMIN, "/admin/cluster": self.nodes}
        body = answers.get(self.path, b"")
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["status", *arguments], env={"PYCAST_AUTHENTICATION__ADMIN_PASSWORD": None})
    return result.exit_code, result.stdout, result.stderr


def test_table_is_printed_once_when_stdout_is_no_terminal(address: str) -> None:
    code, said, _ = run(address)
    assert code == 0
    assert said.splitlines()[-1].endswith("Artist - Song")


def test_terminal_shows_it_until_ctrl_c_and_is_left_as_it_was(address: str) -> None:
    with Terminal("status", address, "--interval", "0.2") as terminal:
        terminal.wait_for(r"(?s)(Ctrl-C quits.*){3}")
        assert terminal.interrupt() == 0
    assert "Artist - Song" in terminal.shown and "█" in terminal.shown
    assert terminal.shown.endswith("\x1b[?25h\x1b[?1049l")


def test_password_shows_the_nodes_of_a_cluster_above_its_mounts(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answers, "nodes", NODES)
    said = run(address, "--password", "pw")[1].splitlines()
    assert [line.split()[:1] for line in said[2:]] == [[], ["NODE"], ["a"], ["b"], [], ["MOUNT"], ["/a"]]
    assert "NODE" not in run(address)[1]


def test_password_shows_traffic(address: str) -> None:
    assert "12 MB" in run(f"http://{address}/", "--password", "pw")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--password", "wrong"], "refused the user name or the password"),
        (["http://127.0.0.1:1"], "Connection refused"),
        (["ftp://x"], "a URL begins with http:// or https://"),
        (["http://["], "not a URL: Invalid IPv6 URL"),
        (["http://::1:8000"], "an IPv6 address needs brackets, as in http://[::1]:8000"),
        (["http://"], "not a URL: there is no host in it"),
        (["http://x:y"], "not a URL: Port could not be cast"),
        (["http://nowhere.invalid:8000"], "there is no host of the name nowhere.invalid"),
    ],
)
def test_trouble_is_told_with_what_to_do(address: str, arguments: list[str], said: str) -> None:
    arguments = arguments if "://" in arguments[0] else [address, *arguments]
    code, _, error = run(*arguments)
    assert code
    assert said in error


@pytest.mark.parametrize(
    ("toml", "arguments", "hint"),
    [
        ("[[listen]]\nport = 1\n", [], "Connection refused. Is it running? `pycast serve` starts it"),
        (
            "[[listen]]\nport = 'x'\n",
            [],
            "where a server is by default, as this machine's configuration cannot be",
        ),
        ("", ["http://127.0.0.1:1"], "Connection refused. Is it running, and are these its address and port?"),
        ("", ["http://127.0.0.1:1", "--password", "x"], "are these its address and port?"),
    ],
)
def test_without_an_answer_it_says_what_to_do_next(
    toml: str, arguments: list[str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ServerClient.get

    def ask_where_nobody_is(client: ServerClient, path: str, **named: str) -> bytes:
        client.url = "http://127.0.0.1:1"  # a server may run at port 8000 of this machine
        return ask(client, path, **named)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ServerClient, "get", ask_where_nobody_is)
    Path("pycast.toml").write_text(toml)
    code, _, error = run(*arguments)
    assert code
    assert hint in error
    assert len(error.splitlines()) == 1  # not what other commands say of a refused connection, too


@pytest.mark.parametrize(
    ("toml", "arguments", "url"),
    [
        ("", [], "http://127.0.0.1:8000"),
        ('[[listen]]\nport = 1\n[[listen]]\nport = 2\nserves = ["admin"]\n', [], "http://127.0.0.1:1"),
        ('[[listen]]\nserves = ["listeners"]\n[[listen]]\nport = 2\n', ["--password", "x"], "http://127.0.0.1:2"),
        ("[[listen]]\nport = 'x'", [], "http://localhost:8000"),
    ],
)
def test_without_a_url_it_asks_the_port_of_this_machine_that_serves_it(
    toml: str, arguments: list[str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(client: ServerClient, path: str, **named: str) -> bytes:
        raise ExternalError(f"asked {client.url}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ServerClient, "get", refuse)
    Path("pycast.toml").write_text(toml)
    assert f"asked {url}" in run(*arguments)[2]
