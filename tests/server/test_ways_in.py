"""Every way in, with every login: made from the table of routes, so that a new path cannot be forgotten.

The node has a mount whose listeners are asked for a password, one for everybody, one of another password, and one whose
sources a server is asked about. For each way in and each login the answer must be the expected one; a way in of the
route table that nobody has put a row for here fails the test.
"""

from base64 import b64encode
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from pycast.web.admin import FOR_MOUNT, FOR_NODE
from pycast.web.route import Access
from pycast.web.routes import GROUPS, ROUTES
from tests.auth.backend import YES, Backend, running

TOML = """
[[listen]]
bind_address = "127.0.0.1"
port = 0
shoutcast_mount = "/sc"
[limits]
sources = 1000
source_grace = 0.0
[authentication]
source_password = "s-pw"
relay_password = "r-pw"
admin_password = "a-pw"
[paths]
webroot = "WEBROOT"
[logging]
access_log = ""
error_log = ""
[[mount]]
mount_name = "/own"
username = "me"
password = "own-pw"
[[mount]]
mount_name = "/guarded"
[mount.authentication]
type = "htpasswd"
filename = "USERS"
[[mount]]
mount_name = "/members/*"
[mount.authentication]
type = "htpasswd"
filename = "USERS"
[[mount]]
mount_name = "/asked"
[mount.authentication]
type = "url"
stream_auth = "URL"
"""

LOGINS = {
    "none": None,
    "nonsense": ("a", ""),
    "source": ("source", "s-pw"),
    "own": ("me", "own-pw"),
    "relay": ("relay", "r-pw"),
    "admin": ("admin", "a-pw"),
    "listener": ("ann", "a"),
    "dj": ("dj", "right"),
}
MOUNTS = ("/open", "/own", "/guarded", "/asked")
# Whose the sources of a mount are.
SOURCE_OF = {"/open": "source", "/own": "own", "/guarded": "source", "/asked": "dj", "/sc": "source"}
# Who may listen.
LISTENERS_OF = {"/open": set(LOGINS), "/own": set(LOGINS), "/guarded": {"listener", "relay"}, "/asked": set(LOGINS)}
ALL = set(LOGINS)
COMMANDS = sorted({*FOR_NODE, *FOR_MOUNT})


class Way(NamedTuple):
    """A request, and the logins with which it is not refused."""

    name: str
    request: str
    lets_in: frozenset[str]
    in_text: str = ""
    """How the password is in the request, for those that have no header."""


