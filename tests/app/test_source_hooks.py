"""`on_connect` and `on_disconnect` start with the mount's name, and what goes wrong with them is logged."""

import os
from pathlib import Path

import pytest

from pycast.app.source_hooks import SourceHooks
from pycast.config.load import loads
from pycast.config.mount_settings import MountSettings
from pycast.net.group import Group
from pycast.stream.events import SourceEnded, SourceStarted
from tests.conftest import WaitUntil


def settings(**given: str) -> MountSettings:
    return loads("", {}, "test").for_mount("/x y").replace(**given)


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_program_gets_the_mount_as_one_argument(tmp_path: Path, wait_until: WaitUntil) -> None:
    group, seen = Group(), tmp_path / "seen"
    program = script(tmp_path / "on", f'printf "%s:%s" "$#" "$1" > {seen}.new; mv {seen}.new {seen}')
    SourceHooks(group).on_source_started(SourceStarted("/x y", settings(on_connect=program)))
    wait_until(seen.exists, "the program")
    assert seen.read_text() == "1:/x y"
    wait_until(lambda: len(group) == 0, "its end")


def test_the_program_gets_no_settings_and_no_output_that_nobody_reads(
    tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCAST_AUTHENTICATION__ADMIN_PASSWORD", "s3cr3t-W0rd")
    monkeypatch.setenv("MY_PLAYLIST", "kept")
    group, seen = Group(), tmp_path / "seen"
    text = f"ls -l /proc/$$/fd > {seen}.new 2>&1; env >> {seen}.new; mv {seen}.new {seen}"
    program = script(tmp_path / "on", text)
    SourceHooks(group).on_source_started(SourceStarted("/x y", settings(on_connect=program)))
    wait_until(seen.exists, "the program")
    assert "s3cr3t-W0rd" not in seen.read_text()
    assert "MY_PLAYLIST=kept" in seen.read_text()
    assert seen.read_text().count("-> /dev/null") == 2
    wait_until(lambda: len(group) == 0, "its end")


def test_each_change_has_its_program(tmp_path: Path, wait_until: WaitUntil) -> None:
    group, seen = Group(), tmp_path / "seen"
    program = script(tmp_path / "off", f"touch {seen}")
    SourceHooks(group).on_source_started(SourceStarted("/x y", settings(on_disconnect=program)))
    assert len(group) == 0
    SourceHooks(group).on_source_ended(SourceEnded("/x y", settings(on_disconnect=program)))
    wait_until(seen.exists, "the program")
    wait_until(lambda: len(group) == 0, "its end")


def test_a_name_without_a_folder_is_a_program_of_the_folder_of_the_start_or_of_the_search_path(
    tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, here, path = Group(), tmp_path / "here", tmp_path / "path"
    for folder, names in ((here, ("first.sh",)), (path, ("first.sh", "second.sh"))):
        folder.mkdir()
        for name in names:
            script(folder / name, f"touch {folder}.{name}")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
    for name in ("first.sh", "second.sh"):
        SourceHooks(group).on_source_started(SourceStarted("/x y", settings(on_connect=name)))
    wait_until(lambda: len(group) == 0, "their end")
    assert {one.name for one in tmp_path.glob("*.sh")} == {"here.first.sh", "path.second.sh"}


def test_a_program_that_cannot_start_is_logged(
    tmp_path: Path, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    group = Group()
    SourceHooks(group).on_source_started(SourceStarted("/x y", settings(on_connect=str(tmp_path / "none"))))
    wait_until(lambda: len(group) == 0, "the attempt")
    assert "cannot start" in caplog.text


def test_a_program_that_fails_is_logged(
    tmp_path: Path, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    group = Group()
    SourceHooks(group).on_source_started(SourceStarted("/x y", settings(on_connect=script(tmp_path / "bad", "exit 3"))))
    wait_until(lambda: len(group) == 0, "its end")
    assert "ended with status 3" in caplog.text
