"""The settings of a mount, and what the public pages show of several mounts."""

import json
from pathlib import Path

from pycast.testing import Server
from pycast.testing.numbered import frames_in
from tests.e2e.wire import get

MOUNT = "/live.mp3"


def test_programs_run_when_a_source_comes_and_goes(tmp_path: Path) -> None:
    script = tmp_path / "tell"
    script.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/"$(basename "$0")".txt\n')
    script.chmod(0o755)
    for name in ("come", "gone"):
        (tmp_path / name).symlink_to(script)
    with Server(on_connect=str(tmp_path / "come"), on_disconnect=str(tmp_path / "gone"), source_grace=0) as server:
        with server.stream(MOUNT, speed=0):
            server.wait_until(lambda: said(tmp_path / "come.txt") == MOUNT, 5, "on_connect")
            assert said(tmp_path / "gone.txt") == ""
        server.wait_until(lambda: said(tmp_path / "gone.txt") == MOUNT, 5, "on_disconnect")


def said(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def test_program_that_is_not_there_harms_nothing() -> None:
    with Server(on_connect="/no/such/program") as server, server.stream(MOUNT, speed=0) as stream:
        stream.send(10)
        server.wait_for_bytes(MOUNT, stream.size)
        assert frames_in(server.received(MOUNT)).is_exactly(range(10))
        server.wait_until(lambda: "/no/such/program" in server.log(), 5, "the line in the log")


def test_dump_files_name_has_the_time_and_the_mount(tmp_path: Path) -> None:
    with (
        Server(dump_file=f"{tmp_path}/%Y-{{mount}}.dump") as server,
        server.stream("/a/b.mp3", speed=0) as stream,
    ):
        stream.send(10)
        server.wait_until(lambda: [file.stat().st_size for file in tmp_path.iterdir()] == [stream.size], 5, "the dump")
        (dump,) = tmp_path.glob("20??-a%2Fb.mp3.dump")
        assert frames_in(dump.read_bytes()).is_exactly(range(10))


def test_dump_that_cannot_be_written_harms_nothing() -> None:
    with Server(dump_file="/no/such/folder/x") as server, server.stream(MOUNT, speed=0) as stream:
        stream.send(10)
        server.wait_for_source(MOUNT)
        server.wait_until(lambda: "/no/such/folder" in server.log(), 5, "the line in the log")


def test_status_json_is_an_object_for_one_mount_and_a_list_for_several() -> None:
    with Server() as server:
        assert "source" not in status(server)
        with server.stream(MOUNT, headers={"Ice-Name": 'A "b" \\ c'}, speed=0):
            server.wait_for_source(MOUNT)
            one = status(server)["source"]
            assert isinstance(one, dict) and one["server_name"] == 'A "b" \\ c'
            with server.stream("/other.aac", format="aac", speed=0):
                server.wait_for_source("/other.aac")
                both = status(server)["source"]
                assert isinstance(both, list)
                assert [entry["listenurl"] for entry in both] == [
                    f"http://localhost:{server.port}{mount}" for mount in (MOUNT, "/other.aac")
                ]


def status(server: Server) -> dict[str, object]:
    found: dict[str, object] = json.loads(get(server.port, "/status-json.xsl").body)["icestats"]
    return found
