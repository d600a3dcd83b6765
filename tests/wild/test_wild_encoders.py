"""Requests of real encoders, byte for byte as they sent them: each is a source with its description and titles."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pycast.testing import Server
from tests.e2e.deadline import until
from tests.e2e.wire import get

LOGIN = b"Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n"

# All line ends of DarkIce but the last two are LF alone.
DARKICE = (
    b"SOURCE /live.mp3 HTTP/1.0\nContent-type: audio/mpeg\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\n"
    b"User-Agent: DarkIce/1.3 (http://code.google.com/p/darkice/)\nice-bitrate: 96\nice-public: 1\n"
    b"ice-name: R\xc3\xa4dio\nice-description: D\xc3\xa9sc\nice-url: http://r.example\nice-genre: my own\r\n\r\n"
)
BUTT = (
    b"PUT /live.mp3 HTTP/1.1\r\n" + LOGIN + b"Host: 127.0.0.1:8000\r\nUser-Agent: butt 0.1.37\r\n"
    b"Content-Type: audio/mpeg\r\nice-name: R\xc3\xa4dio\r\nice-public: 1\r\nice-url: http://r.example\r\n"
    b"ice-genre: my own\r\nice-description: D\xc3\xa9sc\r\n"
    b"ice-audio-info: ice-bitrate=96;ice-channels=2;ice-samplerate=44100\r\nExpect: 100-continue\r\n\r\n"
)
# IceS 2.0.3, VLC 3.0.24 and oggfwd with libshout 2.4.6, after its OPTIONS; MPD 0.23.12 with SOURCE.
LIBSHOUT = (
    b"PUT /live.mp3 HTTP/1.1\r\n" + LOGIN + b"Host: 127.0.0.1:8000\r\nUser-Agent: IceS 2.0.3\r\n"
    b"Content-Type: application/ogg\r\nExpect: 100-continue\r\nice-public: 1\r\nice-name: R\xc3\xa4dio\r\n"
    b"ice-genre: my own\r\nice-description: D\xc3\xa9sc\r\nice-url: http://r.example\r\n"
    b"ice-audio-info: bitrate=96;channels=2;samplerate=44100\r\nPrefer: return=minimal\r\n\r\n"
)
MPD = LIBSHOUT.replace(b"PUT /live.mp3 HTTP/1.1", b"SOURCE /live.mp3 HTTP/1.0").replace(
    b"Expect: 100-continue\r\n", b""
)
LIQUIDSOAP = (
    b"SOURCE /live.mp3 HTTP/1.0\r\nice-url: http://r.example\r\nice-name: R\xc3\xa4dio\r\n" + LOGIN
    + b"ice-description: D\xc3\xa9sc\r\nice-public: 1\r\nUser-Agent: Liquidsoap/2.1.3 (Unix; OCaml 4.13.1)\r\n"
    b"ice-genre: my own\r\nice-audio-info: channels=2;samplerate=44100;bitrate=96\r\nContent-Type: audio/mpeg\r\n\r\n"
)  # fmt: skip
FFMPEG = (
    b"PUT /live.mp3 HTTP/1.1\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\nExpect: 100-continue\r\n"
    b"Connection: close\r\nHost: 127.0.0.1:8000\r\nContent-Type: audio/mpeg\r\nIcy-MetaData: 1\r\n"
    b"Ice-Name: R\xc3\xa4dio\r\nIce-Description: D\xc3\xa9sc\r\nIce-Genre: my own\r\n"
    b"Ice-Public: 1\r\n" + LOGIN + b"\r\n"
)
SOURCES = {
    "DarkIce": (DARKICE, 96),
    "butt": (BUTT, 96),
    "libshout": (LIBSHOUT, 96),
    "MPD": (MPD, 96),
    "liquidsoap": (LIQUIDSOAP, 96),
    "ffmpeg": (FFMPEG, None),
}

POKE = b"!POKE\nicy-name:libshout server poke request\n\n"
SHOUTCAST = {
    "libshout": b"hackme\nicy-name:R\xc3\xa4dio\nicy-url:http://r.example\nicy-irc:\nicy-aim:\nicy-icq:\nicy-pub:0\n"
    b"icy-genre:my own\nicy-br:0\n\n",
    "liquidsoap": b"hackme\r\nicy-reset:1\r\nicy-aim:\r\nicy-icq:\r\nicy-br:0\r\nicy-pub:1\r\nicy-irc:\r\n"
    b"icy-name:R\xc3\xa4dio\r\nicy-genre:my own\r\ncontent-type:audio/mpeg\r\n\r\n",
}

TITLES = {
    "butt, which escapes blanks alone": b"GET /admin/metadata?mode=updinfo&mount=/live.mp3&"
    b"song=Art\xc3\xafst%20-%20T\xc3\xaftle HTTP/1.0\r\n"
    b"User-Agent: butt 0.1.37\r\n" + LOGIN + b"Host: 127.0.0.1:8000\r\n\r\n",
    "libshout, which escapes all": b"GET /admin/metadata?mode=updinfo&charset=UTF-8&mount=%2flive%2emp3&"
    b"song=Art%c3%afst%20%2d%20T%c3%aftle HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: MPD\r\n" + LOGIN + b"\r\n",
}  # fmt: skip
SHOUTCAST_TITLE = (
    b"GET /admin.cgi?mode=updinfo&pass=hackme&song=Art%c3%afst%20%2d%20T%c3%aftle HTTP/1.1\r\n"
    b"Host: 127.0.0.1:8000\r\nUser-Agent: MPD (Mozilla compatible)\r\n\r\n"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(source_password="hackme", source_grace=0, listen=[{"shoutcast_mount": "/sc"}]) as server:
        yield server


def ask(server: Server, request: bytes, offset: int = 0) -> bytes:
    """Returns the whole answer of the server's port, or with 1 of that of SHOUTcast sources."""
    with socket.create_connection(("127.0.0.1", server.port + offset), 5) as sock:
        sock.sendall(request)
        return b"".join(iter(lambda: sock.recv(65_536), b""))


