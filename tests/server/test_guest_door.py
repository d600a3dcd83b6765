"""Tests of pycast.server.guest_door: a node whose mounts ask who listens, with a server that is asked."""

import select
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.auth.signed_address import signed_path
from pycast.config.load import load
from tests.auth.backend import YES, Backend, running
from tests.conftest import WaitUntil
from tests.e2e.wire import frames

KEY = "a key of 16 letters or more"
TOML = """
[server]
hostname = "radio.example"
[[listen]]
bind_address = "127.0.0.1"
port = 0
shoutcast_mount = "/sc"
[limits]
source_grace = 0.0
client_timeout = 1
[logging]
access_log = "ACCESS"
[[mount]]
mount_name = "/open"
fallback_mount = "/file"
[[mount]]
mount_name = "/file"
fallback_mount = "/free"
[mount.authentication]
type = "htpasswd"
filename = "USERS"
[[mount]]
mount_name = "/asked"
[mount.authentication]
type = "url"
listener_add = "URL"
listener_remove = "URL"
stream_auth = "URL"
mount_add = "URL"
mount_remove = "URL"
timeout = 0.3
[[mount]]
mount_name = "/signed"
[mount.authentication]
type = "signed"
keys = ["KEY"]
[[mount]]
mount_name = "/sc"
[mount.authentication]
type = "url"
stream_auth = "URL"
"""


@pytest.fixture
def backend() -> Iterator[Backend]:
    with running() as made:
        yield made


class House:
    """A node, and its folder."""

    def __init__(self, folder: Path, backend: Backend) -> None:
        self.folder = folder
        (folder / "users").write_text("ann:0cc175b9c0f1b6a831c399e269772661\n")
        self.write(TOML, backend)
        self.node = Node(load(folder / "pycast.toml", {}), folder / "pycast.toml", None, 1000)
        self.port = self.node.start().port
        self.socks: list[socket.socket] = []

    def write(self, toml: str, backend: Backend) -> None:
        for name, value in (("USERS", "users"), ("ACCESS", "access.log")):
            toml = toml.replace(f'"{name}"', f'"{self.folder / value}"')
        (self.folder / "pycast.toml").write_text(toml.replace("URL", backend.url()).replace("KEY", KEY))

    def send(self, data: str, login: str = "", port: int = 0) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port or self.port), 5)
        self.socks.append(sock)
        basic = f"Authorization: Basic {b64encode(login.encode()).decode()}\r\n" if login else ""
        sock.sendall(data.replace("\r\n", f"\r\n{basic}", 1).encode())
        return sock

    def source(self, mount: str, login: str = "source:hackme") -> socket.socket:
        sock = self.send(f"SOURCE {mount} HTTP/1.0\r\nContent-Type: text/plain\r\n\r\naudio", login)
        assert sock.recv(1000).startswith(b"HTTP/1.0 200 OK"), mount
        return sock

    def get(self, target: str, login: str = "", method: str = "GET") -> tuple[socket.socket, str]:
        """Returns a listener, and the first bytes of its answer."""
        sock = self.send(f"{method} {target} HTTP/1.0\r\nUser-Agent: VLC\r\n\r\n", login)
        return sock, sock.recv(10_000).decode("utf-8", "replace")

    def status(self, target: str, login: str = "", method: str = "GET") -> int:
        return int(self.get(target, login, method)[1][9:12])

    def close(self) -> None:
        for sock in self.socks:
            sock.close()
        self.node.stop()


@pytest.fixture
def house(tmp_path: Path, backend: Backend) -> Iterator[House]:
    made = House(tmp_path, backend)
    yield made
    made.close()


def test_users_of_a_file_hear_the_mount_and_others_do_not(house: House) -> None:
    house.source("/file")
    for method in ("GET", "HEAD"):
        assert [house.status("/file", login, method) for login in ("ann:a", "ann:b", "")] == [200, 401, 401]
        time.sleep(0)
    (listener,) = house.node.parts.context.site.local.listeners("/file")
    assert listener.user == "ann"


def test_head_of_a_mount_that_rests_asks_for_the_login_and_wakes_nobody(house: House) -> None:
    woken: list[str] = []
    house.node.parts.context.finder._on_demand.add("/file", lambda: woken.append("/file"))
    logins = ("ann:a", "ann:b", "", "relay:hackme")
    assert [house.status("/file", login, "HEAD") for login in logins] == [200, 401, 401, 200]
    assert (woken, len(house.node.parts.context.site.guests)) == ([], 0)


