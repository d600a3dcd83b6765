"""Tests of pycast.auth.ban_files: what is read when, and what becomes of lists that cannot be read."""

import logging
from pathlib import Path

import pytest

from pycast.auth.ban_files import BanFiles
from pycast.config.load import loads
from pycast.config.schema import Config
from pycast.disk.calls import DiskStalled


def config(more: str = "", **paths: Path | str) -> Config:
    return loads("[paths]\n" + "".join(f'{key} = "{path}"\n' for key, path in paths.items()) + more, {}, "test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "list").write_text("192.0.2.0/24\n")
    return tmp_path / "list"


def test_who_is_denied_and_who_is_not_allowed_may_not_connect(path: Path) -> None:
    files, agents = BanFiles(), path.with_name("agents")
    agents.write_text("*bot*\n")
    assert files.refresh(config(deny_ip=path, deny_agents=agents), now=True)
    assert "deny_ip" in files.why("192.0.2.9", "player")
    assert "deny_agents" in files.why("198.51.100.1", "a robot")
    assert files.why("198.51.100.1", "player") == files.why("198.51.100.1", "") == ""
    assert files.refresh(config(allow_ip=path), now=True)
    assert files.why("192.0.2.9", "a robot") == ""
    assert "allow_ip" in files.why("198.51.100.1", "player")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_files_of_any_editor_are_read(path: Path, encoding: str, end: str) -> None:
    before = b"\xfe\xff" if encoding == "utf-16-be" else b""
    path.write_bytes(before + f"# ä{end or chr(10)}192.0.2.0/24{end}".encode(encoding))
    agents = path.with_name("agents")
    agents.write_bytes(before + f"Plä*{end}".encode(encoding))
    files = BanFiles()
    files.refresh(config(deny_ip=path, deny_agents=agents), now=True)
    assert files.why("192.0.2.9", "player") and files.why("", "Pläyer") and not files.why("198.51.100.1", "player")


def test_a_denied_address_is_denied_though_it_is_allowed(path: Path) -> None:
    files = BanFiles()
    files.refresh(config(deny_ip=path, allow_ip=path), now=True)
    assert "deny_ip" in files.why("192.0.2.9", "")


def test_a_trusted_proxy_is_not_refused_by_its_address(path: Path) -> None:
    files = BanFiles()
    files.refresh(config('[[listen]]\ntrusted_proxies = ["192.0.2.1", "10.0.0.1"]', deny_ip=path), now=True)
    assert files.why("192.0.2.1", "") == ""
    assert files.why("192.0.2.2", "") != ""
    path.write_text("203.0.113.1\n")
    files.refresh(config('[[listen]]\ntrusted_proxies = ["10.0.0.1"]', allow_ip=path), now=True)
    assert (files.why("10.0.0.1", ""), files.why("203.0.113.1", "")) == ("", "")


def test_a_changed_file_is_read_again_and_only_then(path: Path) -> None:
    files, settings = BanFiles(), config(deny_ip=path)
    files.refresh(settings, now=True)
    assert not files.refresh(settings, now=False)
    path.write_text("203.0.113.7\n")
    assert [files.refresh(settings, now=False) for _ in range(3)] == [False, True, False]
    assert (files.why("192.0.2.9", ""), bool(files.why("203.0.113.7", ""))) == ("", True)


def test_a_file_that_vanishes_keeps_its_last_list_and_is_told_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files, settings = BanFiles(), config(deny_ip=path)
    files.refresh(settings, now=True)
    path.unlink()
    for now in (False, False, True, False):
        assert not files.refresh(settings, now=now)
    assert files.why("192.0.2.9", "")
    assert caplog.text.count("cannot be read, the list that was read last stays: No such file") == 1
    path.write_text("198.51.100.1\n")
    assert [files.refresh(settings, now=False) for _ in range(2)] == [False, True]
    path.unlink()
    files.refresh(settings, now=False)
    assert caplog.text.count("cannot be read") == 2, "it is another time"


def test_without_a_list_nobody_is_denied_and_nobody_is_allowed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files, none = BanFiles(), path.with_name("none")
    files.refresh(config(deny_ip=none, deny_agents=none), now=True)
    assert files.why("192.0.2.9", "bot") == ""
    files.refresh(config(allow_ip=none), now=True)
    assert "allow_ip" in files.why("192.0.2.9", "")
    assert caplog.text.count("there is no list") == 3


def test_a_list_that_is_no_longer_named_is_gone(path: Path) -> None:
    files = BanFiles()
    files.refresh(config(deny_ip=path), now=True)
    assert files.refresh(config(), now=True)
    assert files.why("192.0.2.9", "") == ""


def test_another_file_is_read_at_once(path: Path) -> None:
    files, other = BanFiles(), path.with_name("other")
    other.write_text("203.0.113.7\n")
    files.refresh(config(deny_ip=path), now=True)
    assert files.refresh(config(deny_ip=other), now=False)
    assert (files.why("192.0.2.9", ""), bool(files.why("203.0.113.7", ""))) == ("", True)


def test_lines_that_are_no_entries_are_told_with_the_first_of_them(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path.write_text("192.0.2.7\nexample.org\nradio\n")
    BanFiles().refresh(config(deny_ip=path), now=True)
    assert f"paths.deny_ip: 2 lines of {path} cannot be read and are left out, the first is line 2: 'example.org'" in (
        caplog.text
    )
    assert f"paths.deny_ip: 1 entries in {path}" in caplog.text


def test_a_disk_that_does_not_answer_keeps_the_last_list(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, settings = BanFiles(), config(deny_ip=path)
    files.refresh(settings, now=True)

    def stall(*_: object) -> None:
        raise DiskStalled("the disk does not answer")

    monkeypatch.setattr("pycast.auth.ban_files.off_hub", stall)
    assert not files.refresh(settings, now=True)
    assert files.why("192.0.2.9", "")
