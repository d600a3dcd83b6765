"""Tests of pycast.web.files: files of the station as a browser, a player and a stranger get them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pycast.http.response import FileParts, FileRange, Response
from pycast.web.site import Site
from tests.web.sites import ADMIN, PASSWORDS, RELAY, SOURCE, ask, make_site, refusal

SONG = bytes(range(256)) * 4
OPEN: list[Response] = []
MISSING = (404, "The file you requested could not be found")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "web"
    for folder in (".git", ".well-known/acme", "player/img", "empty", "admin"):
        (root / folder).mkdir(parents=True)
    files = {
        "song.mp3": SONG,
        "player/index.html": b"<p>",
        "player/img/a.png": b"png",
        ".git/config": b"secret",
        ".htpasswd": b"secret",
        ".well-known/acme/token": b"token",
        "player/.hidden": b"secret",
        "favicon.ico": b"ico",
        "list.m3u": b"own list",
        "live.mp3.m3u": b"own list of the mount",
        "admin/stats": b"own file",
        "status.xsl": b"own file",
        "index.html": b"own file",
        "noext": b"?",
        "ü%41.txt": b"umlaut",
    }
    for name, content in files.items():
        (root / name).write_bytes(content)
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (root / "out.txt").symlink_to("../secret.txt")
    os.mkfifo(root / "fifo.mp3")
    return root


@pytest.fixture
def site(root: Path) -> Iterator[Site]:
    yield make_site(toml=f'{PASSWORDS}[paths]\nwebroot = "{root}"\nmime_types = ""\n')
    for response in OPEN:
        body: Any = response.body
        body.file.close()
    OPEN.clear()


def get(site: Site, path: str, **head: Any) -> Response:
    """The answer; its file is closed after the test."""
    response = ask(site, path, **head)
    if isinstance(response.body, FileRange | FileParts):
        OPEN.append(response)
    return response


def content(response: Response) -> bytes:
    """The bytes that the answer sends."""
    body = response.body
    if isinstance(body, FileRange):
        return os.pread(body.file.fileno(), body.length, body.start)
    if isinstance(body, FileParts):
        return b"".join(
            one if isinstance(one, bytes) else os.pread(body.file.fileno(), one[1], one[0]) for one in body.parts
        )
    assert isinstance(body, bytes)
    return body


def header(response: Response, name: str) -> str:
    return dict(response.headers).get(name, "")


@pytest.mark.parametrize(
    ("path", "expected", "kind"),
    [
        ("/song.mp3", SONG, "audio/mpeg"),
        ("/song.mp3?&_ic2=1", SONG, "audio/mpeg"),
        ("/player/", b"<p>", "text/html; charset=utf-8"),
        ("/player/index.html", b"<p>", "text/html; charset=utf-8"),
        ("/player/img/a.png", b"png", "image/png"),
        ("/favicon.ico", b"ico", "image/x-icon"),
        ("/list.m3u", b"own list", "audio/x-mpegurl"),
        ("/live.mp3.m3u", b"own list of the mount", "audio/x-mpegurl"),
        ("/.well-known/acme/token", b"token", "application/octet-stream"),
        ("/noext", b"?", "application/octet-stream"),
        ("/%C3%BC%2541.txt", b"umlaut", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_is_sent_with_its_type(site: Site, path: str, expected: bytes, kind: str) -> None:
    response = get(site, path)
    assert (response.status, content(response), response.content_type) == (200, expected, kind)
    assert header(response, "Accept-Ranges") == "bytes"
    assert response.may_be_stored and response.is_own


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/nothing.mp3",
            "/empty/",
            "/empty",
            "/song.mp3/",
            "/.git/config",
            "/.htpasswd",
            "/player/.hidden",
            "/out.txt",
        ),
        *("/fifo.mp3", "/.well-known/../.htpasswd/x", "/%2e%2e/secret.txt"),
    ],
)
def test_all_else_is_not_found(site: Site, path: str) -> None:
    try:
        assert refusal(site, path) == MISSING
    except AssertionError:
        raise
    except Exception as error:  # paths of dots are refused before anything is looked up
        assert "bad path" in str(error)


def test_the_servers_own_pages_go_before_files(site: Site) -> None:
    assert refusal(site, "/admin/stats")[0] == 401
    assert b"own file" not in content(get(site, "/status.xsl")) + content(get(site, "/"))


def test_a_folder_is_asked_for_with_a_slash_at_its_end(site: Site) -> None:
    response = get(site, "/player")
    assert (response.status, header(response, "Location")) == (301, "/player/")
    moved = get(site, "/player?station=a%20b&c=1")
    assert header(moved, "Location") == "/player/?station=a%20b&c=1"


@pytest.mark.parametrize("kind", ["m3u", "pls"])
def test_a_recording_has_a_playlist_as_a_mount_has(site: Site, kind: str) -> None:
    response = get(site, f"/song.mp3.{kind}", more="Host: radio.example:8080\r\n")
    assert response.status == 200 and b"http://radio.example:8080/song.mp3" in content(response)
    for path in ("/noext", "/player", "/player/", "/.hidden.mp3", "/later.mp3"):
        assert refusal(site, f"{path}.{kind}") == MISSING
    assert refusal(site, "/song.mp3.xspf") == MISSING


def test_without_a_folder_or_with_the_switch_off_there_are_no_files(root: Path) -> None:
    for toml in ("", f'[paths]\nwebroot = "{root}"\n[server]\nfileserve = false\n'):
        site = make_site(toml=PASSWORDS + toml)
        assert refusal(site, "/song.mp3") == MISSING
        assert "live.mp3" in content(ask(site, "/live.mp3.m3u")).decode()


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert refusal(make_site(toml=f'{PASSWORDS}[paths]\nwebroot = "{tmp_path}/none"\n'), "/song.mp3") == MISSING


@pytest.mark.parametrize(
    ("asked", "start", "length"), [("bytes=0-", 0, 1024), ("bytes=1000-2000", 1000, 24), ("bytes=-24", 1000, 24)]
)
def test_a_part_is_sent_alone(site: Site, asked: str, start: int, length: int) -> None:
    response = get(site, "/song.mp3", more=f"Range: {asked}\r\n")
    assert (response.status, content(response)) == (206, SONG[start : start + length])
    assert header(response, "Content-Range") == f"bytes {start}-{start + length - 1}/1024"


def test_several_parts_are_sent_with_a_head_for_each(site: Site) -> None:
    response = get(site, "/song.mp3", more="Range: bytes=0-3,-2\r\n")
    assert response.status == 206 and isinstance(response.body, FileParts)
    kind, _, boundary = response.content_type.partition("; boundary=")
    assert kind == "multipart/byteranges"
    sent = content(response)
    assert len(sent) == response.body.length
    _, first, second, end = sent.split(f"\r\n--{boundary}".encode())
    assert first == b"\r\nContent-Type: audio/mpeg\r\nContent-Range: bytes 0-3/1024\r\n\r\n" + SONG[:4]
    assert second == b"\r\nContent-Type: audio/mpeg\r\nContent-Range: bytes 1022-1023/1024\r\n\r\n" + SONG[-2:]
    assert end == b"--\r\n"


def test_a_range_behind_the_end_is_refused_and_the_file_is_closed(site: Site) -> None:
    response = ask(site, "/song.mp3", more="Range: bytes=5000-\r\n")
    assert (response.status, header(response, "Content-Range")) == (416, "bytes */1024")


def test_ranges_are_for_get_only_and_unreadable_ones_are_ignored(site: Site) -> None:
    assert get(site, "/song.mp3", method="HEAD", more="Range: bytes=0-1\r\n").status == 200
    assert get(site, "/song.mp3", more="Range: lines=0-1\r\n").status == 200


def test_who_has_the_file_gets_304_and_one_that_has_changed_is_sent(site: Site, root: Path) -> None:
    first = get(site, "/song.mp3")
    tag, modified = header(first, "ETag"), header(first, "Last-Modified")
    for more in (f"If-None-Match: {tag}\r\n", f"If-Modified-Since: {modified}\r\n"):
        again = ask(site, "/song.mp3", more=more)
        assert (again.status, again.body, header(again, "ETag")) == (304, b"", tag)
    assert ask(site, "/song.mp3", more='If-Match: "other"\r\n').status == 412
    in_part = get(site, "/song.mp3", more=f"If-Range: {tag}\r\nRange: bytes=0-1\r\n")
    assert in_part.status == 206
    os.utime(root / "song.mp3", ns=(1, 1))
    assert get(site, "/song.mp3", more=f"If-None-Match: {tag}\r\n").status == 200
    assert get(site, "/song.mp3", more=f"If-Range: {tag}\r\nRange: bytes=0-1\r\n").status == 200


def test_types_are_read_again_when_their_file_changes(root: Path) -> None:
    types = root / "types"
    site = make_site(toml=f'{PASSWORDS}[paths]\nwebroot = "{root}"\nmime_types = "{types}"\n')
    kinds = []
    for number, text in enumerate(("", "audio/x-one noext mp3\n", "audio/x-two mp3\n")):
        types.write_text(text)
        os.utime(types, ns=(number + 1, number + 1))
        kinds.append(get(site, "/song.mp3").content_type)
    assert kinds == ["audio/mpeg", "audio/x-one", "audio/x-two"]
    for response in OPEN:
        body: Any = response.body
        body.file.close()
    OPEN.clear()


def test_a_disk_that_fails_is_told_as_that(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        assert refusal(site, "/song.mp3") == (503, "This file cannot be read at present")


@pytest.fixture
def own(site: Site, root: Path, tmp_path: Path) -> Site:
    admin = tmp_path / "admin"
    for folder in ("help", ".git"):
        (admin / folder).mkdir(parents=True)
    for name in ("style.css", "help/index.html", ".git/config", "page.xsl", "stats"):
        (admin / name).write_text(f"own {name}")
    (admin / "out.css").symlink_to("../secret.txt")
    return make_site(toml=f'{PASSWORDS}[paths]\nwebroot = "{root}"\nadminroot = "{admin}"\nmime_types = ""\n')


def test_files_of_the_admin_are_for_the_admin_and_nobody_learns_which_there_are(own: Site) -> None:
    for path in ("style.css", "help/", "help", "nothing.css", ".git/config", "page.xsl"):
        assert refusal(own, f"/admin/{path}")[0] == 401
    for login in (SOURCE, RELAY):
        assert refusal(own, "/admin/style.css", authorization=login)[0] == 401
    assert refusal(own, "/admin/style.css?mount=/live.mp3", authorization=SOURCE)[0] == 400
    style = get(own, "/admin/style.css", authorization=ADMIN)
    assert (content(style), style.content_type) == (b"own style.css", "text/css; charset=utf-8")
    assert not style.may_be_stored and header(style, "ETag")
    assert content(get(own, "/admin/help/", authorization=ADMIN)) == b"own help/index.html"
    moved = ask(own, "/admin/help", authorization=ADMIN)
    assert (moved.status, header(moved, "Location")) == (301, "/admin/help/")


@pytest.mark.parametrize("path", ["nothing.css", ".git/config", "out.css", "page.xsl", "page.XSL"])
def test_what_is_no_file_of_the_admin_is_an_unknown_command(own: Site, path: str) -> None:
    assert refusal(own, f"/admin/{path}", authorization=ADMIN) == (400, "Unrecognised command")


def test_commands_go_before_files_of_the_admin(own: Site) -> None:
    assert b"own stats" not in content(ask(own, "/admin/stats", authorization=ADMIN))
    assert refusal(own, "/admin/style.css?mount=/live.mp3", authorization=ADMIN)[0] == 400