def ways() -> Iterator[Way]:
    for mount in MOUNTS:
        let_in = frozenset(LISTENERS_OF[mount])
        yield Way(f"GET {mount}", f"GET {mount} HTTP/1.0\r\n\r\n", let_in)
        yield Way(f"HEAD {mount}", f"HEAD {mount} HTTP/1.0\r\n\r\n", let_in)
        yield Way(f"PLAY {mount}", f"GET http://x{mount} HTTP/1.1\r\nHost: x\r\n\r\n", let_in)
        for kind in ("m3u", "pls", "xspf", "vclt"):
            yield Way(f"{mount}.{kind}", f"GET {mount}.{kind} HTTP/1.0\r\n\r\n", frozenset(ALL))
    for mount in MOUNTS:
        owner = frozenset({SOURCE_OF[mount]})
        yield Way(f"SOURCE {mount}-", f"SOURCE {mount} HTTP/1.0\r\nContent-Type: audio/mpeg\r\n\r\n", owner)
        yield Way(f"PUT {mount}-", f"PUT {mount} HTTP/1.1\r\nContent-Type: audio/mpeg\r\n\r\n", owner)
        cgi = f"GET /admin.cgi?mode=updinfo&mount={mount}&song=x&pass=%s HTTP/1.0\r\n\r\n"
        yield Way(f"/admin.cgi {mount}", cgi, owner, in_text="pass")
        view = f"GET /admin.cgi?mode=viewxml&mount={mount}"
        yield Way(f"viewxml {mount}", f"{view}&pass=%s HTTP/1.0\r\n\r\n", owner | {"admin"}, in_text="pass")
        yield Way(f"viewxml {mount} as HTTP wants it", f"{view} HTTP/1.0\r\n\r\n", owner | {"admin"})
    yield Way("STATS /", "STATS / HTTP/1.0\r\n\r\n", frozenset({"admin"}))
    members = {"listener", "relay"}
    for path, who in (("/free.txt", ALL), ("/members/a.txt", members), ("/members/none.txt", members)):
        yield Way(f"GET {path}", f"GET {path} HTTP/1.0\r\n\r\n", frozenset(who))
        yield Way(f"HEAD {path}", f"HEAD {path} HTTP/1.0\r\n\r\n", frozenset(who))
    for route in ROUTES:
        if route.path != "/admin.cgi":
            yield from of_route(route.path, route.access, is_public=route.is_public)
    for command, suffix in product(COMMANDS, ("", ".xsl", ".json")):
        if command in FOR_NODE:
            yield from of_route(f"/admin/{command}{suffix}", FOR_NODE[command].access, is_public=False)
        for mount in MOUNTS:
            row = FOR_MOUNT.get(command)
            access = row.access if row else Access.SOURCE
            yield from of_route(f"/admin/{command}{suffix}?mount={mount}", access, is_public=False, mount=mount)
    for mount in MOUNTS:
        yield Way(f"STATS {mount}", f"STATS {mount} HTTP/1.0\r\n\r\n", frozenset({"admin"}))
    yield Way("link", "GET /pycast/link HTTP/1.1\r\nUpgrade: pycast\r\nConnection: upgrade\r\n\r\n", frozenset(ALL))


def of_route(path: str, access: Access, *, is_public: bool, mount: str = "") -> Iterator[Way]:
    let_in = {
        Access.ALL: ALL,
        Access.ADMIN: ALL if is_public else {"admin"},
        Access.RELAY: {"admin", "relay"},
        Access.SOURCE: {"admin", SOURCE_OF.get(mount, "source")},
    }[access]
    yield Way(f"GET {path}", f"GET {path} HTTP/1.0\r\n\r\n", frozenset(let_in))
    if path.startswith("/admin"):
        form = f"POST {path} HTTP/1.0\r\nContent-Length: 0\r\n\r\n"
        yield Way(f"POST {path}", form, frozenset(let_in))


WAYS = list(ways())


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with running() as made:
        made.is_closing = True
        made.answer = lambda asked: YES if asked["pass"] == "right" else ""
        yield made


@pytest.fixture(scope="module")
def node(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    users = tmp_path_factory.mktemp("users") / "users"
    users.write_text("ann:0cc175b9c0f1b6a831c399e269772661\n")
    (users.parent / "members").mkdir()
    for name in ("free.txt", "members/a.txt"):
        (users.parent / name).write_text("a file")
    toml = TOML.replace("USERS", str(users)).replace("URL", backend.url()).replace("WEBROOT", str(users.parent))
    made = Node(loads(toml, {}, "test"), None, None, 1000)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def sources(node: Node) -> Iterator[None]:
    """A source on each mount, with its right login."""
    socks = []
    for mount in MOUNTS:
        sock = connect(
            node, f"SOURCE {mount} HTTP/1.0\r\nContent-Type: text/plain\r\n\r\naudio", LOGINS[SOURCE_OF[mount]]
        )
        assert sock.recv(100).startswith(b"HTTP/1.0 200")
        socks.append(sock)
    yield
    for sock in socks:
        sock.close()


def connect(node: Node, request: str, login: tuple[str, str] | None, port: int = 0) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port or node.parts.context.site.address.port), 5)
    if login is not None:
        basic = b64encode(":".join(login).encode()).decode()
        request = request.replace("\r\n", f"\r\nAuthorization: Basic {basic}\r\n", 1)
    sock.sendall(request.encode())
    return sock