def test_mount_without_authentication_asks_nobody(house: House, backend: Backend) -> None:
    house.source("/open")
    assert house.status("/open") == 200
    assert len(house.node.parts.context.site.guests) == 0
    assert backend.asked == []


def test_name_of_a_user_is_in_the_access_log(house: House, wait_until: WaitUntil) -> None:
    house.source("/file")
    sock, _ = house.get("/file", "ann:a")
    sock.close()
    log = house.folder / "access.log"
    wait_until(lambda: log.exists() and "GET /file" in log.read_text(), "the line")
    assert " - ann [" in log.read_text()


def test_listener_who_asks_for_a_dead_mount_is_not_led_into_a_protected_one(house: House) -> None:
    house.source("/file")
    assert house.status("/open") == 404
    house.source("/free")
    assert house.status("/open") == 200
    assert len(house.node.parts.context.mounts.get("/file").fanout) == 0  # type: ignore[union-attr]


def test_listeners_of_a_mount_that_ends_are_not_moved_into_a_protected_one(house: House, wait_until: WaitUntil) -> None:
    house.source("/file")
    house.source("/free")
    source = house.source("/open")
    house.get("/open")
    source.close()
    mounts = house.node.parts.context.mounts
    wait_until(lambda: mounts.get("/open") is None, "the end of the mount")
    assert len(mounts.get("/file").fanout) == 0  # type: ignore[union-attr]


def test_server_is_asked_and_told(house: House, backend: Backend, wait_until: WaitUntil) -> None:
    source = house.source("/asked", "dj:pw")
    sock, answer = house.get("/asked?token=1", "ann:x")
    assert answer.startswith("HTTP/1.0 200 OK")
    sock.close()
    wait_until(lambda: backend.of("listener_remove"), "the notice")
    source.close()
    wait_until(lambda: backend.of("mount_remove"), "the notice")
    actions = [one["action"] for one in backend.asked]
    assert sorted(actions) == ["listener_add", "listener_remove", "mount_add", "mount_remove", "stream_auth"]
    (added,), (removed,) = backend.of("listener_add"), backend.of("listener_remove")
    assert added == {
        "action": "listener_add",
        "server": "radio.example",
        "port": str(house.port),
        "client": added["client"],
        "mount": "/asked?token=1",
        "user": "ann",
        "pass": "x",
        "ip": "127.0.0.1",
        "agent": "VLC",
        "referer": "",
        "listeners": "0",
    }
    assert (removed["client"], removed["duration"]) == (added["client"], "0")
    assert int(removed["sent"]) > 0
    assert len(house.node.parts.context.site.guests) == 0


def test_who_is_not_let_in_gets_the_servers_answer(house: House, backend: Backend) -> None:
    house.source("/asked", "dj:pw")
    backend.answer = lambda asked: "icecast-auth-message: geo-blocked"
    assert "HTTP/1.0 401 Authentication Required\r\n" in house.get("/asked")[1]
    backend.answer = lambda asked: "HTTP/1.1 302 Found\r\nLocation: https://shop.example/x"
    answer = house.get("/asked")[1]
    assert answer.startswith("HTTP/1.0 302 Found\r\n") and "Location: https://shop.example/x\r\n" in answer
    assert backend.of("listener_remove") == []


def test_head_and_a_mount_without_a_source_leave_no_guest(
    house: House, backend: Backend, wait_until: WaitUntil
) -> None:
    assert house.status("/asked") == 404
    house.source("/asked", "dj:pw")
    assert house.status("/asked", method="HEAD") == 200
    wait_until(lambda: len(backend.of("listener_remove")) == 2, "the notices")
    assert len(house.node.parts.context.site.guests) == 0


def test_path_that_is_no_mount_asks_nobody(house: House, backend: Backend) -> None:
    house.write(
        TOML + '[[mount]]\ntype = "default"\n[mount.authentication]\ntype = "url"\nlistener_add = "URL"\n', backend
    )
    house.node.reload()
    for target in ("/nothing", "/status.xsl", "/style.css", "/none.mp3.m3u", "/admin/stats"):
        house.status(target)
    assert backend.asked == []


