"""The head of another server's answer is understood whole and in pieces, in all dialects of streaming servers."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.errors import BodyError
from pycast.http.answer import Answer, AnswerReader
from pycast.http.body import ChunkedBody, RawBody

ICY = b"ICY 200 OK\r\nicy-name:Radio \xe9t\xe9\r\nicy-metaint:8192\r\nno header\r\ncontent-type: audio/mpeg\r\n\r\n"


def read(data: bytes, size: int) -> tuple[Answer, bytes]:
    reader = AnswerReader()
    for start in range(0, len(data), size):
        answer = reader.feed(data[start : start + size])
        if answer is not None:
            return answer, reader.rest + data[start + size :]
    raise AssertionError("no answer")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_icy_answer_is_one_like_http(size: int) -> None:
    answer, rest = read(ICY + b"audio", size)
    assert (answer.status, answer.reason, rest) == (200, "OK", b"audio")
    headers = answer.headers
    assert [headers.get(name) for name in ("icy-name", "icy-metaint", "content-type")] == [
        "Radio été",
        "8192",
        "audio/mpeg",
    ]
    assert len(headers) == 3


def test_line_ends_and_reasons_may_be_missing() -> None:
    assert read(b"HTTP/1.0 404\nServer: x\n\n", 4)[0].status == 404
    assert read(b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", 9)[0].headers.get("location") == "http://x/"


def test_only_chunks_are_framing_of_a_stream() -> None:
    chunked = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", 99)[0]
    assert isinstance(chunked.new_body(), ChunkedBody)
    assert isinstance(read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 99)[0].new_body(), RawBody)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_comes_before_the_answer_is_skipped(size: int) -> None:
    before = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\nLink: </a.css>; rel=preload\n\n"
    answer, rest = read(before + ICY + b"audio", size)
    assert (answer.status, rest) == (200, b"audio")
    assert [answer.headers.get(name) for name in ("link", "icy-metaint")] == ["", "8192"]
    assert read(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", size)[0].status == 101


def test_server_that_never_comes_to_its_answer_is_an_error() -> None:
    with pytest.raises(BodyError, match="a head of over"):
        read(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 5000)


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.0 20 OK\r\n\r\n", b"\r\n\r\n", b"x" * 17_000])
def test_what_is_no_answer_is_an_error(data: bytes) -> None:
    with pytest.raises(BodyError):
        read(data, 5000)


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 %b\rX\n\n", b"HTTP/1.0 200 OK\nA:%b\0\n\n", b"ICY 200 OK\nA:b%bc\n\n"])
def test_no_answer_takes_long_to_read(head: bytes) -> None:
    head, before = head % (b" " * 16_000), time.thread_time()
    with suppress(BodyError):
        AnswerReader().feed(head)
    assert time.thread_time() - before < 0.1  # a repeat that goes back into another one took seconds, or an hour


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_are_an_answer_an_error_or_not_enough(data: bytes, size: int) -> None:
    reader = AnswerReader(max_bytes=200)
    try:
        for start in range(0, len(data), size):
            if reader.feed(data[start : start + size]) is not None:
                break
    except BodyError:
        pass