def is_let_in(node: Node, way: Way, login: tuple[str, str] | None) -> bool:
    """Whether the answer is none that refuses for what was given as login."""
    request = way.request
    if way.in_text:
        request, login = request.replace("%s", login[1] if login else ""), None
    with connect(node, request, login) as sock:
        status = sock.recv(1000)[9:12]
    assert status.isdigit() and status != b"500", (way.name, login, status)
    return status not in (b"401", b"429")


def asked_with(way: Way, mount: str) -> set[str]:
    """The logins to try: all of them, but fewer for the many forms of commands, which go through one check."""
    if "/admin/" not in way.name:
        return ALL
    is_other_form = way.name.startswith("POST") or ".xsl" in way.name or ".json" in way.name
    if "mount=" not in way.name:
        return {"none", "admin", "listener"} if is_other_form else ALL
    if is_other_form:
        return {"none", "admin"} if mount == "/guarded" else set()
    return {"none", "admin", "relay", "own", SOURCE_OF[mount]}


@pytest.mark.parametrize("mount", MOUNTS)
def test_each_way_in_lets_in_those_it_should_and_nobody_else(
    node: Node, sources: None, mount: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycast.auth.logins.MOST", 1 << 30)  # these are thousands of wrong logins from one address
    monkeypatch.setattr("pycast.auth.logins.FREE", 1 << 30)
    monkeypatch.setattr("pycast.web.stats_stream.INTERVAL_S", 0.05)  # when it writes it notices who has left
    mine = [
        way for way in WAYS if mount in way.name or (mount == MOUNTS[0] and not any(one in way.name for one in MOUNTS))
    ]
    assert mine
    wrong = []
    for way, (name, login) in product(mine, LOGINS.items()):
        if "killsource" in way.name or (way.in_text and name == "nonsense"):
            continue
        if name not in asked_with(way, mount):
            continue
        if name in way.lets_in and any(one in way.name for one in ("killclient", "drain", "reloadconfig")):
            continue  # what they do is not what is asked here
        if is_let_in(node, way, login) is not (name in way.lets_in):
            wrong.append((way.name, name))
    assert wrong == []


def test_sources_over_shoutcast_need_the_password_of_their_mount(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycast.auth.logins.MOST", 1 << 30)
    monkeypatch.setattr("pycast.auth.logins.FREE", 1 << 30)
    port = node.parts.context.site.address.port + 1
    for login in filter(None, LOGINS.values()):
        with connect(node, f"{login[1]}\r\n", None, port) as sock:
            assert (sock.recv(100) == b"OK2\r\nicy-caps:11\r\n\r\n") is (login[1] == "s-pw"), login


def test_source_of_one_mount_cannot_hear_another_one(node: Node, sources: None) -> None:
    """Its listeners would be where they have not logged in."""
    listener = connect(node, "GET /open HTTP/1.0\r\n\r\n", None)
    listener.recv(1000)
    move = "GET /admin/moveclients?mount=/own&destination=/guarded HTTP/1.0\r\n\r\n"
    answers = []
    for mount, name in (("/own", "own"), ("/open", "admin")):
        with connect(node, move.replace("/own", mount), LOGINS[name]) as sock:
            answers.append(sock.recv(1000)[9:12])
    listener.close()
    assert answers == [b"403", b"200"]


def test_every_row_of_the_table_is_walked() -> None:
    walked = " ".join(way.name for way in WAYS)
    for route in ROUTES:
        assert route.path in walked, route.path
    for command in COMMANDS:
        assert f"/admin/{command}" in walked
    assert {group.prefix for group in GROUPS} == {"/admin/", ""}, "a new group needs its ways in here"
    assert set(Access) == {Access.ALL, Access.ADMIN, Access.RELAY, Access.SOURCE, Access.SHOUTCAST_SOURCE}