def test_time_of_a_listener_is_limited_by_the_server(house: House, backend: Backend) -> None:
    house.source("/asked", "dj:pw")
    backend.answer = lambda asked: f"{YES}\r\nicecast-auth-timelimit: 1"
    sock, _ = house.get("/asked")
    begun = time.monotonic()
    while sock.recv(1000):
        pass
    assert time.monotonic() - begun > 0.5


def test_server_that_hangs_delays_nobody_else(house: House, backend: Backend) -> None:
    house.source("/asked", "dj:pw")
    house.source("/file")
    house.write(TOML.replace("timeout = 0.3", "timeout = 30"), backend)
    house.node.reload()
    backend.delay = 60.0
    waiting = [house.send("GET /asked HTTP/1.0\r\n\r\n") for _ in range(10)]
    assert house.status("/file", "ann:a") == 200
    assert not select.select(waiting, [], [], 0)[0]
    house.write(TOML, backend)
    house.node.reload()
    waiting = [house.send("GET /asked HTTP/1.0\r\n\r\n") for _ in range(10)]
    assert [sock.recv(100)[9:12] for sock in waiting] == [b"401"] * 10


def test_reload_changes_who_is_asked_and_listeners_stay(house: House, backend: Backend) -> None:
    source = house.source("/open")
    sock, _ = house.get("/open")
    rules = '[mount.authentication]\ntype = "htpasswd"\nfilename = "USERS"\n'
    house.write(TOML.replace('fallback_mount = "/file"\n', f'fallback_mount = "/file"\n{rules}'), backend)
    house.node.reload()
    assert [house.status("/open", login) for login in ("", "ann:a")] == [401, 200]
    source.sendall(b"more")
    assert sock.recv(100) == b"more"


def test_sources_are_let_in_by_the_server_and_not_by_the_password(house: House, backend: Backend) -> None:
    backend.answer = lambda asked: YES if asked["pass"] == "right" else ""
    head = "SOURCE /asked HTTP/1.0\r\nContent-Type: text/plain\r\n\r\naudio"
    assert house.send(head, "source:hackme").recv(100)[9:12] == b"401"
    house.source("/asked", "dj:right")
    title = "/admin/metadata?mount=/asked&mode=updinfo&song=x"
    assert [house.status(title, login) for login in ("source:hackme", "dj:right", "admin:hackme")] == [401, 200, 200]
    assert [one.get("admin") for one in backend.of("stream_auth")] == [None, None, "1", "1"]


def test_server_may_let_in_a_source_without_a_login(house: House, backend: Backend) -> None:
    backend.answer = lambda asked: YES if asked["mount"] == "/asked" and asked["ip"] == "127.0.0.1" else ""
    house.source("/asked", "")
    title = "/admin/metadata?mount=%s&mode=updinfo&song=x"
    assert [house.status(title % mount) for mount in ("/asked", "/sc", "/open")] == [200, 401, 401]
    head = "SOURCE /sc HTTP/1.0\r\nContent-Type: text/plain\r\n\r\naudio"
    assert all(house.send(head).recv(100)[9:12] == b"401" for _ in range(20)), "no guess, so not 429"
    assert {(one["user"], one["pass"]) for one in backend.of("stream_auth")} == {("", "")}
    assert [one.get("admin") for one in backend.of("stream_auth")][:3] == [None, "1", "1"]


def test_shoutcast_sources_are_asked_about_too(house: House, backend: Backend) -> None:
    backend.answer = lambda asked: YES if (asked["user"], asked["pass"]) == ("dj", "right") else ""
    sock = house.send("hackme\r\n", port=house.port + 1)
    assert sock.recv(100) == b""
    sock = house.send("dj:right\r\nicy-name: x\r\ncontent-type: text/plain\r\n\r\naudio", port=house.port + 1)
    assert sock.recv(100).startswith(b"OK2")
    assert {one["mount"] for one in backend.asked} == {"/sc"}


def test_signed_address_is_heard_in_every_form_of_the_mounts_name(house: House) -> None:
    house.source("/signed")
    good = signed_path(KEY, "/signed", int(time.time()) + 60)
    assert [house.status(target) for target in (good, "/signed", good + "x")] == [200, 403, 403]
    assert house.status(good.replace("/signed", "/%73igned")) == 200
    assert house.status(good.replace("/signed", "/signed/;")) in (200, 404)
    assert house.status("/signed/;") in (403, 404)


