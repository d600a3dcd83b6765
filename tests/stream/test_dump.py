"""A dump has what the source sent, goes on where it was, and costs the stream nothing when it fails."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import gevent
import pytest

from pycast.disk import losses
from pycast.stream.dump import DUMP_WRITERS, MAX_HELD, Dump, name_of
from tests.conftest import WaitUntil

FULL_DISK = "/dev/full"


def settle() -> None:
    """Waits until all dumps are written, and what their threads report is logged."""
    assert DUMP_WRITERS.settle(5)
    gevent.sleep(0)


@pytest.fixture(autouse=True)
def all_is_written() -> Iterator[None]:
    yield
    settle()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A named pipe and its reading end."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield str(tmp_path / "pipe"), reader
    os.close(reader)


def test_the_name_has_the_moment_and_the_mount_without_slashes(tmp_path: Path) -> None:
    Dump(str(tmp_path / "{mount}-%Y.dump"), "/deep/live.mp3", 1_000_000.0).close()
    settle()
    assert [path.name for path in tmp_path.iterdir()] == ["deep%2Flive.mp3-1970.dump"]


def test_a_mounts_name_is_not_read_as_a_time(tmp_path: Path) -> None:
    Dump(str(tmp_path / "{mount}"), "/100%Y", 1_000_000.0).close()
    settle()
    assert [path.name for path in tmp_path.iterdir()] == ["100%25Y"]


def test_no_two_mounts_share_a_file() -> None:
    mounts = ["/d/x", "/d_x", "/d%2Fx", "/d%252Fx", "/d__x", "/d/_x", "/d_/x", "/%", "/%25"]
    assert len({name_of(mount) for mount in mounts}) == len(mounts)
    assert not any("/" in name_of(mount) for mount in mounts)


def test_every_byte_is_in_the_file_soon(tmp_path: Path, wait_until: WaitUntil) -> None:
    dump = Dump(str(tmp_path / "x"), "/x", 0.0)
    dump.write(b"one")
    wait_until(lambda: (tmp_path / "x").exists() and (tmp_path / "x").read_bytes() == b"one", "it", timeout=1)
    dump.close()


def test_a_source_that_comes_back_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        dump = Dump(str(tmp_path / "x"), "/x", 0.0)
        dump.write(data)
        dump.close()
    settle()
    assert (tmp_path / "x").read_bytes() == b"onetwo"


def test_a_full_disk_ends_the_dump_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    dump = Dump(FULL_DISK, "/x", 0.0)
    for _ in range(3):
        dump.write(b"audio")
        settle()
    dump.close()
    assert caplog.text.count("mount /x: the dump file ends here: No space left on device") == 1


def test_a_file_that_cannot_be_opened_is_logged_and_nothing_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dump = Dump(str(tmp_path / "none" / "x"), "/x", 0.0)
    dump.write(b"audio")
    dump.close()
    settle()
    assert caplog.text.count("mount /x: cannot open the dump file") == 1


def test_what_comes_after_the_close_goes_nowhere(tmp_path: Path) -> None:
    dump = Dump(str(tmp_path / "x"), "/x", 0.0)
    dump.close()
    dump.write(b"late")
    dump.close()
    settle()
    assert (tmp_path / "x").read_bytes() == b""


def test_the_mode_is_that_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        Dump(str(tmp_path / "x"), "/x", 0.0).close()
        settle()
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_pipe_that_nobody_reads_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(tmp_path / "pipe")
    dump = Dump(str(tmp_path / "pipe"), "/x", 0.0)
    dump.write(b"audio")
    settle()
    dump.close()
    assert "mount /x: cannot open the dump file" in caplog.text
    assert "it is a pipe that nobody reads" in caplog.text


def test_a_reader_that_stalls_holds_nobody_up_and_what_is_missing_is_counted_and_logged(
    pipe: tuple[str, int], caplog: pytest.LogCaptureFixture, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycast.disk.appending.ROOM_MS", 5)
    monkeypatch.setattr(losses, "QUIET_S", 0.0)
    before, chunk = DUMP_WRITERS.lost, bytes(10_000)
    dump = Dump(pipe[0], "/x", 0.0)
    began = time.monotonic()
    for _ in range(300):
        dump.write(chunk)
        gevent.sleep(0)
    assert time.monotonic() - began < 2
    missing = DUMP_WRITERS.lost - before
    assert 300 * len(chunk) - MAX_HELD - 200_000 <= missing <= 300 * len(chunk) - MAX_HELD + len(chunk)
    assert caplog.text.count("mount /x: audio is missing in the dump file") == 1
    received = 0

    def is_read() -> bool:
        nonlocal received
        with suppress(BlockingIOError):
            received += len(os.read(pipe[1], 1 << 20))
        return received == 300 * len(chunk) - missing

    wait_until(is_read, "what was not lost")
    dump.write(b"more")
    assert f"mount /x: {missing} bytes are missing in the dump file" in caplog.text
    dump.close()


def test_a_dump_that_stalls_does_not_hold_up_another(
    tmp_path: Path, pipe: tuple[str, int], wait_until: WaitUntil
) -> None:
    held, free = Dump(pipe[0], "/held", 0.0), Dump(str(tmp_path / "free"), "/free", 0.0)
    held.write(bytes(500_000))
    for number in range(1, 6):
        free.write(b"audio")
        wait_until(
            lambda: (tmp_path / "free").exists() and (tmp_path / "free").stat().st_size == 5 * number,  # noqa: B023
            "the other dump",
        )
    held.close()
    free.close()


def test_two_dumps_never_write_to_one_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycast.stream.dump.LOCK_S", 0.05)
    first, second = (Dump(str(tmp_path / "x"), mount, 0.0) for mount in ("/a", "/b"))
    for data in (b"1", b"2"):
        first.write(data)
        second.write(b"other")
        settle()
    first.close()
    second.close()
    settle()
    assert (tmp_path / "x").read_bytes() == b"12"
    assert caplog.text.count("mount /b: cannot use the dump file") == 1
    assert "another dump is written to it" in caplog.text


def test_a_source_that_comes_back_waits_until_its_old_dump_is_closed(tmp_path: Path, wait_until: WaitUntil) -> None:
    with (tmp_path / "x").open("wb") as old:
        fcntl.flock(old, fcntl.LOCK_EX)
        dump = Dump(str(tmp_path / "x"), "/x", 0.0)
        dump.write(b"audio")
        gevent.sleep(0.05)
    wait_until(lambda: (tmp_path / "x").read_bytes() == b"audio", "the audio")
    dump.close()
