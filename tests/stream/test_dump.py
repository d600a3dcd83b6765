"""A dump has what the source sent, goes on where it was, and costs the stream nothing when it fails."""

from pathlib import Path

import pytest

from pycast.stream.dump import Dump, name_of

FULL_DISK = "/dev/full"


def test_the_name_has_the_moment_and_the_mount_without_slashes(tmp_path: Path) -> None:
    Dump(str(tmp_path / "{mount}-%Y.dump"), "/deep/live.mp3", 1_000_000.0).close()
    assert [path.name for path in tmp_path.iterdir()] == ["deep%2Flive.mp3-1970.dump"]


def test_a_mounts_name_is_not_read_as_a_time(tmp_path: Path) -> None:
    Dump(str(tmp_path / "{mount}"), "/100%Y", 1_000_000.0).close()
    assert [path.name for path in tmp_path.iterdir()] == ["100%25Y"]


def test_no_two_mounts_share_a_file() -> None:
    mounts = ["/d/x", "/d_x", "/d%2Fx", "/d%252Fx", "/d__x", "/d/_x", "/d_/x", "/%", "/%25"]
    assert len({name_of(mount) for mount in mounts}) == len(mounts)
    assert not any("/" in name_of(mount) for mount in mounts)


def test_every_byte_is_in_the_file_at_once(tmp_path: Path) -> None:
    dump = Dump(str(tmp_path / "x"), "/x", 0.0)
    dump.write(b"one")
    assert (tmp_path / "x").read_bytes() == b"one"
    dump.close()


def test_a_source_that_comes_back_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        dump = Dump(str(tmp_path / "x"), "/x", 0.0)
        dump.write(data)
        dump.close()
    assert (tmp_path / "x").read_bytes() == b"onetwo"


def test_a_full_disk_ends_the_dump_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    dump = Dump(FULL_DISK, "/x", 0.0)
    for _ in range(3):
        dump.write(b"audio")
    dump.close()
    assert caplog.text.count("mount /x: the dump file ends here: [Errno 28] No space left on device") == 1


def test_a_file_that_cannot_be_opened_is_logged_and_nothing_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dump = Dump(str(tmp_path / "none" / "x"), "/x", 0.0)
    dump.write(b"audio")
    dump.close()
    assert caplog.text.count("mount /x: cannot open the dump file") == 1


def test_what_comes_after_the_close_goes_nowhere(tmp_path: Path) -> None:
    dump = Dump(str(tmp_path / "x"), "/x", 0.0)
    dump.close()
    dump.write(b"late")
    dump.close()
    assert (tmp_path / "x").read_bytes() == b""
