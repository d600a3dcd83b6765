"""`Server.listen`: what a listener got, and waits that end as soon as the answer is known."""

import time
from collections.abc import Iterator

import pytest

from pycast.testing import ListenTimeout, Server, StreamOver
from pycast.testing.numbered_stream import NumberedStream

MOUNT = "/live.mp3"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(burst_size=1_000_000) as server:
        yield server


@pytest.fixture(scope="module")
def stream(server: Server) -> Iterator[NumberedStream]:
    with server.stream(MOUNT, title="A - B", speed=0) as stream:
        stream.send(200)
        server.wait_for_source(MOUNT)
        yield stream


@pytest.mark.usefixtures("stream")
def test_bytes_frames_titles_and_headers(server: Server) -> None:
    with server.listen(MOUNT) as heard:
        heard.wait_for_frames(200)
        heard.wait_for_bytes(80_000)
        heard.wait_for_title("A - B")
        assert heard.status == 200 and heard.headers["Content-Type"] == "audio/mpeg"
        assert "icy-relay-path" not in heard.headers, "it is taken for a server that relays"
        assert heard.frames.is_whole and len(heard.frames) == 200
        server.wait_until(lambda: server.received(MOUNT) == heard.bytes, 10, "the same bytes")
        assert (heard.titles[0].at, heard.titles[0].url) == (16_000, "")
        assert not heard.is_over and not heard.reason
        assert heard.raw_head.endswith(b"\r\n\r\n")
    assert "leave()" in heard.reason


@pytest.mark.usefixtures("stream")
def test_headers_of_a_test_are_sent(server: Server) -> None:
    with server.listen(MOUNT, icy=False, headers={"User-Agent": "Radio 1"}) as heard:
        assert "icy-metaint" not in heard.headers
        assert b"Radio 1" in server.get(f"/admin/listclients?mount={MOUNT}", admin=True)[1]
        heard.reset()
    assert "reset()" in heard.reason


def test_an_answer_that_is_no_stream_ends_every_wait_at_once(server: Server) -> None:
    with server.listen("/none.mp3") as heard:
        assert heard.status == 404
        began = time.monotonic()
        with pytest.raises(StreamOver, match="404 File Not Found"):
            heard.wait_for_bytes(1_000_000, timeout=60)
        assert time.monotonic() - began < 30
        assert "closed" in heard.wait_for_end() and b"could not be found" in heard.bytes


@pytest.mark.usefixtures("stream")
def test_a_wait_in_vain_says_what_has_come(server: Server) -> None:
    with server.listen(MOUNT) as heard:
        heard.wait_for_frames(200)
        with pytest.raises(ListenTimeout, match=r"the title 'none' .* 200 frames"):
            heard.wait_for_title("none", timeout=0.05)


@pytest.mark.usefixtures("stream")
def test_a_slow_listener_reads_slowly(server: Server) -> None:
    with server.listen(MOUNT, bytes_per_s=2_000) as heard:
        heard.wait_for_bytes(1)
        assert heard.size < 80_000
