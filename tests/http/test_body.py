"""Bodies in their three framings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.errors import BodyError
from pycast.http.body import (
    MAX_SIZE_LINE,
    MAX_TRAILERS,
    Body,
    ChunkedBody,
    LengthBody,
    RawBody,
    check_framing,
    expects_continue,
    new_body,
)
from pycast.http.headers import Headers
from pycast.http.request import NO_PAIRS, Request
from tests.http.cuts import PLACES, QUICK, byte_by_byte, cut


def request(method: str, *fields: tuple[str, str]) -> Request:
    return Request(method, "/x", "/x", NO_PAIRS, "HTTP", "1.1", Headers(fields))


def outcome(body: Body, pieces: list[bytes]) -> tuple[bytes, bool, str]:
    """Returns all that came out, whether the body ended, and the error."""
    out = b""
    try:
        for piece in [*pieces, b"", b""]:
            out += body.feed(piece)
    except BodyError as error:
        return out, body.done, error.public
    return out, body.done, ""


@pytest.mark.parametrize(
    ("method", "fields", "shape"),
    [
        ("SOURCE", [], RawBody),
        ("PUT", [], RawBody),
        ("SOURCE", [("Content-Length", "0")], RawBody),  # libshout
        ("SOURCE", [("Content-Length", "9")], LengthBody),
        ("PUT", [("Content-Length", "0")], RawBody),
        ("SOURCE", [("Content-Length", "-1")], RawBody),
        ("PUT", [("Content-Length", str(2**63))], RawBody),
        ("PUT", [("Content-Length", "lots")], RawBody),
        ("PUT", [("Content-Length", "9"), ("Content-Length", "9")], LengthBody),
        ("PUT", [("Content-Length", "9, 9")], LengthBody),
        ("PUT", [("Content-Length", "9"), ("Content-Length", "8")], RawBody),
        ("PUT", [("Transfer-Encoding", "chunked"), ("Content-Length", "9")], ChunkedBody),
        ("PUT", [("Content-Length", "0"), ("Transfer-Encoding", "chunked")], ChunkedBody),
        ("PUT", [("Transfer-Encoding", "gzip, chunked")], ChunkedBody),
        ("PUT", [("Transfer-Encoding", "chunked, chunked")], ChunkedBody),
        ("PUT", [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "Chunked")], ChunkedBody),
        ("PUT", [("Transfer-Encoding", "identity"), ("Content-Length", "9")], LengthBody),
        ("PUT", [("Transfer-Encoding", "Chunked")], ChunkedBody),
        ("SOURCE", [("Transfer-Encoding", "chunked")], ChunkedBody),
        ("PUT", [("Transfer-Encoding", "identity")], RawBody),
        ("POST", [("Content-Length", "9")], LengthBody),
        ("POST", [], LengthBody),
        ("GET", [], LengthBody),
    ],
)
def test_head_decides_the_framing(method: str, fields: list[tuple[str, str]], shape: type) -> None:
    assert type(new_body(request(method, *fields))) is shape


@pytest.mark.parametrize(
    ("method", "encoding"),
    [
        *(("PUT", coding) for coding in ("gzip", "chunked, gzip", "x")),
        *(("POST", coding) for coding in ("gzip", "gzip, chunked", "chunked, chunked", "identity", "x")),
    ],
)
def test_unknown_transfer_encoding_is_501(method: str, encoding: str) -> None:
    with pytest.raises(BodyError) as caught:
        new_body(request(method, ("Transfer-Encoding", encoding)))
    assert (caught.value.status, caught.value.public) == (501, "Unimplemented")


NONSENSE = {
    **{length: [("Content-Length", length)] for length in ("-1", "+1", "1e3", "0x10", "٣", "9" * 30, "1, 1", "1 1")},
    "2^63": [("Content-Length", str(2**63))],
    "twice": [("Content-Length", "9"), ("Content-Length", "9")],
    "two lengths": [("Content-Length", "9"), ("Content-Length", "8")],
    "both": [("Content-Length", "9"), ("Transfer-Encoding", "chunked")],
    "both, no length": [("Transfer-Encoding", "chunked"), ("Content-Length", "0")],
    "identity": [("Transfer-Encoding", "identity"), ("Content-Length", "9")],
}


@pytest.mark.parametrize("fields", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE"])
def test_whoever_is_no_source_gets_400_for_framing_that_can_be_read_in_two_ways(
    method: str, fields: list[tuple[str, str]]
) -> None:
    for check in (check_framing, new_body):
        with pytest.raises(BodyError) as caught:
            check(request(method, *fields))
        assert caught.value.status == 400


@pytest.mark.parametrize("fields", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("method", ["SOURCE", "PUT"])
def test_no_source_is_refused_for_its_length(method: str, fields: list[tuple[str, str]]) -> None:
    check_framing(request(method, *fields))
    assert not new_body(request(method, *fields)).done


def test_request_without_a_body_is_done_at_once() -> None:
    body = new_body(request("GET"))
    assert body.done and body.feed(b"more") == b""


def test_raw_body_never_ends() -> None:
    assert outcome(RawBody(), [b"a", b"b"]) == (b"ab", False, "")


def test_length_body_ends_at_its_length() -> None:
    assert outcome(LengthBody(3), [b"a", b"bcd", b"e"]) == (b"abc", True, "")


@pytest.mark.parametrize(
    ("data", "out"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"5;name=value;x\r\nhello\r\n0;y\r\n\r\n", b"hello"),
        (b"0a\r\n0123456789\r\n00\r\nTrailer: x\r\nOther: y\r\n\r\n", b"0123456789"),
        (b"1\r\na\r\n0\r\n\r\nPUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"a"),
        (b"1\r\na\r\n0\r\n\r\njunk", b"a"),
        (b"5  \r\nhello\r\n0 \r\n\r\n", b"hello"),
    ],
)
def test_chunks_are_undone(data: bytes, out: bytes) -> None:
    assert outcome(ChunkedBody(), [data]) == (out, True, "")
    assert outcome(ChunkedBody(), byte_by_byte(data)) == (out, True, "")


@pytest.mark.parametrize(
    ("data", "out"),
    [
        (b"x\r\n", b""),
        (b"-1\r\n", b""),
        (b"\r\n", b""),
        (b"fffffffffffffffff\r\n", b""),
        (b"1\r\nabc", b"a"),
        (b"2\r\nab\r\nzz\r\n", b"ab"),
    ],
)
def test_broken_chunks_are_refused_after_what_came_before_them(data: bytes, out: bytes) -> None:
    assert outcome(ChunkedBody(), [data]) == (out, False, "bad chunk")
    assert outcome(ChunkedBody(), byte_by_byte(data)) == (out, False, "bad chunk")


@pytest.mark.parametrize(
    ("begin", "limit"),
    [
        (b"1;", MAX_SIZE_LINE),
        (b"000", MAX_SIZE_LINE),
        (b"1\r\na\r\n1;", MAX_SIZE_LINE),
        (b"0\r\nTrailer: ", MAX_TRAILERS),
        (b"0;x\r\n" + b"A: b\r\n" * 100 + b"T: ", MAX_TRAILERS),
    ],
)
@pytest.mark.parametrize("size", [1, 100, 65_536])
def test_framing_without_an_end_is_refused_however_it_is_cut(begin: bytes, limit: int, size: int) -> None:
    body, fed = ChunkedBody(), 0
    out = body.feed(begin)
    with pytest.raises(BodyError, match="over") as caught:
        while fed <= 4 * MAX_TRAILERS:
            out += body.feed(b"0" * size)
            fed += size
    assert caught.value.public == "bad chunk"
    assert fed <= max(limit + MAX_SIZE_LINE, size)
    assert out == (b"a" if begin.startswith(b"1\r\na") else b"")


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_framing_up_to_its_limits_is_no_error(size: int) -> None:
    extension, trailers = b";" + b"x" * (MAX_SIZE_LINE - 10), b"T: x\r\n" * ((MAX_TRAILERS - 100) // 6)
    data = b"".join(b"3" + extension + b"\r\nabc\r\n" for _ in range(50)) + b"0\r\n" + trailers + b"\r\n"
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert outcome(ChunkedBody(), pieces) == (b"abc" * 50, True, "")


def test_body_that_stops_early_is_not_done() -> None:
    assert outcome(ChunkedBody(), [b"5\r\nhel"]) == (b"hel", False, "")
    assert outcome(LengthBody(5), [b"hel"]) == (b"hel", False, "")


_PIECES = st.sampled_from(
    [b"0", b"1", b"5", b"a", b"F", b"\r\n", b"\r", b"\n", b";", b"x=y", b"hello", b"0\r\n\r\n", b"Trailer: x\r\n"]
)


@QUICK
@given(st.one_of(st.binary(max_size=60), st.lists(_PIECES, max_size=20).map(b"".join)), PLACES)
def test_any_bytes_cut_anywhere_give_one_result(data: bytes, places: list[int]) -> None:
    whole = outcome(ChunkedBody(), [data])
    assert outcome(ChunkedBody(), byte_by_byte(data)) == whole
    assert outcome(ChunkedBody(), cut(data, places)) == whole
    assert len(whole[0]) <= len(data)


@QUICK
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), PLACES)
def test_chunked_body_gives_back_what_was_chunked(chunks: list[bytes], places: list[int]) -> None:
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert outcome(ChunkedBody(), cut(data, places)) == (b"".join(chunks), True, "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("100-continue", True), ("100-Continue", True), ("x, 100-continue", True), ("", False), ("x", False)],
)
def test_expectation_is_read_in_any_case(value: str, expected: bool) -> None:
    assert expects_continue(Headers([("Expect", value)])) is expected


def test_a_length_over_the_limit_is_refused_at_once() -> None:
    with pytest.raises(BodyError) as caught:
        new_body(request("POST", ("Content-Length", "4097")), 4096)
    assert caught.value.status == 413
    assert not new_body(request("POST", ("Content-Length", "4096")), 4096).done
