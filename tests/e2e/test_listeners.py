"""What a listener gets: head, burst, titles at the right byte; and that its slot is free soon after it has gone."""

import socket
import time
from urllib.parse import quote

import pytest

from pycast.testing import Server
from tests.e2e.deadline import until
from tests.e2e.wire import FRAME_BYTES, IcyReader, Wire, ask, assert_run_of, basic, frames, get, listen, source

MOUNT = "/live.mp3"
METAINT = 1000
WITH_TITLES = "Icy-MetaData: 1\r\n"


def set_title(server: Server, query: str, mount: str = MOUNT) -> bytes:
    path = f"/admin/metadata?mode=updinfo&mount={mount}&{query}"
    return get(server.port, path, basic("source", server.source_password)).body


@pytest.mark.pycast(burst_size=10 * FRAME_BYTES)
def test_new_listener_starts_with_a_burst_at_a_frame(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as wire:
        wire.send(frames(0, 100))
        pycast_server.wait_until(lambda: len(pycast_server.received(MOUNT)) == 100 * FRAME_BYTES, 5, "the stream")
        listener, _ = listen(pycast_server.port, MOUNT)
        with listener:
            assert listener.read(10 * FRAME_BYTES) == frames(90, 10)


@pytest.mark.pycast(burst_size=0)
def test_without_burst_a_listener_starts_at_the_last_frame(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as wire:
        wire.send(frames(0, 100))
        pycast_server.wait_until(lambda: len(pycast_server.received(MOUNT)) == 100 * FRAME_BYTES, 5, "the stream")
        listener, _ = listen(pycast_server.port, MOUNT)
        with listener:
            wire.send(frames(100, 5))
            assert listener.read(6 * FRAME_BYTES) == frames(99, 6)


def test_burst_may_be_a_time() -> None:
    with Server(burst_size="1s") as server, source(server.port, MOUNT, server.source_password) as wire:
        wire.send(frames(0, 200))  # 26.12 ms each
        server.wait_until(lambda: len(server.received(MOUNT)) == 200 * FRAME_BYTES, 5, "the stream")
        listener, _ = listen(server.port, MOUNT)
        with listener:
            first = int(listener.read(FRAME_BYTES)[4:36])
            assert 200 - first == pytest.approx(1 / 0.02612, abs=2)


@pytest.mark.pycast(mp3_metadata_interval=METAINT, burst_size=0)
def test_title_stands_in_the_first_block_and_a_new_one_at_its_byte(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as wire:
        wire.send(frames(0, 10))
        pycast_server.wait_for_source(MOUNT)
        assert b"Metadata update successful" in set_title(pycast_server, "song=One%20%26%20Only")
        listener, reply = listen(pycast_server.port, MOUNT, WITH_TITLES)
        assert reply.headers[-1] == ("icy-metaint", str(METAINT))
        with listener:
            ear = IcyReader(listener, METAINT)
            wire.send(frames(10, 50))
            assert_run_of(ear.intervals(10), frames(0, 60))
            assert ear.titles == [b"StreamTitle='One & Only';"]
            ear.intervals(50 * FRAME_BYTES // METAINT - 10)
            assert len(ear.titles) == 1
            set_title(pycast_server, "song=Two")
            wire.send(frames(60, 20))
            ear.intervals(3)
            assert ear.titles[1:] == [b"StreamTitle='Two';"]


@pytest.mark.pycast(mp3_metadata_interval=METAINT)
def test_listener_behind_the_source_gets_the_title_of_its_own_position(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as wire:
        set_title(pycast_server, "song=Old")
        wire.send(frames(0, 50))
        pycast_server.wait_until(lambda: len(pycast_server.received(MOUNT)) == 50 * FRAME_BYTES, 5, "the stream")
        set_title(pycast_server, "song=New")
        wire.send(frames(50, 50))
        pycast_server.wait_until(lambda: len(pycast_server.received(MOUNT)) == 100 * FRAME_BYTES, 5, "the stream")
        listener, _ = listen(pycast_server.port, MOUNT, WITH_TITLES)
        with listener:
            ear = IcyReader(listener, METAINT)
            blocks = []
            for _ in range(41):
                ear.interval()
                blocks.append(len(ear.titles))
            assert ear.titles == [b"StreamTitle='Old';", b"StreamTitle='New';"]
            assert blocks.index(2) == 50 * FRAME_BYTES // METAINT  # the first block after the byte where it changed


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
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as wire:
        set_title(pycast_server, query)
        wire.send(frames(0, 10))
        listener, _ = listen(pycast_server.port, MOUNT, WITH_TITLES)
        with listener:
            wire.send(frames(10, 10))
            ear = IcyReader(listener, METAINT)
            ear.interval()
            assert ear.titles == [expected.encode()]


@pytest.mark.pycast(mp3_metadata_interval=METAINT, charset="ISO-8859-1", burst_size=0)
def test_mount_charset_is_what_players_get(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as wire:
        set_title(pycast_server, "song=%C3%9Cber&charset=UTF-8")
        listener, _ = listen(pycast_server.port, MOUNT, WITH_TITLES)
        with listener:
            wire.send(frames(10, 10))
            ear = IcyReader(listener, METAINT)
            ear.interval()
            assert ear.titles == ["StreamTitle='Über';".encode("latin-1")]
        assert '"title":"Über"' in get(pycast_server.port, "/status-json.xsl").body.decode()


@pytest.mark.pycast(mp3_metadata_interval=0)
def test_interval_zero_means_no_titles(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password):
        listener, reply = listen(pycast_server.port, MOUNT, WITH_TITLES)
        listener.close()
        assert reply.header("icy-metaint") == ""


def test_head_of_a_mount_is_that_of_a_get_without_the_stream(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password, headers="ice-name: N\r\n") as wire:
        wire.send(frames(0, 10))
        reply = get(pycast_server.port, MOUNT, method="HEAD")
        assert (reply.status_line, reply.body) == ("HTTP/1.0 200 OK", b"")
        assert (reply.header("Content-Type"), reply.header("icy-name")) == ("audio/mpeg", "N")
        assert pycast_server.listeners(MOUNT) == 0


def test_web_players_of_other_sites_may_ask_for_titles(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password):
        preflight = ask(
            pycast_server.port,
            f"OPTIONS {MOUNT} HTTP/1.1\r\nHost: x\r\nOrigin: https://player.example\r\n"
            "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: icy-metadata\r\n\r\n",
        )
        assert preflight.status == 204
        assert preflight.header("Access-Control-Allow-Origin") in ("*", "https://player.example")
        assert "icy-metadata" in preflight.header("Access-Control-Allow-Headers").lower()
        listener, reply = listen(pycast_server.port, MOUNT, WITH_TITLES, "Origin: https://player.example\r\n")
        listener.close()
        assert "icy-metaint" in reply.header("Access-Control-Expose-Headers").lower()


@pytest.mark.pycast(mount=[{"mount_name": MOUNT, "http_headers": {"X-Station": "demo"}, "stream_name": "Ours"}])
def test_mount_adds_its_headers_and_its_name(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password, headers="ice-name: Theirs\r\n"):
        listener, reply = listen(pycast_server.port, MOUNT)
        listener.close()
    assert reply.header("X-Station") == "demo"
    assert reply.header("icy-name") == "Ours"


@pytest.mark.parametrize("kind", ["m3u", "pls", "xspf", "vclt"])
def test_playlist_names_the_stream(kind: str, pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password):
        reply = get(pycast_server.port, f"{MOUNT}.{kind}", f"Host: 127.0.0.1:{pycast_server.port}\r\n")
        assert reply.status == 200
        assert f":{pycast_server.port}{MOUNT}".encode() in reply.body


@pytest.mark.pycast(max_listeners=1)
def test_mount_that_is_full_refuses_and_has_room_again(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password):
        first, _ = listen(pycast_server.port, MOUNT)
        with first:
            reply = get(pycast_server.port, MOUNT)
            assert (reply.status, reply.body) == (403, b"max listeners reached")
        pycast_server.wait_for_listeners(MOUNT, 0, 2)
        listen(pycast_server.port, MOUNT)[0].close()


@pytest.mark.pycast(max_listener_duration=1)
def test_listener_leaves_after_max_listener_duration(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password):
        listener, _ = listen(pycast_server.port, MOUNT)
        with listener:
            began = time.monotonic()
            listener.read_all(5)
            assert time.monotonic() - began > 0.5


@pytest.mark.pycast(hidden=True)
def test_hidden_mount_plays_and_is_not_listed(pycast_server: Server) -> None:
    with source(pycast_server.port, "/secret.mp3", pycast_server.source_password):
        listen(pycast_server.port, "/secret.mp3")[0].close()
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
    with source(pycast_server.port, MOUNT, pycast_server.source_password):
        listener, _ = listen(pycast_server.port, MOUNT)
        with listener:
            pycast_server.wait_for_listeners(MOUNT, 1)
            leave(listener)
            pycast_server.wait_for_listeners(MOUNT, 0, 2)


@pytest.mark.pycast(queue_size="64k", burst_size="16k")
def test_listener_that_reads_too_slowly_is_dropped_and_counted(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as wire:
        wire.send(frames(0, 10))
        slow, _ = listen(pycast_server.port, MOUNT, receive_buffer=4096)
        quick, _ = listen(pycast_server.port, MOUNT)
        with slow, quick:
            pycast_server.wait_for_listeners(MOUNT, 2)
            sent = 10

            def is_dropped() -> bool:
                nonlocal sent
                wire.send(frames(sent, 40))
                quick.read(40 * FRAME_BYTES)
                sent += 40
                return pycast_server.listeners(MOUNT) == 1

            until(is_dropped, "the slow listener to be dropped", 20)
        assert b"<slow_listeners>1<" in get(pycast_server.port, "/admin/stats", basic("admin", "adminpass")).body
        pycast_server.wait_until(lambda: "too far behind" in pycast_server.log(), 2, "the reason in the log")


def test_same_file_from_two_listeners_at_once(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as wire:
        listeners = [listen(pycast_server.port, MOUNT)[0] for _ in range(20)]
        wire.send(frames(0, 100))
        try:
            assert {listener.read(100 * FRAME_BYTES) for listener in listeners} == {frames(0, 100)}
        finally:
            for listener in listeners:
                listener.close()
