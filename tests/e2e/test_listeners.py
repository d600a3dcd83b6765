"""What a listener gets: head, burst, titles at the right byte; and that its slot is free soon after it has gone."""

import socket
import time
from contextlib import ExitStack
from urllib.parse import quote

import pytest

from pycast.testing import Server
from pycast.testing.numbered import NumberedAudio
from tests.e2e.deadline import until
from tests.e2e.wire import Wire, ask, basic, get

MOUNT = "/live.mp3"
METAINT = 1000


def set_title(server: Server, query: str, mount: str = MOUNT) -> bytes:
    path = f"/admin/metadata?mode=updinfo&mount={mount}&{query}"
    return get(server.port, path, basic("source", server.source_password)).body


def size_of(first: int, count: int) -> int:
    """Returns how many bytes these frames of a stream are."""
    return len(NumberedAudio("mp3", first).frames(count))


def first_block_after(size: int) -> int:
    return (size // METAINT + 1) * METAINT


@pytest.mark.pycast(burst_size=size_of(90, 10))
def test_new_listener_starts_with_a_burst_at_a_frame(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream:
        stream.send(100)
        pycast_server.wait_for_bytes(MOUNT, stream.size)
        with pycast_server.listen(MOUNT, icy=False) as heard:
            heard.wait_for_frames(10)
            assert heard.frames.is_exactly(range(90, 100))


@pytest.mark.pycast(burst_size=0)
def test_without_burst_a_listener_starts_at_the_last_frame(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream:
        stream.send(100)
        pycast_server.wait_for_bytes(MOUNT, stream.size)
        with pycast_server.listen(MOUNT, icy=False) as heard:
            stream.send(5)
            heard.wait_for_frames(6)
            assert heard.frames.is_exactly(range(99, 105))


def test_burst_may_be_a_time() -> None:
    with Server(burst_size="1s") as server, server.stream(MOUNT, speed=0) as stream:
        stream.send(200)  # 26.12 ms each
        server.wait_for_bytes(MOUNT, stream.size)
        with server.listen(MOUNT, icy=False) as heard:
            heard.wait_for_frames(1)
            assert 200 - heard.frames.numbers[0] == pytest.approx(1 / 0.02612, abs=2)


@pytest.mark.pycast(mp3_metadata_interval=METAINT, burst_size=0)
def test_title_stands_in_the_first_block_and_a_new_one_at_its_byte(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, title="One & Only", speed=0) as stream:
        stream.send(10)
        pycast_server.wait_for_bytes(MOUNT, stream.size)
        with pycast_server.listen(MOUNT) as heard:
            assert heard.headers.fields[-1] == ("icy-metaint", str(METAINT))
            stream.send(50)
            heard.wait_for_frame(59)
            assert [title.raw for title in heard.titles] == [b"StreamTitle='One & Only';"]
            assert heard.titles[0].at == METAINT
            stream.title = "Two"
            stream.send(20)
            heard.wait_for_frame(79)
            assert [title.raw for title in heard.titles[1:]] == [b"StreamTitle='Two';"]
            assert heard.titles[1].at == first_block_after(size_of(9, 51))
            assert heard.frames.is_exactly(range(9, 80))


@pytest.mark.pycast(mp3_metadata_interval=METAINT)
def test_listener_behind_the_source_gets_the_title_of_its_own_position(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream:
        for title in ("Old", "New"):
            stream.title = title
            stream.send(50)
            pycast_server.wait_for_bytes(MOUNT, stream.size)
        with pycast_server.listen(MOUNT) as heard:
            heard.wait_for_frames(100)
            assert [title.raw for title in heard.titles] == [b"StreamTitle='Old';", b"StreamTitle='New';"]
            # The first block after the byte where it changed.
            assert [title.at for title in heard.titles] == [METAINT, first_block_after(size_of(0, 50))]


@pytest.mark.pycast(mp3_metadata_interval=METAINT, burst_size=0)
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("song=%C3%9Cber", "StreamTitle='Über';"),
        ("song=%DCber&charset=ISO-8859-1", "StreamTitle='Über';"),
        ("song=%DCber", "StreamTitle='Über';"),
        (f"song={quote('日本'.encode('shift_jis'))}&charset=Shift_JIS", "StreamTitle='日本';"),
        ("artist=A&title=B", "StreamTitle='A - B';"),
        ("title=Alone", "StreamTitle='Alone';"),
        ("song=It's", "StreamTitle='It's';"),
        ("song=S&url=http://x/", "StreamTitle='S';StreamUrl='http://x/';"),
        ("song=Plus+Sign", "StreamTitle='Plus Sign';"),
    ],
)
def test_titles_arrive_as_utf8_whatever_they_were(query: str, expected: str, pycast_server: Server) -> None:
    assert title_that_arrives(pycast_server, query) == expected.encode()


@pytest.mark.pycast(mp3_metadata_interval=METAINT, charset="ISO-8859-1", burst_size=0)
def test_mount_charset_is_what_players_get(pycast_server: Server) -> None:
    assert title_that_arrives(pycast_server, "song=%C3%9Cber&charset=UTF-8") == "StreamTitle='Über';".encode("latin-1")


def title_that_arrives(server: Server, query: str) -> bytes:
    """The first block of a listener, if a title is set in this way."""
    with server.stream(MOUNT, speed=0) as stream:
        set_title(server, query)
        stream.send(10)
        with server.listen(MOUNT) as heard:
            stream.send(10)
            heard.wait_for_bytes(METAINT + 1)
            if "Über" in heard.titles[0]:
                assert '"title":"Über"' in get(server.port, "/status-json.xsl").body.decode()
            return heard.titles[0].raw


@pytest.mark.pycast(mp3_metadata_interval=0)
def test_interval_zero_means_no_titles(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0), pycast_server.listen(MOUNT) as heard:
        assert heard.status == 200 and "icy-metaint" not in heard.headers


def test_head_of_a_mount_is_that_of_a_get_without_the_stream(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, headers={"Ice-Name": "N"}, speed=0) as stream:
        stream.send(10)
        reply = get(pycast_server.port, MOUNT, method="HEAD")
        assert (reply.status_line, reply.body) == ("HTTP/1.0 200 OK", b"")
        assert (reply.header("Content-Type"), reply.header("icy-name")) == ("audio/mpeg", "N")
        assert pycast_server.listeners(MOUNT) == 0


def test_web_players_of_other_sites_may_ask_for_titles(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0):
        preflight = ask(
            pycast_server.port,
            f"OPTIONS {MOUNT} HTTP/1.1\r\nHost: x\r\nOrigin: https://player.example\r\n"
            "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: icy-metadata\r\n\r\n",
        )
        assert preflight.status == 204
        assert preflight.header("Access-Control-Allow-Origin") in ("*", "https://player.example")
        assert "icy-metadata" in preflight.header("Access-Control-Allow-Headers").lower()
        with pycast_server.listen(MOUNT, headers={"Origin": "https://player.example"}) as heard:
            assert "icy-metaint" in heard.headers["Access-Control-Expose-Headers"].lower()


@pytest.mark.pycast(mount=[{"mount_name": MOUNT, "http_headers": {"X-Station": "demo"}, "stream_name": "Ours"}])
def test_mount_adds_its_headers_and_its_name(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, headers={"Ice-Name": "Theirs"}, speed=0), pycast_server.listen(MOUNT) as heard:
        assert (heard.status, heard.headers["X-Station"], heard.headers["icy-name"]) == (200, "demo", "Ours")


@pytest.mark.parametrize("kind", ["m3u", "pls", "xspf", "vclt"])
def test_playlist_names_the_stream(kind: str, pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0):
        reply = get(pycast_server.port, f"{MOUNT}.{kind}", f"Host: 127.0.0.1:{pycast_server.port}\r\n")
        assert reply.status == 200
        assert f":{pycast_server.port}{MOUNT}".encode() in reply.body


@pytest.mark.pycast(max_listeners=1)
def test_mount_that_is_full_refuses_and_has_room_again(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0):
        with pycast_server.listen(MOUNT) as first, pycast_server.listen(MOUNT) as second:
            second.wait_for_end()
            assert (first.status, second.status, second.bytes) == (200, 403, b"max listeners reached")
        pycast_server.wait_for_listeners(MOUNT, 0)
        with pycast_server.listen(MOUNT) as third:
            assert third.status == 200


@pytest.mark.pycast(max_listener_duration=1)
def test_listener_leaves_after_max_listener_duration(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0):
        began = time.monotonic()
        with pycast_server.listen(MOUNT) as heard:
            assert heard.status == 200
            heard.wait_for_end()
        assert time.monotonic() - began > 0.9


@pytest.mark.pycast(hidden=True)
def test_hidden_mount_plays_and_is_not_listed(pycast_server: Server) -> None:
    with pycast_server.stream("/secret.mp3", speed=0), pycast_server.listen("/secret.mp3") as heard:
        assert heard.status == 200
        for page in ("/status-json.xsl", "/"):
            assert b"secret.mp3" not in get(pycast_server.port, page).body
        assert b"secret.mp3" in get(pycast_server.port, "/admin/stats", basic("admin", "adminpass")).body


def close(wire: Wire) -> None:
    wire.close()


def half_close(wire: Wire) -> None:
    wire.sock.shutdown(socket.SHUT_WR)


def reset(wire: Wire) -> None:
    wire.hang_up()


@pytest.mark.parametrize("leave", [close, half_close, reset])
def test_lb_01_listener_that_leaves_frees_its_slot_though_nothing_is_sent(leave: object, pycast_server: Server) -> None:
    assert callable(leave)
    with pycast_server.stream(MOUNT, speed=0), Wire(pycast_server.port) as listener:
        assert listener.send(f"GET {MOUNT} HTTP/1.0\r\n\r\n").read_head().status == 200
        pycast_server.wait_for_listeners(MOUNT, 1)
        leave(listener)
        pycast_server.wait_for_listeners(MOUNT, 0, 2)


@pytest.mark.pycast(queue_size="64k", burst_size="16k")
def test_listener_that_reads_too_slowly_is_dropped_and_counted(pycast_server: Server) -> None:
    with (
        pycast_server.stream(MOUNT, speed=0) as stream,
        pycast_server.listen(MOUNT, bytes_per_s=1),
        pycast_server.listen(MOUNT) as quick,
    ):
        pycast_server.wait_for_listeners(MOUNT, 2)

        def is_dropped() -> bool:
            stream.send(40)
            quick.wait_for_frames(stream.sent)
            return pycast_server.listeners(MOUNT) == 1

        until(is_dropped, "the slow listener to be dropped", 20)
        assert quick.frames.is_whole
        assert b"<slow_listeners>1<" in get(pycast_server.port, "/admin/stats", basic("admin", "adminpass")).body
        pycast_server.wait_until(lambda: "too far behind" in pycast_server.log(), 2, "the reason in the log")


def test_same_stream_for_many_listeners_at_once(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream, ExitStack() as stack:
        everybody = [stack.enter_context(pycast_server.listen(MOUNT)) for _ in range(20)]
        stream.send(100)
        for heard in everybody:
            heard.wait_for_frames(100)
            assert heard.frames.is_exactly(range(100))