def stats(server: Server) -> dict[str, Any]:
    """Returns the statistics of the one mount; none if there is none."""
    found: dict[str, Any] = json.loads(get(server.port, "/status-json.xsl").body)["icestats"].get("source", {})
    return found


@contextmanager
def source(server: Server, head: bytes, answer: bytes, offset: int = 0) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", server.port + offset), 5) as sock:
        sock.sendall(head)
        assert sock.recv(100).startswith(answer)
        until(lambda: stats(server).get("server_name") == "Rädio", "the source")
        yield
    until(lambda: not stats(server), "its end")


@pytest.mark.parametrize(("head", "bitrate"), SOURCES.values(), ids=SOURCES)
def test_what_an_encoder_sends_describes_its_mount(head: bytes, bitrate: int | None, server: Server) -> None:
    with source(server, head, b"HTTP/1.1 100 Continue\r\n\r\n" if b"Expect" in head else b"HTTP/1.0 200 OK\r\n\r\n"):
        told = stats(server)
        assert (told["server_description"], told["genre"], told.get("bitrate")) == ("Désc", "my own", bitrate)
        assert told["listenurl"].endswith("/live.mp3")


@pytest.mark.parametrize("head", SHOUTCAST.values(), ids=SHOUTCAST)
def test_what_an_encoder_sends_by_shoutcasts_protocol_describes_its_mount(head: bytes, server: Server) -> None:
    assert ask(server, POKE, 1) == b""
    with source(server, head, b"OK2\r\n", 1):
        told = stats(server)
        assert (told["genre"], told["server_type"]) == ("my own", "audio/mpeg") and "bitrate" not in told
        assert b"Metadata update successful" in ask(server, SHOUTCAST_TITLE)
        assert stats(server)["title"] == "Artïst - Tïtle"


@pytest.mark.parametrize("request_", TITLES.values(), ids=TITLES)
def test_the_title_of_an_encoder_is_read_as_it_escapes_it(request_: bytes, server: Server) -> None:
    with source(server, DARKICE, b"HTTP/1.0 200 OK\r\n\r\n"):
        assert b"401 Auth" in ask(server, request_.replace(LOGIN, b"")), "libshout asks without its login first"
        assert b"<return>1</return>" in ask(server, request_)
        assert stats(server)["title"] == "Artïst - Tïtle"
