"""Whatever an encoder calls its stream: listeners wait for its first bytes, get them, and are told what they are."""

import logging
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from pycast.formats.content_types import FORMATS
from pycast.formats.detect import Detector
from pycast.stream import mounts as mounts_module
from tests.conftest import WaitUntil
from tests.formats.feeding import every
from tests.formats.frame_bytes import adts, mpeg
from tests.formats.samples import decode_errors, sample
from tests.formats.test_detect import RANDOM
from tests.stream.test_mount_starts import begin

TOML = (
    '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n[limits]\nsource_timeout = 5\nsource_grace = 5\n'
    'burst_size = %d\n[logging]\naccess_log = ""\n'
)
LOGIN = b"Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n"
OK = b"HTTP/1.0 200 OK\r\n\r\n"
UNITS = {"mpeg": mpeg(), "adts": adts(), "latm": b"\x56\xe0\x5e" + bytes(94), "ts": b"\x47" + bytes(187)}
FRAMES = {
    **{name: b"".join(one[:8] + bytes([number]) + one[9:] for number in range(1, 61)) for name, one in UNITS.items()},
    "adif": b"ADIF" + RANDOM,
    "opaque": RANDOM,
}
"""Of each format without a header, so that the first byte is not kept back; no two frames are alike."""

BROKEN_WAV = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x02\0" + bytes(12) + b"data\xff\xff\xff\xff" + bytes(100)
"""Without samples a second."""


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    made = Node(loads(TOML % getattr(request, "param", 1000), {}, "test"), None, None, 1000)
    made.start()
    yield made
    made.stop()


