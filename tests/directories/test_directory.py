"""Tests of pycast.directories.directory: what is posted when, to a directory that answers as a test says."""

import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from urllib3.exceptions import HTTPError

from pycast.config.directory_section import DirectorySection
from pycast.directories.directory import Directory, Reply, YpPool
from pycast.directories.yp_forms import PublicStream
from pycast.http.headers import Headers
from tests.directories.test_yp_forms import STREAM
from tests.net.deaf import deaf_port

URL = "http://yp.example/cgi"
YES = {"YPResponse": "1", "SID": "7", "TouchFreq": "200"}


class Station:
    """A directory, the mounts it is told of, and a clock."""

    def __init__(self, **keys: Any) -> None:
        self.now = 0.0
        self.playing = {"/live.mp3": "one"}
        self.posts: list[tuple[str, dict[str, list[str]]]] = []
        self.replies: list[Reply | Exception] = []
        self.bases: list[str] = []
        self.listenurl = STREAM.listenurl
        section = DirectorySection(yp_url=URL, **keys)
        self.directory = Directory(section, self, lambda: "agent", lambda: self.now, self.post)

    def titles(self) -> dict[str, str]:
        return self.playing

    def stream(self, name: str, base: str) -> PublicStream | None:
        self.bases.append(base)
        return STREAM._replace(name=name, title=self.playing[name], listenurl=self.listenurl)

    def post(self, url: str, form: bytes, agent: str) -> Reply:
        assert agent == "agent"
        self.posts.append((url, parse_qs(form.decode().rstrip(), keep_blank_values=True)))
        reply = self.replies.pop(0) if self.replies else Reply(200, Headers(YES.items()))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def at(self, now: float) -> list[str]:
        """Returns what was done at that time."""
        self.now, before = now, len(self.posts)
        self.directory.step()
        return [form["action"][0] for _, form in self.posts[before:]]


def test_a_mount_is_added_touched_and_removed() -> None:
    station = Station()
    assert [station.at(now) for now in (0, 59, 60, 64, 65, 264, 265)] == [[], [], ["add"], [], ["touch"], [], ["touch"]]
    station.playing = {"/live.mp3": "two"}
    assert [station.at(now) for now in (326, 328, 329)] == [[], [], ["touch"]]
    assert station.posts[-1][1]["st"] == ["two"]
    station.playing = {}
    assert [station.at(now) for now in (400, 401)] == [["remove"], []]
    assert station.posts[-1][1] == {"action": ["remove"], "sid": ["7"]}


def test_a_mount_without_an_entry_is_not_removed() -> None:
    station = Station()
    station.at(0)
    station.playing = {}
    assert station.at(70) == []


def test_each_mount_has_an_entry_of_its_own_and_all_go_at_the_end() -> None:
    station = Station()
    station.playing = {"/a": "", "/b": ""}
    station.at(0)
    assert station.at(60) == ["add", "add"]
    station.directory.remove_all()
    assert [form["action"] for _, form in station.posts[2:]] == [["remove"], ["remove"]]


def test_the_address_of_this_directory_is_asked_for() -> None:
    station = Station(listen_socket_url="https://here.example")
    station.at(0)
    station.at(60)
    assert station.bases == ["https://here.example"]


def test_a_mount_that_nobody_can_reach_is_not_listed(caplog: pytest.LogCaptureFixture) -> None:
    station = Station()
    station.listenurl = "http://localhost:8000/live.mp3"
    station.at(0)
    assert [station.at(now) for now in (60, 61, 660)] == [[], [], []]
    assert caplog.text.count("nobody else can reach http://localhost:8000/live.mp3") == 1
    station.listenurl = STREAM.listenurl
    assert station.at(1260) == ["add"]


