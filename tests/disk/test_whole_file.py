"""A file is replaced whole, by one that only its owner can read, and no link leads the writer elsewhere."""

import os
from pathlib import Path

import pytest

from pycast.disk.whole_file import replace_file


def test_the_file_has_the_data_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    replace_file(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_reader_of_the_old_file_goes_on_with_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with (tmp_path / "x").open("rb") as reader:
        replace_file(tmp_path / "x", b"new")
        assert reader.read() == b"old"


def test_a_link_at_the_path_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "x").symlink_to(tmp_path / "victim")
    replace_file(tmp_path / "x", b"new")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "x").is_symlink()


def test_the_name_beside_it_is_another_each_time_and_a_link_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    names: list[str] = []
    real = os.open

    def link_first(path: Path, flags: int, mode: int = 0o777) -> int:
        names.append(path.name)
        path.symlink_to(tmp_path / "victim")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", link_first)
    for _ in range(2):
        with pytest.raises(FileExistsError):
            replace_file(tmp_path / "x", b"new")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert len(set(names)) == 2


def test_nothing_is_left_when_it_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