def connect(node: Node, data: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", node.parts.context.site.address.port), 5)
    sock.sendall(data)
    return sock


def source(node: Node, content_type: str) -> socket.socket:
    sock = connect(node, b"SOURCE /x HTTP/1.1\r\n" + LOGIN + b"Content-Type: %s\r\n\r\n" % content_type.encode())
    assert sock.recv(100) == OK
    return sock


def listen(node: Node) -> socket.socket:
    return connect(node, b"GET /x HTTP/1.0\r\n\r\n")


def answer(listener: socket.socket, size: int) -> tuple[bytes, bytes]:
    """Returns the head of the answer, and the first `size` bytes behind it."""
    got = b""
    while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < size:
        data = listener.recv(65536)
        assert data, got
        got += data
    head, _, body = got.partition(b"\r\n\r\n")
    return head, body[:size]


def read(listener: socket.socket, size: int) -> bytes:
    """Returns the next `size` bytes, or what comes before the end."""
    got = b""
    while len(got) < size:
        data = listener.recv(size - len(got))
        if not data:
            break
        got += data
    return got


def wait_for_the_wait(node: Node, number: int, wait_until: WaitUntil) -> None:
    """Waits until so many listeners wait for the format."""
    counters = node.parts.context.counters
    wait_until(lambda: counters.client_connections == number, "the listeners")
    gevent.sleep(0.01)


@pytest.mark.parametrize("announced", ["audio/mpeg", "audio/x-unheard-of"])
@pytest.mark.parametrize("name", FRAMES)
def test_who_comes_before_the_first_byte_waits_for_it_and_gets_it(
    name: str, announced: str, node: Node, wait_until: WaitUntil
) -> None:
    data = FRAMES[name]
    with source(node, announced) as encoder, listen(node) as one, listen(node) as other:
        wait_for_the_wait(node, 2, wait_until)
        half = len(data) // 5
        encoder.sendall(data[:half])
        gevent.sleep(0.005)
        encoder.sendall(data[half:])
        size = len(data) // 2
        for listener in (one, other):
            head, body = answer(listener, size)
            assert head.startswith(b"HTTP/1.0 200")
            assert f"Content-Type: {FORMATS[name].told or announced}".encode() in head.split(b"\r\n")
            assert body == data[:size]


@pytest.mark.parametrize("node", [8000], indirect=True)
def test_who_comes_later_gets_a_burst_of_an_opaque_stream(node: Node, wait_until: WaitUntil) -> None:
    with source(node, "audio/x-unheard-of") as encoder:
        encoder.sendall(RANDOM)
        mounts = node.parts.context.mounts
        wait_until(lambda: (mount := mounts.get("/x")) and mount.ring.head == len(RANDOM), "the audio")
        with listen(node) as late:
            head, body = answer(late, 3000)
            assert b"Content-Type: audio/x-unheard-of" in head.split(b"\r\n")
            assert len(RANDOM) - 8000 <= RANDOM.find(body)


def test_who_waited_in_vain_is_a_listener_as_if_there_were_no_source_yet_and_gets_the_first_byte(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts_module, "OPENING_S", 0.02)
    with source(node, "audio/mpeg") as encoder, listen(node) as listener:
        head, _ = answer(listener, 0)
        assert b"Content-Type: audio/mpeg" in head.split(b"\r\n")
        encoder.sendall(FRAMES["mpeg"])
        assert read(listener, 1600) == FRAMES["mpeg"][:1600]


def test_who_waited_in_vain_and_was_told_another_type_is_disconnected_and_comes_back(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts_module, "OPENING_S", 0.02)
    with source(node, "audio/mpeg") as encoder, listen(node) as listener:
        head, _ = answer(listener, 0)
        assert b"Content-Type: audio/mpeg" in head.split(b"\r\n")
        encoder.sendall(FRAMES["adts"])
        assert read(listener, 1) == b""
        with listen(node) as again:
            head, body = answer(again, 100)
            assert b"Content-Type: audio/aac" in head.split(b"\r\n")
            assert body.startswith(adts()[:8])


def lines_with(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [text for text in caplog.messages if words in text]


@pytest.mark.parametrize("name", ["mpeg", "adts"])
def test_a_type_that_is_not_that_of_the_bytes_is_logged_once(
    name: str, node: Node, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    caplog.set_level(logging.INFO)
    with source(node, "audio/mpeg") as encoder:
        for _ in range(5):
            encoder.sendall(FRAMES[name])
            gevent.sleep(0.002)
    wait_until(lambda: lines_with(caplog, "closed the connection"), "the end")
    lines = lines_with(caplog, "announced audio/mpeg, but its stream is adts: listeners are told audio/aac")
    assert len(lines) == (name == "adts")
    assert len(lines_with(caplog, "announced")) == len(lines)
    assert node.parts.context.counters.broken_sources == 0


@pytest.mark.parametrize(
    ("announced", "data", "why"),
    [
        ("audio/mpeg", BROKEN_WAV, "a rate of zero"),
        ("application/ogg", RANDOM, "announced as application/ogg, but nothing of that in 68 KiB"),
    ],
    ids=["known but broken", "nothing"],
)
def test_a_stream_that_cannot_be_played_is_counted_and_its_end_has_the_reason(
    announced: str, data: bytes, why: str, node: Node, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    caplog.set_level(logging.INFO)
    counters = node.parts.context.counters
    with source(node, announced) as encoder, listen(node) as listener:
        wait_for_the_wait(node, 1, wait_until)
        encoder.sendall(data)
        wait_until(lambda: counters.broken_sources == 1, "the end")
        wait_until(lambda: lines_with(caplog, "sent what cannot be streamed"), "the log")
        (line,) = lines_with(caplog, "sent what cannot be streamed")
        assert why in line
        # Who waits is not left without an answer.
        answer(listener, 0)


WRONG = {
    "mp3": ("application/ogg", "audio/mpeg"),
    "aac": ("audio/mpeg", "audio/aac"),
    "vorbis": ("audio/mpeg", "application/ogg"),
    "opus": ("audio/opus", "application/ogg"),
    "flac": ("audio/flac", "application/ogg"),
    "webm": ("audio/mpeg", "audio/webm"),
    "native-flac": ("audio/mpeg", "audio/flac"),
    "mp4": ("audio/aac", "audio/mp4"),
    "wav": ("audio/mpeg", "audio/wav"),
}
"""Real streams: the type that encoders announce, and the one that listeners are told."""


@pytest.mark.parametrize("name", WRONG)
def test_who_joins_late_can_decode_what_was_announced_as_something_else(name: str) -> None:
    announced, told = WRONG[name]
    data, detector, mount = sample(name, 2), Detector(announced), begin(announced, 8000)
    is_known = False
    for piece in every(data, 1400):
        if is_known:
            mount.feed(piece)
        elif (found := detector.feed(piece)) is not None:
            mount.start(mount.description._replace(content_type=found.content_type, format=found.format))
            mount.feed_first(found.data)
            is_known = True
    placement = mount.place(0)
    assert mount.listener_content_type == told
    assert 0 < placement.position < mount.ring.head
    assert decode_errors(placement.header + mount.ring.read(placement.position, mount.ring.head)) == ""
