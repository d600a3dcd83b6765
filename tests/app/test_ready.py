"""Whoever waits for the server reads where it listens and how to log in, whole or not at all."""

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from pycast.app.ready import ReadyInfo, write_ready
from pycast.config.load import loads

LOGIN = '[authentication]\nsource_password = "made up"\nadmin_user = "boss"\nadmin_password = "geheim"\n'
READY = ReadyInfo(8000, ((8000, False, False), (8001, False, True)))


def written(path: Path, toml: str = "", ready: ReadyInfo = READY, made_up: Collection[str] = ()) -> dict[str, Any]:
    write_ready(str(path), loads(toml, {}, "test"), ready, made_up)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_file_says_ports_logins_and_addresses(tmp_path: Path) -> None:
    found = written(tmp_path / "ready", LOGIN, made_up=["source_password"])
    assert found["pid"] == os.getpid()
    assert (found["source_user"], found["source_password"]) == ("source", "made up")
    assert found["ports"][1] == {"port": 8001, "tls": False, "shoutcast": True}
    assert found["urls"]["status_json"] == "http://127.0.0.1:8000/status-json.xsl"


def test_passwords_that_somebody_has_set_are_not_written(tmp_path: Path) -> None:
    found = written(tmp_path / "ready", LOGIN, made_up=["source_password"])
    assert (found["admin_user"], found["admin_password"], found["relay_password"]) == ("boss", None, None)
    assert "geheim" not in (tmp_path / "ready").read_text()


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ('bind_address = "0.0.0.0"', "http://127.0.0.1:8000/"),
        ('bind_address = "::"', "http://127.0.0.1:8000/"),
        ('bind_address = "::1"', "http://[::1]:8000/"),
        ('bind_address = "10.0.0.9"', "http://10.0.0.9:8000/"),
        ('tls = true\n[tls]\ncertificate = "c.pem"', "https://127.0.0.1:8000/"),
    ],
)
def test_the_address_is_one_that_can_be_opened(tmp_path: Path, listen: str, url: str) -> None:
    assert written(tmp_path / "ready", f"[[listen]]\n{listen}\n")["urls"]["status"] == url


def test_passwords_are_for_the_servers_user_only_and_nothing_else_is_left(tmp_path: Path) -> None:
    written(tmp_path / "ready")
    assert [path.name for path in tmp_path.iterdir()] == ["ready"]
    assert (tmp_path / "ready").stat().st_mode & 0o777 == 0o600


def test_a_link_with_the_name_that_was_known_before_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / f"ready.{os.getpid()}").symlink_to(tmp_path / "victim")
    written(tmp_path / "ready")
    assert (tmp_path / "victim").read_text() == "precious"


def test_an_old_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "ready").write_text("old")
    with (tmp_path / "ready").open() as reader:
        written(tmp_path / "ready")
        assert reader.read() == "old"


def test_stdout_gets_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    write_ready("-", loads("", {}, "test"), READY)
    said = capfd.readouterr().out
    assert said.count("\n") == 1
    assert json.loads(said)["port"] == 8000


def test_each_address_is_of_a_port_that_serves_what_it_is_for(tmp_path: Path) -> None:
    toml = '[[listen]]\nserves = ["sources"]\n[[listen]]\nport = 1\nserves = ["admin"]\n[[listen]]\nport = 2\n'
    ready = ReadyInfo(8000, ((8000, False, False), (8001, False, True), (8003, False, False), (8005, False, False)))
    urls = written(tmp_path / "ready", toml, ready)["urls"]
    assert (urls["status"], urls["admin"]) == ("http://127.0.0.1:8005/", "http://127.0.0.1:8003/admin/")
