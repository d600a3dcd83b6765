"""A node and a directory: what it is told from the start of a source to the stop of the server."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from tests.conftest import WaitUntil
from tests.directories.test_directory import stand_in

__all__ = ["stand_in"]

TOML = """
[server]
hostname = "radio.example"
[[listen]]
bind_address = "127.0.0.1"
port = 0
[logging]
access_log = ""
[[directory]]
yp_url = "{}"
[[directory]]
yp_url = "http://127.0.0.1:9/dead"
"""
SOURCE = (
    b"SOURCE /live.mp3 HTTP/1.0\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\nContent-Type: audio/mpeg\r\n"
    b"ice-public: 1\r\nice-name: Radio\r\nice-audio-info: bitrate=128;channels=2\r\n\r\n"
)
TITLE = (
    b"GET /admin/metadata?mount=/live.mp3&mode=updinfo&song=A%20-%20B HTTP/1.0\r\n"
    b"Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n\r\n"
)
FRAME = b"\xff\xfb\x90\xc4" + b"\0" * 413

Told = tuple[str, list[tuple[str, str, bytes]]]


@pytest.fixture
def node(stand_in: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr("pycast.directories.directory.STEP_S", 0.02)
    for name in ("ADD_S", "FIRST_TOUCH_S", "TITLE_S", "TITLES_APART_S"):
        monkeypatch.setattr(f"pycast.directories.listing.{name}", 0.05)
    made = Node(loads(TOML.format(stand_in[0]), {}, "test"), None, None, 1000)
    made.start()
    yield made
    made.stop()


def fields(told: list[tuple[str, str, bytes]]) -> list[dict[str, str]]:
    parsed = (parse_qs(body.decode().rstrip("\r\n"), keep_blank_values=True) for _, _, body in told)
    return [{name: value[0] for name, value in one.items()} for one in parsed]


def test_a_public_stream_is_added_touched_with_its_title_and_removed_at_the_stop(
    node: Node, stand_in: Told, wait_until: WaitUntil
) -> None:
    told, port = stand_in[1], node.parts.context.site.address.port
    with socket.create_connection(("127.0.0.1", port), 5) as source:
        source.sendall(SOURCE + FRAME * 10)
        wait_until(lambda: len(told) == 2, "the first touch")
        added, touched = fields(told)
        assert (added["action"], added["sn"], added["type"], added["b"]) == ("add", "Radio", "audio/mpeg", "128")
        assert added["listenurl"] == f"http://radio.example:{port}/live.mp3"
        assert told[0][1] == node.parts.context.settings.now.server.server_id
        assert told[0][2].endswith(b"&bitrate%3d128%3bchannels%3d2\r\n")
        assert (touched["action"], touched["sid"], touched["listeners"]) == ("touch", "7", "0")
        assert touched["max_listeners"] == "10000"
        with socket.create_connection(("127.0.0.1", port), 5) as listener:
            listener.sendall(b"GET /live.mp3 HTTP/1.0\r\n\r\n")
            assert listener.recv(5) == b"HTTP/"
            with socket.create_connection(("127.0.0.1", port), 5) as titled:
                titled.sendall(TITLE)
                titled.recv(1000)
            wait_until(lambda: len(told) == 3, "the title")
        assert (fields(told)[2]["st"], fields(told)[2]["listeners"]) == ("A - B", "1")
        begun = time.monotonic()
        node.stop()
        assert time.monotonic() - begun < 3
    assert fields(told)[3:] == [{"action": "remove", "sid": "7"}]


def test_a_stream_that_is_not_public_is_told_to_nobody(
    node: Node, stand_in: Told, wait_until: WaitUntil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[Any] = []
    monkeypatch.setattr("pycast.directories.catalogue.Catalogue.stream", lambda *given: steps.append(given))
    port = node.parts.context.site.address.port
    with socket.create_connection(("127.0.0.1", port), 5) as source:
        source.sendall(SOURCE.replace(b"public: 1", b"public: 0") + FRAME * 10)
        wait_until(lambda: node.parts.context.mounts.get("/live.mp3"), "the mount")
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() - begun > 0.3, "several steps")
    assert steps == [] and stand_in[1] == []
