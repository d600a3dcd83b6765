"""Files of the station beside a running stream, as curl, ffprobe and a browser's player fetch them."""

import hashlib
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pycast.testing import Server
from tests.e2e.deadline import until
from tests.e2e.programs import require
from tests.e2e.wire import get

BIG = 1 << 30


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, sound: Callable[[str], Path]) -> Path:
    root = tmp_path_factory.mktemp("web")
    (root / "song.mp3").write_bytes(sound("mp3").read_bytes())
    (root / "page.xsl").write_text(
        '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:output method="text"/>'
        '<xsl:template match="/icestats"><xsl:value-of select="source/server_type"/></xsl:template></xsl:stylesheet>'
    )
    with (root / "big.bin").open("wb") as big:
        big.truncate(BIG)
        big.seek(BIG - 3)
        big.write(b"end")
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    logs = root.parent / "logs"
    logs.mkdir(exist_ok=True)
    settings = {"access_log": str(logs / "access.log"), "logsize": 20_000, "logarchive": True, "format": "json"}
    alias = [{"source": "/listen", "destination": "/song.mp3"}]
    with Server(paths={"webroot": str(root)}, alias=alias, logging=settings) as server:
        yield server


def curl(server: Server, path: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [require("curl"), "-sS", "--max-time", "20", *options, f"http://127.0.0.1:{server.port}{path}"]
    return subprocess.run(command, capture_output=True, timeout=30, check=True)


def test_curl_gets_a_file_whole_in_part_and_resumed(server: Server, root: Path, tmp_path: Path) -> None:
    song = (root / "song.mp3").read_bytes()
    assert curl(server, "/song.mp3").stdout == song == curl(server, "/listen").stdout
    assert curl(server, "/song.mp3", "-r", "100-199").stdout == song[100:200]
    assert curl(server, "/song.mp3", "-r", "-10").stdout == song[-10:]
    (tmp_path / "part").write_bytes(song[:5000])
    curl(server, "/song.mp3", "-C", "-", "-o", str(tmp_path / "part"))
    assert (tmp_path / "part").read_bytes() == song
    head = curl(server, "/song.mp3", "-I").stdout.decode()
    assert "Content-Type: audio/mpeg" in head and f"Content-Length: {len(song)}" in head
    etag = next(line for line in head.splitlines() if line.startswith("ETag: "))[6:]
    assert b"304 Not Modified" in curl(server, "/song.mp3", "-i", "-H", f"If-None-Match: {etag}").stdout
    curl(server, "/song.mp3", "-z", str(root / "song.mp3"), "-o", str(tmp_path / "not-modified"))
    assert not (tmp_path / "not-modified").exists() or (tmp_path / "not-modified").read_bytes() == b""


def test_curl_gets_no_file_from_outside(server: Server) -> None:
    for path in (
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/song.mp3%00",
    ):
        status = curl(server, path, "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}").stdout
        assert status in (b"400", b"404"), path


def test_ffprobe_reads_and_seeks_in_it(server: Server) -> None:
    url = f"http://127.0.0.1:{server.port}/song.mp3"
    command = [
        require("ffprobe"),
        "-v",
        "error",
        "-read_intervals",
        "5%+1",
        "-show_entries",
        "format=duration:packet=pts_time",
    ]
    done = subprocess.run([*command, "-of", "json", url], capture_output=True, timeout=30, check=True)
    found = json.loads(done.stdout)
    assert 7.5 < float(found["format"]["duration"]) < 8.5
    assert float(found["packets"][0]["pts_time"]) > 4
    assert not done.stderr


def test_a_browsers_player_looks_at_the_end_and_goes_on_in_the_middle(server: Server, root: Path) -> None:
    song = (root / "song.mp3").read_bytes()
    agent = "Accept: */*\r\nAccept-Encoding: identity;q=1, *;q=0\r\nSec-Fetch-Dest: audio\r\n"
    whole = get(server.port, "/song.mp3", f"{agent}Range: bytes=0-\r\n")
    assert (whole.status, whole.body) == (206, song)
    tag = whole.header("ETag")
    for start in (len(song) - 128, len(song) // 2):
        reply = get(server.port, "/song.mp3", f"{agent}Range: bytes={start}-\r\nIf-Range: {tag}\r\n")
        assert (reply.status, reply.body) == (206, song[start:])
        assert reply.header("Content-Range") == f"bytes {start}-{len(song) - 1}/{len(song)}"


def test_a_large_file_costs_no_memory_and_readers_that_stall_hold_nobody_up(server: Server, root: Path) -> None:
    def resident() -> int:
        return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before, stalled = resident(), []
    for _ in range(30):
        sock = socket.create_connection(("127.0.0.1", server.port), 10)
        sock.sendall(b"GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        stalled.append(sock)
    assert all(sock.recv(20).startswith(b"HTTP/1.0 200") for sock in stalled)
    assert curl(server, "/big.bin", "-r", f"{BIG - 3}-").stdout == b"end"
    whole = curl(server, "/song.mp3").stdout
    assert hashlib.sha256(whole).digest() == hashlib.sha256((root / "song.mp3").read_bytes()).digest()
    assert resident() - before < 30 << 20
    for sock in stalled:
        sock.close()


def test_a_style_sheet_shows_the_stream_that_is_on_the_air(server: Server) -> None:
    with server.stream("/live.mp3", speed=0) as stream:
        stream.send(50)
        until(lambda: get(server.port, "/page.xsl").body == b"audio/mpeg", "the page to show the stream")


def test_logs_are_lines_of_json_and_rotated_by_size(server: Server, root: Path) -> None:
    logs = root.parent / "logs"
    for _ in range(150):
        get(server.port, "/listen", "Range: bytes=0-0\r\n")
    until(lambda: len(list(logs.glob("access.log.2*"))) >= 1, "the log to be rotated")
    until(lambda: sum(name.read_text().count('"/listen"') for name in logs.iterdir()) >= 150, "all lines")
    lines = [json.loads(line) for name in logs.iterdir() for line in name.read_text().splitlines()]
    assert {line["path"] for line in lines} >= {"/listen", "/song.mp3"}
