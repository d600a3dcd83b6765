"""What another server answers is a stream with a known format, or a failure with a reason, in bounded time."""

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.ssl import SSLContext

from pycast.http.headers import Headers
from pycast.http.relay_path import path_line
from pycast.relay import dial
from pycast.relay.dial import MOST_REDIRECTS, Dialler, Listing, UpstreamFailed
from pycast.relay.place import Place
from tests.e2e.programs import require
from tests.e2e.wire import frames
from tests.relay.upstream import HTTP, ICY, Play, Upstream, answers, plays, plays_titles, silent


def numbers(host: str, port: int) -> list[Any]:
    return [(socket.AF_INET, (host, port))]


@contextmanager
def upstream(play: Play) -> Iterator[Upstream]:
    server = Upstream(play)
    try:
        yield server
    finally:
        server.close()


def stream_of(server: Upstream, mount: str = "/x", charset: str = "") -> dial.Stream:
    found = Dialler(numbers, "me").stream(server.place(), mount, charset)
    found.connection.close()
    return found


@pytest.mark.parametrize("head", [HTTP, ICY, b"HTTP/1.1 200 OK\nContent-Type: text/plain\n"])
def test_stream_is_known_by_its_bytes(head: bytes) -> None:
    with upstream(plays(head)) as server:
        found = stream_of(server)
    assert (found.found.format, found.found.content_type, found.place.port) == ("mpeg", "audio/mpeg", server.port)
    assert found.first.startswith(frames(0, 3))
    [asked] = server.heads
    assert asked.startswith(b"GET /live.mp3 HTTP/1.0\r\nHost: 127.0.0.1:%d\r\nUser-Agent: pycast " % server.port)
    assert b"\r\nIcy-MetaData: 1\r\n" in asked and b"Authorization" not in asked


def test_titles_and_chunks_are_no_part_of_the_format() -> None:
    with upstream(plays_titles(lambda: "ÿû\x90 not a frame")) as server:
        assert stream_of(server).found.format == "mpeg"
    body = b"".join(b"%x\r\n%b\r\n" % (417, frames(number, 1)) for number in range(20))
    with upstream(answers(HTTP + b"Transfer-Encoding: chunked\r\n", body, then_s=5)) as server:
        found = stream_of(server)
    assert found.found.format == "mpeg" and found.first == body


def test_login_is_sent() -> None:
    with upstream(plays()) as server:
        place = server.place()._replace(username="u", password="p", wants_titles=False)
        Dialler(numbers, "me").stream(place, "/x", "").connection.close()
    assert b"\r\nAuthorization: Basic dTpw\r\n" in server.heads[0] and b"Icy-MetaData" not in server.heads[0]


def test_redirects_are_followed_and_bounded() -> None:
    def redirect(sock: socket.socket, head: bytes) -> None:
        if b"GET /live.mp3 " in head:
            sock.sendall(b"HTTP/1.0 302 Found\r\nLocation: /other.mp3\r\n\r\n")
        else:
            plays()(sock, head)

    with upstream(redirect) as server:
        assert stream_of(server).place.path == "/other.mp3"
    with upstream(answers(b"HTTP/1.0 302 Found\r\nLocation: /again\r\n")) as server:
        with pytest.raises(UpstreamFailed, match="redirects more than"):
            stream_of(server)
        assert len(server.heads) == MOST_REDIRECTS + 1
    for location in (b"ftp://x/", b"http://"):
        with (
            upstream(answers(b"HTTP/1.0 302 Found\r\nLocation: " + location + b"\r\n")) as server,
            pytest.raises(UpstreamFailed),
        ):
            stream_of(server)


@pytest.mark.parametrize("lines", [b"", b"Location:\r\n", b"Location: \r\n"])
def test_redirect_to_nowhere_is_told_as_that_and_is_not_asked_again(lines: bytes) -> None:
    with upstream(answers(b"HTTP/1.0 302 Found\r\n" + lines)) as server:
        with pytest.raises(UpstreamFailed, match="it answers 302 and does not say where to") as failed:
            stream_of(server)
        assert len(server.heads) == 1 and failed.value.status == 302


@pytest.mark.parametrize(
    "before", [b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 2]
)
def test_what_comes_before_the_answer_is_skipped(before: bytes) -> None:
    with upstream(answers(before + HTTP, frames(0, 99), then_s=5)) as server:
        assert stream_of(server).first.startswith(frames(0, 3))
        assert len(server.heads) == 1
    with upstream(answers(before + b"HTTP/1.0 200 OK\r\n", b"/a\r\n")) as server:
        assert Dialler(numbers, "me").document(server.place("/list"), 100) == (b"/a\r\n", True)


