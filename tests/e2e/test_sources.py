"""How a source connects, is refused, is replaced and ends: on the wire, as encoders see it."""

import re
from contextlib import suppress

import pytest

from pycast.testing import Server, StreamRefused
from pycast.testing.numbered import frames_in
from pycast.testing.numbered_stream import NumberedStream
from tests.e2e.wire import Wire, ask, basic, frames, get

OK = b"HTTP/1.0 200 OK\r\n\r\n"
MOUNT = "/live.mp3"


def head(method: str, mount: str, password: str, *lines: str, version: str = "HTTP/1.0", user: str = "source") -> str:
    extra = "".join(f"{line}\r\n" for line in lines)
    return f"{method} {mount} {version}\r\n{basic(user, password)}Content-Type: audio/mpeg\r\n{extra}\r\n"


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1", "ICE/1.0"])
@pytest.mark.parametrize("method", ["SOURCE", "PUT"])
def test_lb_07_source_is_answered_before_it_sends_a_byte(method: str, version: str, pycast_server: Server) -> None:
    with Wire(pycast_server.port) as wire:
        wire.send(head(method, MOUNT, pycast_server.source_password, version=version))
        assert wire.read(len(OK)) == OK
        wire.send(frames(0, 10))
        pycast_server.wait_until(lambda: pycast_server.received(MOUNT) == frames(0, 10), 5, "the stream")


def test_bytes_sent_together_with_the_head_are_part_of_the_stream(pycast_server: Server) -> None:
    with Wire(pycast_server.port) as wire:
        wire.send(head("SOURCE", MOUNT, pycast_server.source_password).encode() + frames(0, 10))
        assert wire.read(len(OK)) == OK
        pycast_server.wait_until(lambda: pycast_server.received(MOUNT) == frames(0, 10), 5, "the stream")


def test_lb_07_put_that_expects_100_gets_both_answers(pycast_server: Server) -> None:
    with Wire(pycast_server.port) as wire:
        wire.send(head("PUT", MOUNT, pycast_server.source_password, "Expect: 100-Continue", version="HTTP/1.1"))
        assert wire.read_to(b"\r\n\r\n").startswith(b"HTTP/1.1 100 Continue\r\n")
        assert wire.read(len(OK)) == OK


def test_lb_07_chunked_put_is_unchunked(pycast_server: Server) -> None:
    stream = frames(0, 40)
    cuts = [stream[at : at + 1000] for at in range(0, len(stream), 1000)]
    body = b"".join(b"%x;name=value\r\n%s\r\n" % (len(cut), cut) for cut in cuts) + b"0\r\n\r\n"
    with Wire(pycast_server.port) as wire:
        wire.send(head("PUT", MOUNT, pycast_server.source_password, "Transfer-Encoding: chunked", version="HTTP/1.1"))
        assert wire.read(len(OK)) == OK
        for at in range(0, len(body), 777):
            wire.send(body[at : at + 777])
        wire.read_all()  # the end of the body is the end of the source
    pycast_server.wait_until(lambda: len(pycast_server.received(MOUNT)) >= len(stream), 10, "all of it")
    assert pycast_server.received(MOUNT) == stream


def test_put_with_a_length_ends_after_it(pycast_server: Server) -> None:
    stream = frames(0, 40)
    with Wire(pycast_server.port) as wire:
        wire.send(
            head("PUT", MOUNT, pycast_server.source_password, f"Content-Length: {len(stream)}", version="HTTP/1.1")
        )
        wire.send(stream)
        assert wire.read_all().startswith(OK)
    pycast_server.wait_until(lambda: len(pycast_server.received(MOUNT)) >= len(stream), 10, "all of it")
    assert pycast_server.received(MOUNT) == stream


@pytest.mark.parametrize(
    "login", ["", basic("source", "wrong"), basic("admin", "sourcepass"), "Authorization: Basic !!!\r\n"]
)
def test_wrong_credentials_are_401(login: str, pycast_server: Server) -> None:
    reply = ask(pycast_server.port, f"SOURCE {MOUNT} HTTP/1.0\r\n{login}Content-Type: audio/mpeg\r\n\r\n")
    assert reply.status_line == "HTTP/1.0 401 Authentication Required"
    assert reply.header("WWW-Authenticate") == 'Basic realm="Icecast2 Server"'
    assert reply.body == b"You need to authenticate\r\n"
    assert pycast_server.received(MOUNT) == b""


