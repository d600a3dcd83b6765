"""Tests of pycast.http.multipart_form: forms as curl, PHP and browsers send them."""

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.multipart_form import parse_multipart
from tests.e2e.programs import require
from tests.http.cuts import QUICK

KIND, END = "multipart/form-data; boundary=xyz", b"--xyz--\r\n"


def part(head: str, value: bytes) -> bytes:
    return b"--xyz\r\n" + head.encode() + b"\r\n\r\n" + value + b"\r\n"


@pytest.mark.parametrize(
    ("parts", "pairs"),
    [
        ([part('Content-Disposition: form-data; name="song"', b"A - B")], {"song": b"A - B"}),
        ([part("content-disposition:form-data;name=song", b"")], {"song": b""}),
        ([part('Content-Disposition: form-data; filename="name=x"; name="f"', b"\r\n\0")], {"f": b"\r\n\0"}),
        (
            [part('Content-Type: text/plain; charset=UTF-8\r\nContent-Disposition: form-data; name="a"', b"\xc3\xa4")],
            {"a": b"\xc3\xa4"},
        ),
        ([part('Content-Disposition: form-data; name="a"', value) for value in (b"1", b"2")], {"a": b"2"}),
        ([part('Content-Disposition: form-data; name="a%22\u00e4"', b"1")], {'a"\u00e4': b"1"}),
        ([part("X: y", b"1"), part('Content-Disposition: form-data; name=""', b"2")], {}),
        ([part('Content-Disposition: form-data; name="a"', b"a --xyz--")], {"a": b"a --xyz--"}),
        ([b"preamble\r\n", part('Content-Disposition: form-data; name="a"', b"1")], {"a": b"1"}),
    ],
)
def test_parts_are_parameters(parts: list[bytes], pairs: dict[str, bytes]) -> None:
    end = END + part('Content-Disposition: form-data; name="behind"', b"the end")
    assert dict(parse_multipart(KIND, b"".join(parts) + end)) == pairs


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=other"]
)
def test_without_the_boundary_nothing_is_found(kind: str) -> None:
    assert not parse_multipart(kind, part('Content-Disposition: form-data; name="a"', b"1") + END)


@pytest.mark.parametrize("kind", ['Multipart/Form-Data; Boundary="xyz"', "multipart/form-data;charset=x;boundary=xyz"])
def test_boundary_is_found_in_each_form(kind: str) -> None:
    assert dict(parse_multipart(kind, part('Content-Disposition: form-data; name="a"', b"1") + END)) == {"a": b"1"}


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_are_parameters(body: bytes) -> None:
    assert "" not in parse_multipart(KIND, b"--xyz\r\n" + body)


def test_what_curl_sends_is_read(tmp_path: Path) -> None:
    got: list[tuple[str, bytes]] = []

    class Keeps(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    (tmp_path / "title.txt").write_bytes(b"from a file")
    with HTTPServer(("127.0.0.1", 0), Keeps) as server:
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        fields = ["-F", "mode=updinfo", "-F", f"file=@{tmp_path}/title.txt"]
        fields += ["--form-string", "song=Caf\u00e9 & 100%; a=b"]
        url = f"http://127.0.0.1:{server.server_port}/"
        subprocess.run([require("curl"), "-s", "--max-time", "20", *fields, url], check=True)
        serving.join()
    wanted = {"mode": b"updinfo", "song": "Caf\u00e9 & 100%; a=b".encode(), "file": b"from a file"}
    assert dict(parse_multipart(*got[0])) == wanted
