"""A reload reopens all logs of a node, or leaves all of them as they were."""

import os
from pathlib import Path
from typing import Any

import pytest

from pycast.config.load import loads
from pycast.config.schema import Config
from pycast.errors import ExternalError
from pycast.logs.access import AccessEntry
from pycast.logs.log_set import ACCESS, PLAYLIST, LogSet

ENTRY = AccessEntry("10.0.0.1", "", 0.0, "GET", "/x", "HTTP/1.1", 200, 5, "", "player", 1.0)


def section(access: object, playlist: object, more: str = "") -> Config:
    return loads(f'[logging]\naccess_log = "{access}"\nplaylist_log = "{playlist}"\n{more}\n', {}, "test")


def write(logs: LogSet, title: str) -> None:
    logs.log_access(ENTRY)
    logs.log_title("/x", 3, title)


@pytest.fixture
def logs(tmp_path: Path) -> Any:
    made = LogSet(section(tmp_path / "access", tmp_path / "playlist"))
    yield made
    made.close()


def test_each_log_gets_its_own_lines(logs: LogSet, tmp_path: Path) -> None:
    write(logs, "Song")
    logs.close()
    assert (tmp_path / "access").read_text().startswith("10.0.0.1 - - [")
    assert (tmp_path / "playlist").read_text().endswith("|/x|3|Song\n")


def test_a_log_that_is_off_takes_no_lines_and_makes_no_file(tmp_path: Path) -> None:
    made = LogSet(section("", ""))
    write(made, "Song")
    made.close()
    assert list(tmp_path.iterdir()) == []


def test_last_lines_of_what_is_no_file_can_be_had(tmp_path: Path) -> None:
    made = LogSet(section("-", tmp_path / "playlist"))
    write(made, "Song")
    made.reload(section("-", "-"))
    write(made, "Other")
    assert [len(made.recent("access")), len(made.recent("playlist"))] == [2, 1]
    assert made.recent("playlist")[0][1].endswith(b"|/x|3|Other\n")
    made.close()


def test_a_file_that_was_moved_away_is_opened_anew(logs: LogSet, tmp_path: Path) -> None:
    write(logs, "first")
    for name in ("access", "playlist"):
        os.rename(tmp_path / name, tmp_path / f"{name}.1")
    logs.reload(section(tmp_path / "access", tmp_path / "playlist"))
    write(logs, "second")
    logs.close()
    assert "first" in (tmp_path / "playlist.1").read_text()
    assert "second" in (tmp_path / "playlist").read_text()
    assert [(tmp_path / name).read_text().count("\n") for name in ("access.1", "access")] == [1, 1]


def test_other_paths_take_over_and_the_old_files_keep_what_they_have(logs: LogSet, tmp_path: Path) -> None:
    write(logs, "first")
    logs.reload(section(tmp_path / "access2", ""))
    write(logs, "second")
    logs.close()
    assert [(tmp_path / name).read_text().count("\n") for name in ("access", "access2", "playlist")] == [1, 1, 1]


@pytest.mark.parametrize("broken", ["access", "playlist"])
def test_if_one_cannot_be_opened_all_stay(logs: LogSet, tmp_path: Path, broken: str) -> None:
    paths = {"access": tmp_path / "access2", "playlist": tmp_path / "playlist2"} | {broken: tmp_path / "none" / "x"}
    with pytest.raises(ExternalError, match="cannot open log file"):
        logs.reload(section(paths["access"], paths["playlist"]))
    write(logs, "still here")
    logs.close()
    assert "still here" in (tmp_path / "playlist").read_text()
    assert (tmp_path / "access").read_text().count("\n") == 1


def test_after_a_reload_that_failed_the_next_one_works(logs: LogSet, tmp_path: Path) -> None:
    with pytest.raises(ExternalError):
        logs.reload(section(tmp_path / "access2", tmp_path / "none" / "x"))
    logs.reload(section(tmp_path / "access2", tmp_path / "playlist2"))
    write(logs, "new")
    logs.close()
    assert [(tmp_path / name).read_text().count("\n") for name in ("access2", "playlist2")] == [1, 1]


