"""Nothing but the plain files of a folder is opened, whatever a name or a link says."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pycast.disk.beneath import FoundFile, FoundFolder, open_beneath, read_beneath
from pycast.errors import ExternalError

SECRET = b"secret"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder with files, folders, links and what is no file; beside it lies a secret."""
    outside = tmp_path_factory.mktemp("outside")
    root = outside / "web"
    (root / "dir" / "sub").mkdir(parents=True)
    (outside / "web2").mkdir()
    for secret in (outside / "secret", outside / "web2" / "secret"):
        secret.write_bytes(SECRET)
    for name in ("a", "dir/b", "dir/sub/c", "ä", "with blank"):
        (root / name).write_bytes(name.encode())
    links = {
        "in": "dir/b",
        "dir/up": "../a",
        "folder": "dir",
        "out": "../secret",
        "absolute": str(outside / "secret"),
        "beside": "../web2/secret",
        "parent": "..",
        "top": "/",
        "dir/far": "../../secret",
        "loop": "loop",
        "dangling": "nowhere",
        "device": "/dev/zero",
        "proc": "/proc/self/environ",
        "round": f"../{root.name}/a",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(root / "socket"))
    yield str(root)
    sock.close()


def read(root: str, name: str) -> bytes | None:
    return read_beneath(root, name, 1000)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("/a", b"a"), ("/dir/b", b"dir/b"), ("/dir/sub/c", b"dir/sub/c"), ("/ä", "ä".encode())),
        *(
            ("/with blank", b"with blank"),
            ("/in", b"dir/b"),
            ("/dir/up", b"a"),
            ("/folder/b", b"dir/b"),
            ("/round", b"a"),
        ),
    ],
)
def test_files_and_links_that_stay_inside_are_opened(root: str, name: str, content: bytes) -> None:
    assert read(root, name) == content
    found = open_beneath(root, name)
    assert isinstance(found, FoundFile) and found.size == len(content)
    found.file.close()


@pytest.mark.parametrize("name", ["/", "/dir", "/dir/", "/folder", "/dir/sub/"])
def test_folders_are_named_as_such(root: str, name: str) -> None:
    assert isinstance(open_beneath(root, name), FoundFolder)


@pytest.mark.parametrize(
    "name",
    [
        *("/nothing", "/a/b", "/a/", "/out", "/absolute", "/beside", "/parent/secret", "/parent", "/top/etc/passwd"),
        *("/dir/far", "/loop", "/dangling", "/device", "/proc", "/fifo", "/socket", "/../secret", "/../web2/secret"),
        *("/dir/../../secret", "/a\0.txt", "/" + "x" * 300, "/" + "dir/" * 2000, "/\ud800"),
    ],
)
def test_all_else_is_not_there(root: str, name: str) -> None:
    assert open_beneath(root, name) is None
    assert read(root, name) is None


@pytest.mark.parametrize(("name", "on_disk"), [("/café", b"caf\xe9"), ("/ÿþ.mp3", b"\xff\xfe.mp3"), ("/日é", None)])
def test_a_name_of_the_disk_may_be_in_latin_1_but_that_in_utf_8_goes_first(
    root: str, name: str, on_disk: bytes | None
) -> None:
    for content, encoded in ((b"old", on_disk), (b"new", name[1:].encode())):
        if encoded is not None:
            (Path(root) / os.fsdecode(encoded)).write_bytes(content)
            assert read_beneath(root, name, 10) == content
    assert read_beneath(root, "/éa", 10) is None


def test_a_file_that_is_larger_than_allowed_is_not_read(root: str) -> None:
    assert read_beneath(root, "/dir/b", 5) == b"dir/b"
    assert read_beneath(root, "/dir/b", 4) is None


def test_the_folder_itself_may_be_a_link(root: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert read(str(tmp_path / "link"), "/dir/b") == b"dir/b"
    assert read(str(tmp_path / "link"), "/out") is None
    assert read(str(tmp_path / "none"), "/a") is None


def test_a_disk_that_fails_is_an_error(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(ExternalError, match="Input/output error"):
        open_beneath(root, "/a")


def test_a_file_that_only_others_may_read_is_not_there(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse(path: str, flags: int, *args: object, **kwargs: object) -> int:
        if str(path).startswith("/proc/"):
            raise PermissionError(13, "Permission denied")
        return opened(path, flags, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    assert open_beneath(root, "/a") is None


NAMES = "a dir sub in folder out parent top web web2 secret etc passwd fifo round . .. ... \\ ..\\ %2e%2e ä dir/far"
parts = st.sampled_from(["", "\0", *NAMES.split()])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(parts, max_size=8))
@example(["parent", "web2", "secret"])
@example(["top", "etc", "passwd"])
def test_no_name_leads_out(root: str, names: list[str]) -> None:
    found = open_beneath(root, "/" + "/".join(names))
    if isinstance(found, FoundFile):
        with found.file:
            where = os.readlink(f"/proc/self/fd/{found.file.fileno()}")
            assert where.startswith(f"{root}/") and found.file.read() != SECRET