def test_a_failure_is_told_once_and_the_others_wait(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    station = Station()
    station.playing = {"/a": "", "/b": ""}
    station.replies = [HTTPError("no route"), OSError("no name"), OSError("no name")]
    station.at(0)
    assert station.at(60) == ["add"], "the other one waits"
    assert [station.at(now) for now in (959, 960)] == [[], ["add"]]
    assert [station.at(now) for now in (2159, 2161, 4000, 4001)].count(["add"]) >= 1
    assert caplog.text.count("/a: it cannot be asked: no route") == 1
    assert caplog.text.count("no name") <= 2
    station.at(9000)
    station.at(20_000)
    assert "/a is listed" in caplog.text


def test_a_refusal_is_told_with_the_reason_of_the_directory(caplog: pytest.LogCaptureFixture) -> None:
    station = Station()
    station.replies = [Reply(200, Headers([("YPResponse", "0"), ("YPMessage", "Unspecified name")]))]
    station.at(0)
    assert station.at(60) == ["add"]
    assert "/live.mp3: it refuses: Unspecified name" in caplog.text
    assert [station.at(now) for now in (7259, 7260)] == [[], ["add"]]


def test_redirects_get_the_same_form_and_are_few() -> None:
    station = Station()
    station.replies = [
        Reply(301, Headers([("Location", "https://yp.example/new")])),
        Reply(302, Headers([("Location", "/newer")])),
    ]
    station.at(0)
    station.at(60)
    assert [url for url, _ in station.posts] == [URL, "https://yp.example/new", "https://yp.example/newer"]
    assert {form["action"][0] for _, form in station.posts} == {"add"}
    for location in ("/again", "ftp://elsewhere.example/"):
        station = Station()
        station.replies = [Reply(302, Headers([("Location", location)]))] * 10
        station.at(0)
        station.at(60)
        assert len(station.posts) == (4 if location == "/again" else 1)


class StandIn(BaseHTTPRequestHandler):
    """A directory in a thread of its own: keeps what it is told, answers as directories do."""

    told: list[tuple[str, str, bytes]]
    first = b""
    """What it sends before its answer."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.told.append((self.path, self.headers["User-Agent"], body))
        self.wfile.write(type(self).first)
        self.send_response(200)
        for name, value in YES.items():
            self.send_header(name, value)
        self.send_header("YPMessage", "d\xe9j\xe0".encode().decode("latin-1"))
        self.end_headers()
        self.wfile.write(b"a body that nobody reads")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def stand_in() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    told: list[tuple[str, str, bytes]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Told", (StandIn,), {"told": told}))
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}/yp?x=1", told
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_form_reaches_a_directory_and_its_headers_come_back(stand_in: tuple[str, list[Any]]) -> None:
    url, told = stand_in
    reply = YpPool().post(url, b"action=add&sn=x", "pycast")
    assert (reply.status, reply.headers.get("sid")) == (200, "7")
    assert reply.headers.get("ypmessage") == "d\xe9j\xe0", "in UTF-8"
    assert told == [("/yp?x=1", "pycast", b"action=add&sn=x")]


def test_dead_address_of_a_directory_keeps_nobody_from_the_living_one(
    stand_in: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, told = stand_in
    with deaf_port() as deaf:
        found = [(2, 1, 6, "", ("127.0.0.1", port)) for port in (deaf, urlsplit(url).port)]
        monkeypatch.setattr("socket.getaddrinfo", lambda *asked: found)
        monkeypatch.setattr("pycast.directories.directory.CONNECT_S", 0.1)
        reply = YpPool().post(url, b"action=add&sn=x", "pycast")
    assert (reply.status, len(told)) == (200, 1)


def test_what_comes_before_the_answer_is_not_taken_for_it(
    stand_in: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "first", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
    reply = YpPool().post(stand_in[0], b"action=add&sn=x", "pycast")
    assert (reply.status, reply.headers.get("ypresponse"), reply.headers.get("sid")) == (200, "1", "7")
    assert len(stand_in[1]) == 1


def test_a_directory_that_is_not_there_is_an_error_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    station = Station()
    section = DirectorySection(yp_url="http://127.0.0.1:9/yp")
    directory = Directory(section, station, lambda: "agent", lambda: station.now)
    directory.step()
    station.now = 60.0
    begun = time.monotonic()
    directory.step()
    assert "it cannot be asked" in caplog.text
    assert time.monotonic() - begun < 5
