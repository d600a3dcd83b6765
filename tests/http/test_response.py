"""Response heads and error pages: the bytes of Icecast 2.4.4."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.response import (
    HTML,
    PLAIN,
    FileRange,
    Response,
    body_length,
    error_response,
    header_lines,
    http_date,
    options_response,
    render,
    render_head,
)
from tests.http.cuts import QUICK

NOW = 1763794805.9  # Sat, 22 Nov 2025 07:00:05 GMT
OPEN = (("Access-Control-Allow-Origin", "*"),)


def test_stream_head_is_icecasts() -> None:
    head = render_head(
        200,
        server="Icecast 2.4.4",
        now=NOW,
        content_type="audio/mpeg",
        headers=OPEN,
        lines=b"icy-name:x\r\nicy-metaint:16000\r\n",
    )
    assert head == (
        b"HTTP/1.0 200 OK\r\n"
        b"Server: Icecast 2.4.4\r\n"
        b"Connection: Close\r\n"
        b"Date: Sat, 22 Nov 2025 07:00:05 GMT\r\n"
        b"Content-Type: audio/mpeg\r\n"
        b"Cache-Control: no-cache, no-store\r\n"
        b"Expires: Mon, 26 Jul 1997 05:00:00 GMT\r\n"
        b"Pragma: no-cache\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Access-Control-Allow-Origin: *\r\n"
        b"icy-name:x\r\n"
        b"icy-metaint:16000\r\n"
        b"\r\n"
    )


def test_challenge_is_icecasts_with_a_length() -> None:
    answer = render(error_response(401), server="Icecast 2.4.4", now=NOW, extra_headers=OPEN)
    assert answer == (
        b"HTTP/1.0 401 Authentication Required\r\n"
        b"Server: Icecast 2.4.4\r\n"
        b"Connection: Close\r\n"
        b"Date: Sat, 22 Nov 2025 07:00:05 GMT\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b'WWW-Authenticate: Basic realm="Icecast2 Server"\r\n'
        b"Cache-Control: no-cache, no-store\r\n"
        b"Expires: Mon, 26 Jul 1997 05:00:00 GMT\r\n"
        b"Pragma: no-cache\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Access-Control-Allow-Origin: *\r\n"
        b"Content-Length: 26\r\n"
        b"\r\n"
        b"You need to authenticate\r\n"
    )


@pytest.mark.parametrize(
    ("status", "message", "content_type", "body"),
    [
        (400, "unknown request", HTML, b"<b>400 - unknown request</b></body></html>\r\n"),
        (404, "Mount unavailable", HTML, b"<b>404 - Mount unavailable</b></body></html>\r\n"),
        (503, "", HTML, b"<b>503 - Service Unavailable</b></body></html>\r\n"),
        (599, "", HTML, b"<b>599 - Error</b></body></html>\r\n"),
        (400, "<x> & y", HTML, b"<b>400 - &lt;x&gt; &amp; y</b></body></html>\r\n"),
        (403, "Mountpoint in use", PLAIN, b"Mountpoint in use"),
        (416, "", PLAIN, b"Request Range Not Satisfiable\r\n"),
        (500, "oops", PLAIN, b"500 - Internal Server Error\n---------------------------\noops"),
    ],
)
def test_error_bodies_are_icecasts(status: int, message: str, content_type: str, body: bytes) -> None:
    response = error_response(status, message)
    assert (response.status, response.content_type) == (status, content_type)
    if content_type == HTML:
        body = f"<html><head><title>Error {status}</title></head><body>".encode() + body
    assert response.body == body


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"HTTP/1.0 200 OK"),
        (204, b"HTTP/1.0 204 No Content"),
        (206, b"HTTP/1.1 206 Partial Content"),
        (403, b"HTTP/1.0 403 Forbidden"),
        (404, b"HTTP/1.0 404 File Not Found"),
        (416, b"HTTP/1.0 416 Request Range Not Satisfiable"),
        (431, b"HTTP/1.0 431 Request Header Fields Too Large"),
        (501, b"HTTP/1.0 501 Unimplemented"),
        (599, b"HTTP/1.0 599 Unknown"),
    ],
)
def test_status_lines_are_icecasts(status: int, line: bytes) -> None:
    assert render_head(status, server="s", now=NOW).split(b"\r\n")[0] == line


def test_own_headers_come_after_the_configured_ones_and_length_last() -> None:
    response = Response(200, b"body", "text/css", (("Accept-Ranges", "bytes"),))
    head = render(response, server="s", now=NOW, extra_headers=OPEN, head_only=True)
    assert head.endswith(
        b"nosniff\r\nAccess-Control-Allow-Origin: *\r\nAccept-Ranges: bytes\r\nContent-Length: 4\r\n\r\n"
    )
    assert render(response, server="s", now=NOW, extra_headers=OPEN) == head + b"body"


@pytest.mark.parametrize("status", [100, 101, 204, 304])
def test_answers_without_a_body_have_no_length(status: int) -> None:
    assert b"Content-Length" not in render(Response(status), server="s", now=NOW)


def test_options_names_a_length_of_zero_for_libshout() -> None:
    answer = render(options_response("GET, SOURCE", (("X-Y", "z"),)), server="s", now=NOW)
    assert answer.startswith(b"HTTP/1.0 204 No Content\r\n")
    assert answer.endswith(b"\r\nAllow: GET, SOURCE\r\nX-Y: z\r\nContent-Length: 0\r\n\r\n")


def test_retry_after_reaches_the_peer() -> None:
    assert b"\r\nRetry-After: 5\r\n" in render(
        error_response(503, "full", (("Retry-After", "5"),)), server="s", now=NOW
    )


@pytest.mark.parametrize(
    ("second", "date"),
    [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951827696, "Tue, 29 Feb 2000 12:34:56 GMT"),
        (1763794805, "Sat, 22 Nov 2025 07:00:05 GMT"),
        (4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"),
    ],
)
def test_date_is_the_standards(second: int, date: str) -> None:
    assert http_date(second) == date


def test_date_moves_on() -> None:
    first, second = (render_head(200, server="s", now=NOW + step) for step in (0, 1))
    assert first != second
    assert first == render_head(200, server="s", now=NOW + 0.05)


_TEXT = st.text(max_size=20)


@QUICK
@given(st.lists(st.tuples(_TEXT, _TEXT), max_size=5))
def test_no_header_can_end_its_line(headers: list[tuple[str, str]]) -> None:
    lines = header_lines(headers)
    assert lines.count(b"\r\n") == lines.count(b"\n") == lines.count(b"\r") == len(headers)
    assert b"\0" not in lines


@QUICK
@given(_TEXT, _TEXT, st.integers(min_value=100, max_value=599))
def test_no_content_type_or_server_id_can_break_a_head(server: str, content_type: str, status: int) -> None:
    head = render_head(status, server=server, now=NOW, content_type=content_type)
    assert head.count(b"\r\n") == 9 + bool(content_type) + (status == 401)
    assert head.endswith(b"\r\n\r\n") and head.count(b"\n") == head.count(b"\r")


def test_a_file_range_has_its_length_and_a_made_body_has_none() -> None:
    part = FileRange(BytesIO(b"0123456789"), 2, 5)
    assert (body_length(b"123"), body_length(part), body_length(iter([b"1"]))) == (3, 5, None)


def test_only_bytes_are_rendered_with_the_head() -> None:
    part = FileRange(BytesIO(b"0123456789"), 2, 5)
    for body in (part, iter([b"body"])):
        assert render(Response(200, body), server="s", now=0).endswith(b"\r\n\r\n")
    assert b"\r\nContent-Length: 5\r\n" in render(Response(206, part), server="s", now=0)
    assert b"Content-Length" not in render(Response(200, iter([b"body"])), server="s", now=0)
    assert b"Content-Length" not in render(Response(304, part), server="s", now=0)
