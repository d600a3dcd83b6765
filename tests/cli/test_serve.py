"""Tests of pycast.cli.serve: which configuration a node is run with, and what is said about it."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pycast.cli.main import main
from pycast.config.schema import Config


@dataclass
class Runs:
    """What the node was run with, in place of a node that runs."""

    config: Config
    given: dict[str, Any]
    result: Result

    @property
    def said(self) -> str:
        return self.result.stderr


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PYCAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("pycast.cli.serve.SEARCH_PATH", (Path("pycast.toml"),))
    calls: list[tuple[Config, dict[str, Any]]] = []

    def node(config: Config, **given: Any) -> int:
        given["announce"](SimpleNamespace(listening=(config.listen[0].port or 12345,)))
        calls.append((config, given))
        return 0

    monkeypatch.setitem(sys.modules, "pycast.app.node", SimpleNamespace(run=node))

    def invoke(*arguments: str) -> Runs:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert result.stdout == ""
        return Runs(*calls[-1], result)

    return invoke


def test_without_a_file_the_defaults_are_used_and_new_passwords_shown_once(run: Any) -> None:
    first, second = run("serve"), run("serve")
    password = first.config.authentication.source_password
    assert password not in ("hackme", second.config.authentication.source_password)
    for name in ("source_password", "admin_password", "relay_password"):
        assert getattr(first.config.authentication, name) in first.said
    assert f"icecast://source:{password}@localhost:8000/live.mp3" in first.said
    assert first.given["config_path"] is None


def test_passwords_of_the_environment_are_not_shown(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "secret").chmod(0o600)
    monkeypatch.setenv("PYCAST_AUTHENTICATION__SOURCE_PASSWORD", "geheim")
    monkeypatch.setenv("PYCAST_AUTHENTICATION__ADMIN_PASSWORD_FILE", str(tmp_path / "secret"))
    for command in ("serve", "demo"):
        started = run(command)
        login = started.config.authentication
        assert (login.source_password, login.admin_password) == ("geheim", "from a file")
        assert started.given["made_up"] == {"relay_password"}
        assert login.relay_password in started.said
        assert "geheim" not in started.said
        assert "from a file" not in started.said


def test_file_in_the_working_folder_is_found_and_its_passwords_are_not_shown(run: Any) -> None:
    Path("pycast.toml").write_text('[authentication]\nsource_password = "geheim"\n[[listen]]\nport = 9000\n')
    found = run("serve")
    assert found.given["config_path"] == Path("pycast.toml")
    assert found.config.listen[0].port == 9000
    assert "geheim" not in found.said
    assert "http://localhost:9000/" in found.said
    assert "authentication.admin_password is publicly known" in found.said


def test_options_override_the_file(run: Any) -> None:
    Path("other.toml").write_text('[[listen]]\nport = 9000\nbind_address = "::1"\n')
    found = run("serve", "--config", "other.toml", "--port", "0", "--ready-file", "-")
    assert found.config.listen[0].port == 0
    assert found.given["ready_file"] == "-"
    assert "http://[::1]:12345/" in found.said


def test_several_workers_get_a_parent_that_has_the_text(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    def parent(*given: Any, **named: Any) -> int:
        calls.append((*given, named["config_path"], named["port"]))
        return 0

    monkeypatch.setitem(sys.modules, "pycast.app.workers", SimpleNamespace(run=parent))
    text = "[server]\nworkers = 3\n"
    Path("pycast.toml").write_text(text)
    result = CliRunner().invoke(main, ["serve", "--port", "0"])
    assert result.exit_code == 0, result.output
    ((config, *given),) = calls
    assert config.listen[0].port == 0
    assert given == [3, text, Path("pycast.toml"), 0]


def test_0_workers_are_one_for_each_core_that_may_be_used(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCAST_SERVER__WORKERS", "0")
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3})
    assert run("serve").config.server.workers == 0  # one core: a plain node


def test_environment_overrides_the_file(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pycast.toml").write_text("[limits]\nclients = 5\n")
    monkeypatch.setenv("PYCAST_LIMITS__CLIENTS", "7")
    assert run("serve").config.limits.clients == 7


def test_port_in_use_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def node(config: Config, **given: Any) -> int:
        raise OSError(98, "Address already in use")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "pycast.app.node", SimpleNamespace(run=node))
    result = CliRunner().invoke(main, ["serve"])
    assert result.exit_code == 1
    assert "--port 0" in result.stderr


def test_server_process_tells_where_it_listens_on_one_line_of_stdout(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pycast", "serve", "--port", "0", "--ready-file", "-"]
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        line = server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        rest, said = server.communicate(timeout=20)
    ready = json.loads(line)
    assert ready["pid"] == server.pid
    assert ready["port"] == ready["ports"][0]["port"] > 0
    assert ready["source_password"] in said
    assert ready["urls"]["status_json"] == f"http://127.0.0.1:{ready['port']}/status-json.xsl"
    assert rest == ""
    assert server.returncode == 0


def loaded_at_the_start() -> set[str]:
    """The modules that a node alone has when it begins to listen."""
    script = (
        "import sys, pycast.__main__\nfrom pycast.cli.serve import load_node\nload_node()\nprint(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_start_of_a_node_alone_loads_nothing_that_only_others_need() -> None:
    loaded = loaded_at_the_start()
    unneeded = {
        *("defusedxml", "email", "http.client", "importlib.resources", "jinja2", "mutagen", "prometheus_client"),
        *("random", "secrets", "ssl", "subprocess", "tempfile", "urllib3", "xml"),
        *("pycast.app.cluster_assembly", "pycast.app.demo", "pycast.app.workers", "pycast.balance.worker_drain"),
        *("pycast.control.cluster_control", "pycast.demo_stream", "pycast.formats.mpeg", "pycast.formats.ogg"),
        *(
            "pycast.http.shoutcast",
            "pycast.server.proxies",
            "pycast.server.shoutcast_source",
            "pycast.stats.merge",
            "pycast.stats.snapshot",
        ),
        *("pycast.web.cover", "pycast.web.nodes_page", "pycast.web.page_templates", "pycast.web.pages"),
    }
    assert not unneeded & loaded
    of_the_cluster = {"pycast.cluster", "pycast.cluster.claim", "pycast.cluster.ownership"}
    assert {name for name in loaded if name.startswith("pycast.cluster")} == of_the_cluster


def test_what_answers_without_a_free_descriptor_is_loaded_with_the_server() -> None:
    needed = {
        *("pycast.balance.drain", "pycast.balance.readiness", "pycast.http.response", "pycast.server.http_exchange"),
        *("pycast.server.listeners", "pycast.server.reserve", "pycast.stream.fanout", "pycast.stream.views"),
        *("pycast.web.operations", "pycast.web.public", "pycast.web.routes"),
    }
    assert needed <= loaded_at_the_start()