@pytest.mark.pycast(mount=[{"mount_name": "/own.mp3", "username": "dj", "password": "own"}])
def test_mount_with_its_own_credentials_takes_only_those(pycast_server: Server) -> None:
    reply = ask(pycast_server.port, head("SOURCE", "/own.mp3", pycast_server.source_password))
    assert reply.status == 401
    with pycast_server.stream("/own.mp3", user="dj", password="own", speed=0):
        pass
    assert ask(pycast_server.port, head("SOURCE", MOUNT, "own", user="dj")).status == 401


def test_second_source_on_a_living_mount_is_403(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as first:
        first.send(10)
        reply = ask(pycast_server.port, head("SOURCE", MOUNT, pycast_server.source_password))
        assert (reply.status, reply.body) == (403, b"Mountpoint in use")
        first.send(10)
        pycast_server.wait_for_bytes(MOUNT, first.size)
        assert frames_in(pycast_server.received(MOUNT)).is_exactly(range(20))


@pytest.mark.pycast(sources=1)
def test_one_source_more_than_allowed_is_403(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0):
        reply = ask(pycast_server.port, head("SOURCE", "/more.mp3", pycast_server.source_password))
        assert (reply.status, reply.body) == (403, b"too many sources connected")


def test_put_without_content_type_is_403(pycast_server: Server) -> None:
    reply = ask(pycast_server.port, f"PUT {MOUNT} HTTP/1.1\r\n{basic('source', pycast_server.source_password)}\r\n")
    assert (reply.status, reply.body) == (403, b"No Content-type given")


def test_post_to_a_mount_is_refused_clearly(pycast_server: Server) -> None:
    reply = ask(pycast_server.port, head("POST", MOUNT, pycast_server.source_password, "Content-Length: 0"))
    assert reply.status in (400, 405)
    assert reply.body


@pytest.mark.pycast(source_timeout=1, source_grace=0)
def test_silent_source_is_dropped_after_source_timeout(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream:
        stream.send(4)
        assert stream.wait_for_disconnect() == "the server closed the connection"
    pycast_server.wait_until(lambda: get(pycast_server.port, MOUNT).status == 404, 5, "the mount to end")
    pycast_server.wait_until(lambda: "sent nothing for 1 s" in pycast_server.log(), 2, "the reason in the log")


@pytest.mark.pycast(burst_size=0)
def test_returning_source_replaces_its_silent_connection_and_listeners_stay(pycast_server: Server) -> None:
    alive = pycast_server.stream(MOUNT, speed=0, first=500)

    def is_accepted() -> bool:
        with suppress(StreamRefused):
            alive.connect()
        return alive.is_connected

    with pycast_server.stream(MOUNT, speed=0) as dead, pycast_server.listen(MOUNT) as heard:
        dead.send(10)
        heard.wait_for_frames(10)
        pycast_server.wait_until(is_accepted, 10, "the same source, which tries again and again, to take over")
        alive.send(10)
        heard.wait_for_frames(20)
        assert heard.frames.is_exactly([*range(10), *range(500, 510)])
        assert dead.wait_for_disconnect()
    alive.disconnect()


@pytest.mark.pycast(mount=[{"type": "default", "username": "dj"}])
def test_other_credentials_never_take_over(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, user="dj", speed=0):
        assert ask(pycast_server.port, head("SOURCE", MOUNT, pycast_server.source_password)).status == 401


@pytest.mark.pycast(source_grace=20, burst_size=0)
def test_listeners_wait_for_a_source_that_comes_back(pycast_server: Server) -> None:
    stream = pycast_server.stream(MOUNT, speed=0).connect()
    with pycast_server.listen(MOUNT) as heard:
        stream.send(10)
        heard.wait_for_frames(10)
        stream.disconnect()
        with stream:
            stream.send(10)
            heard.wait_for_frames(20)
            assert heard.frames.is_exactly(range(20))
            assert pycast_server.listeners(MOUNT) == 1


@pytest.mark.pycast(source_grace=20, burst_size=0)
def test_a_title_stays_with_its_encoder_and_is_not_shown_as_that_of_another(pycast_server: Server) -> None:
    def connect(name: str) -> NumberedStream:
        return pycast_server.stream(MOUNT, headers={"Ice-Name": name}, speed=0)

    def shows(title: str) -> bool:
        body = get(pycast_server.port, "/status-json.xsl").body
        return title.encode() in re.sub(rb'"history":\[[^]]*\]', b"", body)

    with connect("One") as stream:
        stream.title = "Morning"
        assert shows('"title":"Morning"')
    with connect("One"):
        assert shows('"title":"Morning"')
    with connect("Other") as stream:
        assert shows('"server_name":"Other"')
        assert not shows("Morning")
        with pycast_server.listen(MOUNT) as heard:
            stream.send(100)
            heard.wait_for_bytes(int(heard.headers["icy-metaint"]) + 1)
            assert [title.raw for title in heard.titles] == [b"StreamTitle='';"]
    assert pycast_server.titles(MOUNT) == ["Morning"]


def test_source_that_hangs_up_and_reconnects_at_once_is_accepted(pycast_server: Server) -> None:
    stream = pycast_server.stream(MOUNT, speed=0).connect()
    stream.send(10)
    with pycast_server.listen(MOUNT) as heard:
        for _ in range(9):
            stream.disconnect()
            stream.connect()
            stream.send(10)
        heard.wait_for_frames(100)
        assert heard.frames.is_exactly(range(100))
    stream.disconnect()


@pytest.mark.pycast(source_grace=0.5)
def test_listeners_are_dropped_when_no_source_comes_back_in_time(pycast_server: Server) -> None:
    stream = pycast_server.stream(MOUNT, speed=0).connect()
    stream.send(10)
    with pycast_server.listen(MOUNT) as heard:
        stream.disconnect()
        assert heard.wait_for_end() == "the server closed the connection"
        assert heard.frames.is_exactly(range(10))


@pytest.mark.pycast(source_grace=0)
def test_listener_gets_the_stream_to_its_last_byte(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream, pycast_server.listen(MOUNT) as heard:
        for _ in range(200):
            stream.send(1)
        stream.disconnect()
        assert heard.wait_for_end() == "the server closed the connection"
        assert heard.frames.is_exactly(range(200))


def test_libshout_probing_is_answered_as_it_needs(pycast_server: Server) -> None:
    options = ask(
        pycast_server.port, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\r\n"
    )
    assert options.status == 204
    assert options.header("Content-Length") == "0"
    assert "SOURCE" in options.header("Allow") and "PUT" in options.header("Allow")
    assert get(pycast_server.port, "/admin/!POKE").status in (400, 401)
    challenge = ask(
        pycast_server.port, f"SOURCE {MOUNT} HTTP/1.0\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n"
    )
    assert challenge.status == 401
    assert challenge.header("Content-Length") == str(len(challenge.body))


class TestShoutcast:
    """The old protocol: a password line, OK2, headers, stream."""

    @pytest.fixture
    def server(self) -> Server:
        return Server(listen=[{"shoutcast_mount": "/icy.mp3"}], source_grace=0)

    @pytest.mark.parametrize("end", ["\r\n", "\n"])
    def test_source_streams_to_its_mount(self, end: str, server: Server) -> None:
        with server, Wire(server.port + 1) as wire:
            wire.send(f"{server.source_password}{end}")
            assert wire.read(20) == b"OK2\r\nicy-caps:11\r\n\r\n"
            wire.send(f"icy-name:Old{end}icy-br:128{end}content-type:audio/mpeg{end}{end}".encode() + frames(0, 20))
            server.wait_for_source("/icy.mp3")
            with server.listen("/icy.mp3") as heard:
                heard.wait_for_bytes(len(frames(0, 20)))
                assert heard.bytes == frames(0, 20)
                assert (heard.headers["icy-name"], heard.headers["icy-br"]) == ("Old", "128")

    def test_wrong_password_is_refused(self, server: Server) -> None:
        with server, Wire(server.port + 1) as wire:
            wire.send("wrong\r\n")
            assert b"OK2" not in wire.read_all(5)
            assert get(server.port, "/icy.mp3").status == 404

    def test_titles_come_by_admin_cgi(self, server: Server) -> None:
        with server, Wire(server.port + 1) as wire:
            wire.send(f"{server.source_password}\r\n").read(20)
            wire.send(b"content-type:audio/mpeg\r\n\r\n" + frames(0, 20))
            server.wait_for_source("/icy.mp3")
            path = f"/admin.cgi?mode=updinfo&pass={server.source_password}&song=An+Old+Song"
            reply = get(server.port, path)
            assert (reply.status, b"Metadata update successful" in reply.body) == (200, True)
            server.wait_for_title("/icy.mp3", "An Old Song")
            assert get(server.port, "/admin.cgi?mode=updinfo&pass=wrong&song=X").status == 401

    def test_http_on_its_port_is_served(self, server: Server) -> None:
        with server:
            assert get(server.port + 1, "/status-json.xsl").status == 200
