"""Heads of every known client, and heads that are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.errors import BadPath, HeadTooLarge, PeerError, RequestError
from pycast.http.request import MAX_HEAD, Headers, HeadReader, Request
from tests.http.cuts import PLACES, QUICK, byte_by_byte, cut


def read(data: bytes) -> Request:
    request = HeadReader().feed(data)
    assert request is not None
    return request


def outcome(pieces: list[bytes], max_bytes: int = MAX_HEAD, max_lines: int = 100) -> tuple[object, bytes]:
    """Returns what a reader makes of the pieces, and the bytes it leaves."""
    reader = HeadReader(max_bytes, max_lines)
    for number, piece in enumerate(pieces):
        try:
            request = reader.feed(piece)
        except PeerError as error:
            return (type(error), error.public), b""
        if request is not None:
            return request, reader.rest + b"".join(pieces[number + 1 :])
    return None, b""


ENCODERS_AND_PLAYERS = {
    "ffmpeg": b"PUT /live.mp3 HTTP/1.1\r\nUser-Agent: Lavf/59.27.100\r\nAccept: */*\r\nExpect: 100-continue\r\n"
    b"Connection: close\r\nHost: h:8000\r\nContent-Type: audio/mpeg\r\nIcy-MetaData: 1\r\nIce-Public: 0\r\n"
    b"Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n\r\n",
    "old encoder": b"SOURCE /live.mp3 ICE/1.0\r\nice-name: x\r\n\r\n",
    "put by ice": b"PUT /live.mp3 ICE/1.0\r\nice-name: x\r\n\r\n",
    "stats client": b"STATS / HTTP/1.0\r\n\r\n",
    "play": b"PLAY /live.mp3 HTTP/1.0\r\n\r\n",
    "lower case": b"get /live.mp3 http/1.0\r\nhost: h\r\n\r\n",
    "libshout's question": b"OPTIONS * HTTP/1.1\r\nHost: h:1\r\nConnection: Upgrade\r\n"
    b"Upgrade: TLS/1.0, HTTP/1.1\r\n\r\n",
    "libshout's poke": b"GET /admin/!POKE HTTP/1.1\r\nHost: h:1\r\n\r\n",
    "a proxy's client": b"GET http://h:8000/live.mp3?a=b HTTP/1.1\r\nHost: h\r\n\r\n",
    "bare line feeds": b"GET /live.mp3 HTTP/1.0\nHost: h\n\n",
    "NSV encoder": b"GET /live.mp3 HTTP/1.0\r\r\nHost: h\r\r\n\r\r\n",
    "empty line first": b"\r\n\r\nGET /live.mp3 HTTP/1.0\r\nHost: h\r\n\r\n",
    "blanks, and a fourth part": b"GET   /live.mp3  HTTP/1.0 junk\r\nHost: h\r\n\r\n",
    "unknown method": b"PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n",
}


@pytest.mark.parametrize("head", ENCODERS_AND_PLAYERS.values(), ids=ENCODERS_AND_PLAYERS.keys())
def test_known_clients_are_understood_however_their_head_is_cut(head: bytes) -> None:
    whole = outcome([head + b"\xff\xfbbody"])
    assert isinstance(whole[0], Request)
    assert whole[1] == b"\xff\xfbbody"
    assert outcome(byte_by_byte(head + b"\xff\xfbbody")) == whole


@pytest.mark.parametrize(
    ("line", "method", "path", "protocol", "version"),
    [
        (b"SOURCE /live.mp3 ICE/1.0", "SOURCE", "/live.mp3", "ICE", "1.0"),
        (b"put /a%20b HTTP/1.1", "PUT", "/a b", "HTTP", "1.1"),
        (b"GET /f%c3%bcr HTTP/1.0", "GET", "/für", "HTTP", "1.0"),
        (b"GET /f%fcr HTTP/1.0", "GET", "/für", "HTTP", "1.0"),
        (b"GET /f\xc3\xbcr HTTP/1.0", "GET", "/für", "HTTP", "1.0"),
        (b"GET /a+b#part HTTP/1.0", "GET", "/a+b", "HTTP", "1.0"),
        (b"OPTIONS * HTTP/1.1", "OPTIONS", "*", "HTTP", "1.1"),
        (b"GET HTTP://radio/live HTTP/1.1", "GET", "/live", "HTTP", "1.1"),
        (b"GET http://radio?x=y HTTP/1.1", "GET", "/", "HTTP", "1.1"),
    ],
)
def test_request_line_is_read(line: bytes, method: str, path: str, protocol: str, version: str) -> None:
    request = read(line + b"\r\n\r\n")
    assert (request.method, request.path, request.protocol, request.version) == (method, path, protocol, version)


def test_target_is_kept_as_sent() -> None:
    assert read(b"GET /a%20b?x=%41 HTTP/1.0\r\n\r\n").target == "/a%20b?x=%41"


def test_last_value_of_a_header_wins_and_all_are_kept() -> None:
    headers = read(b"GET / HTTP/1.0\r\nICE-Name: one\r\nice-name: two\r\nEmpty:\r\nBlank:  \r\n\r\n").headers
    assert headers.get("Ice-Name") == "two"
    assert headers.all("ice-name") == ["one", "two"]
    assert list(headers) == [("ice-name", "one"), ("ice-name", "two")]
    assert "empty" not in headers and "Blank" not in headers
    assert headers.get("empty", "none") == "none"


def test_header_values_are_utf8_or_else_latin1() -> None:
    headers = read(b"GET / HTTP/1.0\r\nA: f\xc3\xbcr\r\nB: f\xfcr\r\n\r\n").headers
    assert (headers.get("a"), headers.get("b")) == ("für", "für")


def test_headers_compare_by_their_fields() -> None:
    assert Headers([("A", "b")]) == Headers([("a", "b")])
    assert hash(Headers([("A", "b")])) == hash(Headers([("a", "b")]))
    assert Headers([("A", "b")]) != Headers()
    assert len(Headers().adding("A", "b")) == 1
    assert repr(Headers([("A", "b")])) == "Headers(a)", "a value may be a password"


@pytest.mark.parametrize(
    "line",
    [
        b"second line of the station's description",
        b" folded",
        b": no name",
        b"na me: x",
        b"name : x",
        b"a: b\rc",
        b"a: b\0c",
    ],
)
def test_lines_that_are_no_header_are_left_out(line: bytes) -> None:
    headers = read(b"SOURCE /x HTTP/1.0\r\nice-name: x\r\n" + line + b"\r\nice-genre: y\r\n\r\n").headers
    assert list(headers) == [("ice-name", "x"), ("ice-genre", "y")]


def test_a_control_character_in_a_value_is_no_reason_to_refuse_a_source() -> None:
    assert read(b"SOURCE /x HTTP/1.0\r\nice-name: a\x01b\r\n\r\n").headers.get("ice-name") == "a\x01b"


def test_unknown_transfer_encoding_reaches_the_body_reader() -> None:
    assert read(b"PUT /x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n").headers.get("transfer-encoding") == "gzip"


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", [("content-length", "5"), ("content-length", "6")]),
        (b"content-length:lots \r\n", [("content-length", "lots")]),
        (b"Content-Length: -1\n", [("content-length", "-1")]),
        (b"Content-Length:\r\n", [("content-length", "?")]),
        (b"Content-Length : 5\r\n", [("content-length", ": 5")]),
        (b"Content-Length: 5\r\n 6\r\n", [("content-length", "5  6")]),
        (b"Content-Length: 5\r6\0\r\n", [("content-length", "5?6?")]),
        (
            b"TRANSFER-ENCODING: CHUNKED\r\nContent-Length: 5\r\n",
            [("transfer-encoding", "CHUNKED"), ("content-length", "5")],
        ),
        (b"X-Content-Length: 5\r\n", []),
    ],
)
def test_the_framing_is_kept_however_wrong_it_is(lines: bytes, fields: list[tuple[str, str]]) -> None:
    head = b"POST /x HTTP/1.1\r\nHost: h\r\n" + lines + b"no colon here\r\nOther: x\r\n\r\n"
    for pieces in ([head], byte_by_byte(head)):
        request = outcome(pieces)[0]
        assert isinstance(request, Request)
        assert [field for field in request.headers if field[0] in ("content-length", "transfer-encoding")] == fields
        assert (request.headers.get("host"), request.headers.get("other")) == ("h", "x")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /x\r\n\r\n",
        b"GET /a b HTTP/1.0\r\n\r\n",
        b"GET /x FTP/1.0\r\n\r\n",
        b"GET /x HTTP\r\n\r\n",
        b"GET /x HTTP/one\r\n\r\n",
        b"G=T /x HTTP/1.0\r\n\r\n",
        b"SOURCE password /mount\n\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\0",
    ],
)
def test_what_is_no_request_is_refused(head: bytes) -> None:
    result = outcome([head])[0]
    assert isinstance(result, tuple) and result[0] is RequestError
    assert outcome(byte_by_byte(head))[0] == result


_BAD_TARGETS = (
    rb"live.mp3 * //x /x//y /./x /x/../y /x/.. /x/. /... /x/%2e%2e/y /x%2f%2fy /x\..\y /\x "
    rb"/x%00 /x%0ay /x%1b /x% /x%4 /x%zz ftp://h/x http:/x"
).split()


@pytest.mark.parametrize("target", [*_BAD_TARGETS, b"/x\x7f"])
def test_bad_paths_are_refused(target: bytes) -> None:
    with pytest.raises(BadPath) as caught:
        HeadReader().feed(b"GET " + target + b" HTTP/1.0\r\n\r\n")
    assert caught.value.status == 400


@pytest.mark.parametrize("target", [b"/", b"/x/", b"/.x", b"/x..", b"/..x/y", b"/x%2fy", b"/x\\y", b"/a.b.c"])
def test_good_paths_pass(target: bytes) -> None:
    assert read(b"GET " + target + b" HTTP/1.0\r\n\r\n").path.startswith("/")


def test_head_may_fill_its_limit_and_not_a_byte_more() -> None:
    head = b"GET / HTTP/1.0\r\nA: b\r\n\r\n"
    assert isinstance(outcome([head], max_bytes=len(head))[0], Request)
    assert outcome([head], max_bytes=len(head) - 1)[0] == (HeadTooLarge, "request head too large")
    assert outcome(byte_by_byte(head), max_bytes=len(head) - 1)[0] == (HeadTooLarge, "request head too large")


def test_head_of_too_many_lines_is_refused() -> None:
    head = b"GET / HTTP/1.0\r\n" + b"A: b\r\n" * 9 + b"\r\n"
    assert isinstance(outcome([head], max_lines=10)[0], Request)
    assert outcome([head], max_lines=9)[0] == (HeadTooLarge, "too many header lines")


@pytest.mark.parametrize("endless", [b"\r\n", b"A", b"GET / HTTP/1.0\r\nA: b\r\n"])
def test_endless_head_is_cut_off_at_the_limit(endless: bytes) -> None:
    reader = HeadReader(max_bytes=1000)
    fed = 0
    with pytest.raises(HeadTooLarge):
        while fed < 2000:
            fed += len(endless)
            reader.feed(endless)
    assert fed <= 1000 + len(endless)


def test_waits_for_the_end_of_the_head() -> None:
    reader = HeadReader()
    assert reader.feed(b"") is None
    assert reader.feed(b"\r\n") is None
    assert reader.feed(b"GET / HTTP/1.0\r\n") is None
    assert reader.feed(b"\r") is None
    assert reader.feed(b"\nrest") is not None
    assert reader.rest == b"rest"


_REQUEST_PARTS = [b"GET", b"SOURCE", b"PUT", b" ", b"  ", b" HTTP/1.0", b" ICE/1.0", b"http://h", b"*"]
_PATH_PARTS = [b"/", b"/x", b"..", b"//", b"\\", b"%", b"%00", b"%41", b"?a=b&c", b"#", b"\xc3\xa9", b"\0"]
_LINE_ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\r\n\r\n"]
_FIELDS = [b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Connection: upgrade", b"Upgrade: x", b"A: \xff", b":"]
_TOKENS = st.sampled_from([*_REQUEST_PARTS, *_PATH_PARTS, *_LINE_ENDS, *_FIELDS])
_JUNK = st.one_of(
    st.binary(max_size=200),
    st.lists(_TOKENS, max_size=30).map(b"".join),
    st.lists(_TOKENS, max_size=20).map(lambda tokens: b"GET /x HTTP/1.0\r\n" + b"".join(tokens) + b"\r\n\r\n"),
    st.lists(_TOKENS, max_size=8).map(lambda tokens: b"GET /" + b"".join(tokens) + b" HTTP/1.0\r\n\r\nrest"),
)


@QUICK
@given(_JUNK, PLACES)
def test_any_bytes_cut_anywhere_give_one_result(data: bytes, places: list[int]) -> None:
    whole = outcome([data], max_bytes=128, max_lines=6)
    assert outcome(byte_by_byte(data), max_bytes=128, max_lines=6) == whole
    assert outcome(cut(data, places), max_bytes=128, max_lines=6) == whole


@QUICK
@given(_JUNK)
def test_a_request_is_safe_to_use(data: bytes) -> None:
    request = outcome([data])[0]
    if not isinstance(request, Request):
        return
    assert request.path == "*" or request.path.startswith("/")
    assert not any(ord(char) < 32 for char in request.path)
    assert not {part for part in request.path.replace("\\", "/").split("/")[1:-1] if not part.strip(".")}
    for name, value in request.headers:
        assert name == name.lower() and value
        assert not set(value) & set("\r\n\0")
