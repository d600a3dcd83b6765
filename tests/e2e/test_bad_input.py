"""Bad input of every kind gets a clear answer or a closed connection, and never costs another client a byte.

All tests share one server with a steady stream on it, whose listener checks every byte.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pycast.formats.ogg_page import MAX_GARBAGE
from pycast.testing import Server
from tests.e2e.steady import SteadyStream
from tests.e2e.wire import DEADLINE_S, Reply, Wire, ask, basic, frames, get, listen, parse, source
from tests.formats.worst import WORST

Sound = Callable[[str], Path]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(
        listen=[{"shoutcast_mount": "/icy.mp3"}],
        header_timeout=1,
        client_timeout=2,
        source_grace=0,
    ) as server:
        yield server


@pytest.fixture(scope="module")
def steady(server: Server) -> Iterator[SteadyStream]:
    with SteadyStream(server.port, server.source_password) as stream:
        yield stream


@pytest.fixture(autouse=True)
def nobody_else_lost_a_byte(server: Server, steady: SteadyStream) -> Iterator[None]:
    """Checks also that the test left at least one line in the logs, and no trace of a bug."""
    before = len(server.log()) + len("".join(server.access_log()))
    yield
    steady.verify()
    server.wait_until(lambda: len(server.log()) + len("".join(server.access_log())) > before, 3, "a line in a log")
    assert "Traceback" not in server.log()


def send(port: int, data: bytes) -> Reply:
    """Returns the answer to `data`, an empty one if the server closed without one."""
    with Wire(port) as wire:
        with suppress(ConnectionError):  # it may not want to hear all of it
            wire.send(data)
        return parse(wire.read_all(5))


def test_head_that_is_too_long_is_refused(server: Server) -> None:
    reply = send(server.port, b"GET / HTTP/1.0\r\nX: " + b"x" * 70_000 + b"\r\n\r\n")
    assert reply.status_line == "" or reply.status in (400, 431)


def test_head_without_an_end_is_refused_when_it_is_too_long(server: Server) -> None:
    reply = send(server.port, b"G" * 20_000)
    assert reply.status_line == "" or reply.status in (400, 431)


def test_too_many_headers_are_refused(server: Server) -> None:
    reply = send(server.port, b"GET / HTTP/1.0\r\n" + b"A: b\r\n" * 500 + b"\r\n")
    assert reply.status in (400, 431)


@pytest.mark.parametrize("head", [b"", b"GET /live.mp3 HT", b"SOURCE / HTTP/1.0\r\nA: b\r\n"])
def test_head_that_does_not_arrive_in_time_is_closed(head: bytes, server: Server) -> None:
    with Wire(server.port) as wire:
        if head:
            wire.send(head)
        reply = parse(wire.read_all(4))
        assert reply.status_line == "" or reply.status == 408
    if not head:
        get(server.port, "/nothing-was-logged-for-silence")


def test_slow_head_is_cut_off_however_steadily_it_drips(server: Server) -> None:
    with Wire(server.port) as wire:
        wire.sock.settimeout(0.05)
        refused = False
        for _ in range(80):
            try:
                wire.sock.sendall(b"X")
                refused = wire.sock.recv(1000) is not None
                break
            except TimeoutError:
                continue
            except ConnectionError:
                refused = True
                break
        assert refused, "four seconds of dripping were allowed"


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/live%00.mp3",
        "/%",
        "/%zz",
        "/../etc/passwd",
        "/a/../b",
        "/%2e%2e/x",
        "/a//b",
        "/..",
        "/a\\..\\b",
        "live.mp3",
        "//",
    ],
)
@pytest.mark.parametrize("method", ["GET", "SOURCE", "HEAD"])
def test_bad_paths_are_refused(path: str, method: str, server: Server) -> None:
    login = basic("source", server.source_password)
    reply = ask(server.port, f"{method} {path} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n")
    assert reply.status in (400, 403, 404)


@pytest.mark.parametrize(
    "head",
    [
        b"GET\r\n\r\n",
        b"GET / FTP/1.0\r\n\r\n",
        b"\r\n\r\n",
        b"GET / HTTP/1.0\r\nNo colon here\r\n\r\n",
        b"BREW /pot HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # a TLS hello
        b"STATS / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nAuthorization: Basic \xff\xfe\r\n\r\n",
        b"POST /admin/metadata HTTP/1.0\r\nContent-Length: 99999999\r\n\r\n",
        b"GET / HTTP/1.0\r\nContent-Length: -5\r\n\r\n",
    ],
)
def test_nonsense_is_answered_or_closed(head: bytes, server: Server) -> None:
    send(server.port, head)
    assert get(server.port, "/livez").status == 200


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("offset", [0, 1], ids=["http", "shoutcast"])
def test_rubbish_bytes_are_answered_or_closed(seed: int, offset: int, server: Server) -> None:
    rubbish = random.Random(seed).randbytes(3000) + (b"\r\n\r\n" if seed % 2 else b"")
    send(server.port + offset, rubbish)
    assert get(server.port, "/livez").status == 200


def chunked_source(server: Server) -> Wire:
    """Returns a chunked PUT to /chunks.mp3 that was accepted."""
    login = basic("source", server.source_password)
    wire = Wire(server.port)
    wire.send(f"PUT /chunks.mp3 HTTP/1.1\r\n{login}Content-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n")
    wire.read_to(b"200 OK\r\n\r\n")
    return wire


@pytest.mark.parametrize("first", [b"", b"%x\r\n%s\r\n" % (len(frames(0, 3)), frames(0, 3))], ids=["at once", "later"])
@pytest.mark.parametrize("broken", [b"xyz\r\n", b"-5\r\n", b"fffffffffffffffffff\r\n", b"3\r\nabcXX", b"1" * 5000])
def test_source_with_broken_chunks_is_ended_at_once(first: bytes, broken: bytes, server: Server) -> None:
    with chunked_source(server) as wire:
        wire.send(first + broken)
        wire.read_all(3)
    server.wait_until(lambda: get(server.port, "/chunks.mp3").status == 404, 3, "the mount to end")


def test_source_that_ends_in_the_middle_of_a_chunk_is_gone_at_once(server: Server) -> None:
    with chunked_source(server) as wire:
        wire.send(b"fff\r\nabc")
        server.wait_for_source("/chunks.mp3")
    server.wait_until(lambda: get(server.port, "/chunks.mp3").status == 404, 3, "the mount to end")


def test_unknown_transfer_encoding_is_501(server: Server) -> None:
    login = basic("source", server.source_password)
    reply = ask(
        server.port, f"PUT /x.mp3 HTTP/1.1\r\n{login}Content-Type: audio/mpeg\r\nTransfer-Encoding: gzip\r\n\r\n"
    )
    assert reply.status == 501


@pytest.mark.parametrize(
    ("name", "content_type"), [("vorbis", "application/ogg"), ("opus", "audio/ogg"), ("webm", "audio/webm")]
)
@pytest.mark.parametrize("seed", range(3))
def test_source_with_garbage_in_its_container_harms_only_itself(
    name: str, content_type: str, seed: int, server: Server, sound: Sound
) -> None:
    rng = random.Random(seed)
    stream = bytearray(sound(name).read_bytes())
    for _ in range(20):
        at = rng.randrange(4000, len(stream) - 2000)
        stream[at : at + rng.randrange(1, 1500)] = rng.randbytes(rng.randrange(1, 1500))
    mount = f"/garbage-{name}{seed}"
    wire = source(server.port, mount, server.source_password, content_type=content_type)
    with wire, suppress(ConnectionError):  # it may be thrown out in the middle of it
        wire.send(bytes(stream))
    server.wait_until(lambda: get(server.port, mount).status == 404, 5, "the mount to end")


# The bounds of the other formats, which are larger, are in their tests in tests/formats.
@pytest.mark.parametrize(("name", "content_type"), [("vorbis", "application/ogg"), ("opus", "audio/mpeg")])
def test_source_that_is_no_container_any_more_is_ended_with_a_reason(
    name: str, content_type: str, server: Server, sound: Sound
) -> None:
    mount = f"/rubbish-{name}"
    rubbish = random.Random(1).randbytes(MAX_GARBAGE + 100_000)
    with source(server.port, mount, server.source_password, content_type=content_type) as wire:
        with suppress(ConnectionError):  # it may be thrown out before the last byte
            wire.send(sound(name).read_bytes() + rubbish)
        with suppress(ConnectionError):
            wire.read_all(5)
    reason = re.compile(rf"mount {mount}: source .*cannot.*no intact Ogg page in 1 MiB")
    server.wait_until(lambda: bool(reason.search(server.log())), 3, "the reason")


@pytest.mark.parametrize("content_type", ["application/ogg", "audio/webm", "audio/flac", "audio/mp4", "audio/wav"])
def test_source_that_is_no_container_at_all_is_ended_with_a_reason(content_type: str, server: Server) -> None:
    mount = f"/rubbish-{content_type.partition('/')[2]}"
    with source(server.port, mount, server.source_password, content_type=content_type) as wire:
        wire.send(random.Random(1).randbytes(100_000))
        wire.read_all(5)
    server.wait_until(lambda: f"mount {mount}: source" in server.log() and "cannot" in server.log(), 3, "the reason")


def test_rubbish_declared_as_mp3_plays_as_it_is(server: Server) -> None:
    rubbish = random.Random(2).randbytes(200_000)
    with source(server.port, "/odd.mp3", server.source_password) as wire:
        wire.send(rubbish)
        server.wait_until(lambda: len(server.received("/odd.mp3")) > 190_000, 5, "the stream")
        assert rubbish.startswith(server.received("/odd.mp3"))


# Attackers at a time, how long they go on, and the longest gap that a listener of another mount may hear: its source
# sends 76 times a second. With one turn of the loop for all that has arrived the gap was two seconds, with four
# attackers seven.
ATTACKERS, ATTACK_S, LONGEST_GAP_S = 4, 2.0, 1.5


def send_elements(server: Server, mount: str) -> None:
    """Sends a Matroska element of 4 MB with two million in it."""
    with source(server.port, mount, server.source_password, content_type="audio/webm") as wire:
        wire.send(WORST["webm: a block group of two-byte elements"][1](4 << 20))


def send_documents(server: Server, mount: str) -> None:
    """Sends what costs the most of all that is taken."""
    data = WORST["webm: documents with an empty cluster"][1](1 << 20)
    with source(server.port, mount, server.source_password, content_type="audio/webm") as wire:
        wire.send(data)


def send_single_bytes(server: Server, mount: str) -> None:
    """Sends chunks of one byte as fast as it can."""
    head = f"PUT {mount} HTTP/1.1\r\n{basic('source', server.source_password)}Content-Type: audio/mpeg\r\n"
    with Wire(server.port) as wire:
        wire.send(f"{head}Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            wire.send(b"1\r\n\xff\r\n" * 100_000)


@pytest.mark.parametrize("attack", [send_elements, send_documents, send_single_bytes])
def test_no_attack_makes_a_gap_for_the_listeners_of_others(
    attack: Callable[[Server, str], None], server: Server
) -> None:
    end = time.monotonic() + ATTACK_S

    def attack_again(mount: str) -> None:
        while time.monotonic() < end:
            with suppress(OSError, AssertionError):  # it is thrown out in the middle
                attack(server, mount)

    threads = [threading.Thread(target=attack_again, args=(f"/attack{number}",)) for number in range(ATTACKERS)]
    listener, _ = listen(server.port, "/steady.mp3")
    with listener:
        listener.read_some()
        for thread in threads:
            thread.start()
        longest, last = 0.0, time.monotonic()
        while last < end + 0.5:
            listener.read_some(2 * DEADLINE_S)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    for thread in threads:
        thread.join()
    assert longest < LONGEST_GAP_S