def test_a_log_that_cannot_be_opened_leaves_no_other_one_open(tmp_path: Path) -> None:
    with pytest.raises(ExternalError):
        LogSet(section(tmp_path / "access", tmp_path / "none" / "x"))


@pytest.mark.parametrize(
    ("more", "access", "playlist"),
    [
        ('format = "text"', ' "player" 1\n', "|/x|3|Song\n"),
        ('format = "combined"', ' "player"\n', "|/x|3|Song\n"),
        ('format = "json"', ', "duration": 1.0}\n', '"title": "Song"}\n'),
    ],
)
def test_a_format_is_put_in_force_by_a_reload(
    logs: LogSet, tmp_path: Path, more: str, access: str, playlist: str
) -> None:
    logs.reload(section(tmp_path / "access", tmp_path / "playlist", more))
    write(logs, "Song")
    logs.close()
    assert (tmp_path / "access").read_text().endswith(access)
    assert (tmp_path / "playlist").read_text().endswith(playlist)


def test_addresses_are_shortened_in_every_format(logs: LogSet, tmp_path: Path) -> None:
    for style in ("text", "combined", "json"):
        more = f'format = "{style}"\naddresses = "truncate"'
        logs.reload(section(tmp_path / "access", "", more))
        logs.log_access(ENTRY._replace(ip="203.0.113.77"))
    logs.close()
    text = (tmp_path / "access").read_text()
    assert (text.count("203.0.113.0"), text.count("203.0.113.77")) == (3, 0)


def test_a_size_is_put_in_force_by_a_reload_and_each_log_is_rotated_by_its_own(logs: LogSet, tmp_path: Path) -> None:
    write(logs, "before")
    logs.reload(section(tmp_path / "access", tmp_path / "playlist", "logsize = 150"))
    for number in range(4):
        write(logs, f"Song {number}")
        logs._files[ACCESS].flush()
        logs._files[PLAYLIST].flush()
    logs.close()
    assert (tmp_path / "access.old").read_text().count("\n") == 2
    assert (tmp_path / "playlist.old").read_text().count("\n") >= 3
    assert "before" in (tmp_path / "playlist.old").read_text()


def mounts(folder: Path, **logs: str) -> str:
    sections = (f'[[mount]]\nmount_name = "/{name}"\naccess_log = "{folder / log}"\n' for name, log in logs.items())
    return "".join(sections)


def test_mount_has_a_log_of_its_own_listeners_beside_that_of_the_server(logs: LogSet, tmp_path: Path) -> None:
    def listened(mount: str) -> None:
        logs.log_access(ENTRY._replace(path=mount), mount)

    logs.reload(section(tmp_path / "access", "", mounts(tmp_path, a="a.log", b="both.log", c="both.log", d="access")))
    for mount in ("/a", "/b", "/c", "/d", "/none"):
        listened(mount)
    logs.log_access(ENTRY)  # a page
    logs.reload(section(tmp_path / "access", "", mounts(tmp_path, a="new.log")))
    listened("/a")
    logs.close()
    lines = {name: (tmp_path / name).read_text().count("\n") for name in ("access", "a.log", "both.log", "new.log")}
    assert lines == {"access": 7, "a.log": 1, "both.log": 2, "new.log": 1}


def test_log_of_a_mount_that_cannot_be_opened_leaves_all_as_they_were(logs: LogSet, tmp_path: Path) -> None:
    with pytest.raises(ExternalError, match="cannot open log file"):
        logs.reload(section(tmp_path / "access2", "", mounts(tmp_path, a="a.log", b="none/x")))
    logs.log_access(ENTRY, "/a")
    logs.close()
    assert (tmp_path / "access").read_text().count("\n") == 1 and (tmp_path / "a.log").read_text() == ""