def test_playlist_of_a_protected_mount_shows_no_secret(house: House) -> None:
    house.source("/signed")
    good = signed_path(KEY, "/signed", int(time.time()) + 60)
    query = good.partition("?")[2]
    for kind in ("m3u", "pls", "xspf", "vclt"):
        sock = house.send(f"GET /signed.{kind}?{query} HTTP/1.0\r\n\r\n", "ann:secret")
        answer = b""
        while piece := sock.recv(10_000):
            answer += piece
        assert b"200 OK" in answer and b"/signed" in answer
        assert not any(secret in answer for secret in (b"secret", b"signature", b"expires"))


def test_another_server_that_relays_is_let_in_and_asks_nobody(house: House, backend: Backend) -> None:
    house.source("/file")
    house.source("/signed")
    assert [house.status(name, "relay:hackme") for name in ("/file", "/file", "/signed")] == [200, 200, 200]
    assert house.status("/signed", "relay:wrong") == 403
    assert len(house.node.parts.context.site.guests) == 0


def test_nothing_is_left_of_many_who_come_and_go(house: House, backend: Backend, wait_until: WaitUntil) -> None:
    house.source("/asked", "dj:pw")
    for _ in range(30):
        house.get("/asked")[0].close()
    wait_until(lambda: len(backend.of("listener_remove")) == 30, "the notices")
    guests = house.node.parts.context.site.guests
    assert (len(guests), len(guests._users)) == (0, 0)


def mp3_source(house: House, mount: str) -> socket.socket:
    sock = house.send(f"SOURCE {mount} HTTP/1.0\r\nContent-Type: audio/mpeg\r\n\r\n", "source:hackme")
    assert sock.recv(1000).startswith(b"HTTP/1.0 200 OK")
    sock.sendall(frames(500, 100))
    return sock


def test_listener_is_put_on_the_mount_that_the_answer_names(
    house: House, backend: Backend, wait_until: WaitUntil
) -> None:
    context = house.node.parts.context
    house.source("/asked"), house.source("/file")
    backend.answer = lambda asked: f"{YES}\r\nMountpoint: /file"
    sock, _ = house.get("/asked?token=1")
    (listener,) = context.site.local.listeners("/file")
    mount = context.mounts.get("/file")
    assert mount is not None and next(iter(mount.fanout)).requested_mount == "", "it does not go back to /asked"
    assert listener.ip == "127.0.0.1" and not context.site.local.listeners("/asked")
    sock.close()
    wait_until(lambda: backend.of("listener_remove"), "the notice")
    assert backend.of("listener_remove")[0]["mount"] == "/asked?token=1"
    assert len(context.site.guests) == 0
    backend.answer = lambda asked: f"{YES}\r\nMountpoint: /nowhere"
    assert house.status("/asked") == 404
    assert len(context.site.guests) == 0


def test_body_of_the_answer_is_heard_before_the_stream(house: House, backend: Backend) -> None:
    mp3_source(house, "/asked")
    backend.answer, backend.body = lambda asked: "icecast-auth-user: withintro", frames(0, 30)
    for _ in range(2):  # each time: the server that is asked decides
        sock = house.send("GET /asked HTTP/1.0\r\n\r\n")
        heard = b""
        while len(heard.partition(b"\r\n\r\n")[2]) < 40 * 417:
            heard += sock.recv(65_536)
        audio = heard.partition(b"\r\n\r\n")[2]
        assert audio.startswith(frames(0, 30) + frames(500, 1)[:4]) and audio.count(frames(0, 1)) == 1


def test_listener_who_asks_only_for_the_head_gets_no_audio(house: House, backend: Backend) -> None:
    mp3_source(house, "/asked")
    backend.answer, backend.body = lambda asked: "icecast-auth-user: withintro", frames(0, 30)
    sock, head = house.get("/asked", method="HEAD")
    assert head.startswith("HTTP/1.0 200 OK") and sock.recv(100) == b""


def test_body_that_does_not_fit_the_stream_is_left_out(
    house: House, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    mp3_source(house, "/asked")
    backend.answer = lambda asked: "icecast-auth-user: withintro"
    for body in (b"no audio", b"no audio", b""):
        backend.body = body
        assert house.status("/asked") == 200
    assert sum("cannot be played" in line for line in caplog.messages) == 1
