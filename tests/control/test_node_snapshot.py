"""The totals are right at every moment, also while a mount ends."""

from collections.abc import Iterator

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from pycast.control.node_snapshot import snapshot_mount
from pycast.formats.marks import Info
from tests.conftest import WaitUntil
from tests.control.stage import stage

TOML = (
    '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n[limits]\nsource_grace = 0\nqueue_size = "8M"\n'
    '[logging]\naccess_log = ""\n'
)
SOURCE = b"SOURCE /x HTTP/1.0\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\nContent-Type: text/plain\r\n\r\n"
AUDIO = bytes(4 << 20)  # more than a connection holds


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node(loads(TOML, {}, "test"), None, None, 1000)
    made.start()
    yield made
    made.stop()


def test_totals_never_decrease(node: Node, wait_until: WaitUntil) -> None:
    address = ("127.0.0.1", node.parts.context.site.address.port)
    with socket.create_connection(address, 5) as source, socket.create_connection(address, 5) as stalled:
        source.sendall(SOURCE)
        assert source.recv(100).endswith(b"OK\r\n\r\n")
        stalled.sendall(b"GET /x HTTP/1.0\r\n\r\n")
        assert stalled.recv(1000).startswith(b"HTTP/1.0 200 OK")
        source.sendall(AUDIO)
        wait_until(lambda: node.parts.context.site.local.snapshot().counters.bytes_read == len(AUDIO), "the audio")
        before = node.parts.context.site.local.snapshot()
        source.close()
        wait_until(lambda: node.parts.context.mounts.get("/x") is None, "the end of the mount")
        assert node.parts.context.admission.open == 1, "the listener still gets the end"
        during = node.parts.context.site.local.snapshot()
    wait_until(lambda: node.parts.context.admission.open == 0, "the end of all")
    wait_until(lambda: not node.parts.context.mounts.ending, "the end of the fan-out")
    after = node.parts.context.site.local.snapshot()
    assert before.counters.bytes_read == during.counters.bytes_read == after.counters.bytes_read == len(AUDIO)
    assert 0 < before.counters.bytes_sent <= during.counters.bytes_sent <= after.counters.bytes_sent


@pytest.mark.parametrize(
    ("public", "directories", "listed"), [("1", True, True), ("1", False, False), ("0", True, False)]
)
def test_public_mounts_are_listed_if_there_is_a_directory(public: str, directories: bool, listed: bool) -> None:
    with stage(f'[[mount]]\nmount_name = "/x"\npublic = {public}\n') as node:
        assert snapshot_mount(node.begin("/x"), has_directories=directories).is_listed == listed


def test_protected_mount_says_what_decides_while_it_is_on_the_air_too() -> None:
    protected = '[mount.authentication]\ntype = "htpasswd"\nfilename = "/x"\n'
    with stage(f'[[mount]]\nmount_name = "/x"\n{protected}[[mount]]\nmount_name = "/y"\n') as node:
        assert [snapshot_mount(node.begin(name)).authenticator for name in ("/x", "/y")] == ["htpasswd", ""]


def test_bitrate_is_what_the_stream_says_and_else_measured() -> None:
    with stage() as node:
        vorbis = node.begin("/v", "application/ogg")
        vorbis.take(b"a", [Info(0, 112_000, {"ice-bitrate": "112", "subtype": "Vorbis"})])
        vorbis.take(b"a", [Info(1, 21_000, {"ice-bitrate": "112", "subtype": "Vorbis"})])
        opus = node.begin("/o", "application/ogg")
        opus.take(b"a", [Info(0, 96_000, {"subtype": "Opus"})])
        assert [snapshot_mount(mount).bitrate for mount in (vorbis, opus)] == ["112", "96"]