def test_login_does_not_follow_a_redirect_to_another_port_unless_that_is_named() -> None:
    with upstream(answers(b"HTTP/1.0 401 Unauthorized\r\n")) as other:
        redirect = b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:%d/b\r\n" % other.port
        with upstream(answers(redirect)) as server:
            place, named = server.place()._replace(username="u", password="p"), other.place()._replace(username="v")
            with pytest.raises(UpstreamFailed, match=r"401 .*the login is not sent on to http://127.* name it in"):
                Dialler(numbers, "me").stream(place, "/x", "", (place,))
            with pytest.raises(UpstreamFailed, match=r"it answers 401 Unauthorized$"):
                Dialler(numbers, "me").stream(place, "/x", "", (place, named))
    assert [b"\r\nAuthorization: Basic dTpw\r\n" in head for head in server.heads] == [True, True]
    assert b"Authorization" not in other.heads[0] and b"\r\nAuthorization: Basic djo=\r\n" in other.heads[1]


@pytest.mark.parametrize(
    ("play", "why"),
    [
        (answers(b"HTTP/1.0 404 File Not Found\r\n"), "it answers 404 File Not Found"),
        (answers(b"HTTP/1.0 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n", b"<html>" * 9999), "no stream"),
        (answers(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpegurl\r\n", b"#EXTM3U\na.ts\n"), "text: #EXTM3U a.ts"),
        (answers(b"HTTP/1.1 200 OK\r\nContent-Type: audio/scpls\r\n", b"\xef\xbb\xbf[playlist]\r\n"), "no stream"),
        (answers(HTTP, "The stream is off the air, l\u2019antenne est coupée".encode()), "but text: The stream is off"),
        (answers(b"SSH-2.0-OpenSSH\r\n"), "neither HTTP nor ICY"),
        (answers(HTTP), "ended the stream before its first bytes"),
        (lambda sock, head: None, "closed the connection before it answered"),
        (answers(HTTP + b"icy-metaint:100\r\n", b"x" * 100 + b"\x02" + b"y" * 40, then_s=5), "no title"),
        (answers(HTTP + b"Transfer-Encoding: chunked\r\n", b"zz\r\n", then_s=5), "no stream"),
    ],
)
def test_what_is_no_stream_is_a_failure_with_its_reason(play: Play, why: str) -> None:
    with upstream(play) as server, pytest.raises(UpstreamFailed, match=why):
        stream_of(server)


@pytest.mark.parametrize(
    "play", [silent, answers(HTTP, then_s=60), answers(HTTP, b"ID3\x04\0\0\0\x7f\x7f\x7f", then_s=60)]
)
def test_server_that_sends_nothing_is_a_failure_in_time(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "DIAL_S", 0.1)
    with upstream(play) as server, pytest.raises(UpstreamFailed, match=r"in time|no audio"):
        stream_of(server)


def test_next_address_of_a_name_is_tried() -> None:
    with upstream(plays()) as server:
        addresses: list[Any] = [(socket.AF_INET, ("127.0.0.1", 1)), (socket.AF_INET, ("127.0.0.1", server.port))]
        Dialler(lambda host, port: addresses, "me").stream(server.place(), "/x", "").connection.close()


@pytest.mark.parametrize("play", [silent, lambda sock, head: None, answers(b"SSH-2.0-OpenSSH\r\n")])
def test_address_that_does_not_answer_is_passed_over_and_comes_last_next_time(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "ANSWER_S", 0.2)
    with upstream(play) as bad, upstream(plays()) as good:
        ends: list[Any] = [(socket.AF_INET, ("127.0.0.1", server.port)) for server in (bad, good)]
        dialler = Dialler(lambda host, port: ends, "me")
        for _ in range(3):
            dialler.stream(good.place(), "/x", "").connection.close()
        assert (len(bad.heads), len(good.heads)) == (1, 3)


def test_refusal_of_one_address_is_that_of_the_server() -> None:
    with upstream(answers(b"HTTP/1.0 404 Not Found\r\n")) as one, upstream(plays()) as other:
        ends: list[Any] = [(socket.AF_INET, ("127.0.0.1", server.port)) for server in (one, other)]
        with pytest.raises(UpstreamFailed, match="404"):
            Dialler(lambda host, port: ends, "me").stream(one.place(), "/x", "")
        assert (len(one.heads), len(other.heads)) == (1, 0)


def test_last_address_has_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(sock: socket.socket, head: bytes) -> None:
        gevent.sleep(0.3)
        plays()(sock, head)

    monkeypatch.setattr(dial, "ANSWER_S", 0.1)
    with upstream(late) as server:
        ends: list[Any] = [(socket.AF_INET, ("127.0.0.1", port)) for port in (1, server.port)]
        Dialler(lambda host, port: ends, "me").stream(server.place(), "/x", "").connection.close()


def test_address_that_refuses_connections_is_not_asked_first_again() -> None:
    with upstream(answers(b"HTTP/1.0 404 Not Found\r\n")) as server:
        ends: list[Any] = [(socket.AF_INET, ("127.0.0.1", port)) for port in (1, server.port)]
        dialler = Dialler(lambda host, port: ends, "me")
        for _ in range(2):
            with pytest.raises(UpstreamFailed, match="404"):
                dialler.document(server.place(), 9)
    with pytest.raises(UpstreamFailed, match="no connection to") as failed:
        dialler.document(server.place(), 9)
    assert failed.value.status == 0 and len(server.heads) == 2


def test_connection_is_from_the_address_that_the_relay_names() -> None:
    peers: list[str] = []

    def play(sock: socket.socket, head: bytes) -> None:
        peers.append(sock.getpeername()[0])
        if b"GET /live.mp3 " in head:
            sock.sendall(b"HTTP/1.0 302 Found\r\nLocation: /other.mp3\r\n\r\n")
        else:
            plays()(sock, head)

    with upstream(play) as server:
        place = server.place()._replace(bind="127.0.0.9")
        Dialler(numbers, "me").stream(place, "/x", "").connection.close()
        assert peers == ["127.0.0.9", "127.0.0.9"]
        with pytest.raises(UpstreamFailed, match="no address of the kind of ::1"):
            Dialler(numbers, "me").stream(place._replace(bind="::1"), "/x", "")
        with pytest.raises(UpstreamFailed, match="no connection to"):
            Dialler(numbers, "me").stream(place._replace(bind="192.0.2.1"), "/x", "")


def test_tls_needs_a_certificate_that_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    subprocess.run(
        [require("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
         "2", "-subj", "/CN=upstream", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Upstream(plays(), tls=context)

    # What `trusting` makes in a server, whose modules are gevent's.
    def trusting(authorities: str) -> SSLContext:
        made = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if authorities:
            made.load_verify_locations(authorities)
        return made

    monkeypatch.setattr("pycast.net.tls.trusting", trusting)
    try:
        place = server.place()._replace(tls=True)
        with pytest.raises(UpstreamFailed, match="certificate verify failed"):
            Dialler(numbers, "me").stream(place, "/x", "")
        found = Dialler(numbers, "me").stream(place._replace(tls_ca=certificate), "/x", "")
        found.connection.close()
        with pytest.raises(UpstreamFailed, match="no connection to"):
            Dialler(numbers, "me").stream(place._replace(tls_ca=str(tmp_path / "none.pem")), "/x", "")
    finally:
        server.close()
    assert found.connection.tls and found.first.startswith(frames(0, 3))


@pytest.mark.parametrize("error", [OSError("no such name"), None])
def test_name_without_an_address_is_a_failure(error: OSError | None) -> None:
    def resolve(host: str, port: int) -> list[Any]:
        if error:
            raise error
        return []

    with pytest.raises(UpstreamFailed, match="its name"):
        Dialler(resolve, "me").stream(Place("x", 1, "/"), "/x", "")


def test_stream_that_came_from_here_is_refused_under_its_own_name_only() -> None:
    path = path_line(Headers(), "me", "/x")
    with upstream(plays(HTTP + path)) as server:
        with pytest.raises(UpstreamFailed, match="circle"):
            stream_of(server, "/x")
        stream_of(server, "/y")


def test_documents_say_whether_they_are_whole() -> None:
    def ask(head: bytes, body: bytes, most: int = 100) -> Listing:
        with upstream(answers(b"HTTP/1.0 200 OK\r\n" + head, body)) as server:
            return Dialler(numbers, "me").document(server.place("/list"), most)

    assert ask(b"", b"/a\r\n") == (b"/a\r\n", True)
    assert ask(b"Content-Length: 4\r\n", b"/a\r\n") == (b"/a\r\n", True)
    assert ask(b"Content-Length: 9\r\n", b"/a\r\n") == (b"/a\r\n", False)
    assert ask(b"Transfer-Encoding: chunked\r\n", b"4\r\n/a\r\n\r\n0\r\n\r\n") == (b"/a\r\n", True)
    assert ask(b"Transfer-Encoding: chunked\r\n", b"4\r\n/a\r\n\r\n") == (b"/a\r\n", False)
    assert ask(b"", b"x" * 200) == (b"x" * 100, False)


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "x"])
def test_length_that_is_no_number_is_one_that_is_not_reached(length: str) -> None:
    with upstream(answers(f"HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n".encode(), b"/a\r\n")) as server:
        assert Dialler(numbers, "me").document(server.place("/list"), 100) == (b"/a\r\n", False)


def test_refusal_of_a_document_has_its_status() -> None:
    with (
        upstream(answers(b"HTTP/1.0 401 No\r\n")) as server,
        pytest.raises(UpstreamFailed) as failed,
    ):
        Dialler(numbers, "me").document(server.place("/list"), 100)
    assert failed.value.status == 401
