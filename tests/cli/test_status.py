"""Tests of pycast.cli.status and status_view: what a server says becomes a table, and nothing else gets through."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.cli.main import main
from pycast.cli.status_view import amount, cut, read_json, read_xml, render, span, spark
from pycast.errors import ExternalError
from tests.cli.test_nodes_view import NODES

LIVE = {"listenurl": "http://h:8000/live.mp3", "listeners": 12, "listener_peak": 20, "bitrate": 128}
LIVE |= {"stream_start_iso8601": "2025-11-22T07:00:00+0000", "title": "Song", "artist": "Artist"}
NIGHT = {
    "listenurl": "http://h:8000/night.ogg",
    "listeners": 30,
    "listener_peak": 30,
    "title": None,
    "server_name": "N",
}
HEAD = {"server_id": "Icecast 2.4.4", "host": "h", "server_start_iso8601": "2025-11-22T06:00:00+0000"}
NOW = 1763798400.0  # 2025-11-22T08:00:00Z
ADMIN = b"""<?xml version="1.0"?><icestats><clients>50</clients><host>h</host><server_id>Icecast 2.4.4</server_id>
<source mount="/a"><listeners>1</listeners><slow_listeners>2</slow_listeners><server_type>audio/mpeg</server_type>
<total_bytes_sent>12345678</total_bytes_sent><title>T</title></source>
<source mount="/fallback-only"><listeners>0</listeners></source></icestats>"""


def status(*sources: dict[str, object]) -> bytes:
    source: object = list(sources) if len(sources) != 1 else sources[0]
    return json.dumps({"icestats": HEAD | ({"source": source} if sources else {})}).encode()


def test_mounts_are_listed_with_the_most_listened_first() -> None:
    assert render(read_json(status(LIVE, NIGHT)), 80, NOW) == [
        "\x1b[1mIcecast 2.4.4  h\x1b[0m",
        "2 mounts  ·  42 listeners  ·  up 2h 00m",
        "",
        "\x1b[2m  MOUNT       LISTENERS  PEAK  KBIT/S  ON AIR  PLAYING\x1b[0m",
        "  /night.ogg         30    30                  N",
        "  /live.mp3          12    20     128  1h 00m  Artist - Song",
    ]


@pytest.mark.parametrize("sources", [(), (LIVE,), (LIVE, NIGHT)])
def test_one_mount_is_an_object_several_are_a_list_and_none_is_missing(sources: tuple[dict[str, object], ...]) -> None:
    assert len(read_json(status(*sources)).mounts) == len(sources)


def test_admin_statistics_show_traffic_and_leave_out_mounts_without_a_source() -> None:
    view = read_xml(ADMIN)
    assert view.clients == 50
    assert render(view, 80, NOW)[-1] == "  /a             1     0                  12 MB     2  T"
    assert len(view.mounts) == 1


def test_control_characters_never_reach_the_terminal() -> None:
    evil = LIVE | {"title": "a\x1b]0;owned\x07b\r\n\u202ec"}
    [*_, row] = render(read_json(status(evil)), 100, NOW)
    assert row.endswith("Artist - a]0;ownedbc")


def test_table_is_never_wider_than_the_terminal() -> None:
    wide = LIVE | {"title": "東京" * 50}
    for width in (20, 40, 80):
        for line in render(read_json(status(wide, NIGHT)), width, NOW)[4:]:
            assert cut(line, width) == line


def test_wide_characters_count_as_two_columns() -> None:
    assert cut("東京タワー", 10) == "東京タワー"
    assert cut("東京タワー", 9) == "東京タワ…"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "0s"), (59, "59s"), (725, "12m 05s"), (11220, "3h 07m"), (439200, "5d 02h")]
)
def test_times_have_two_units(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


@pytest.mark.parametrize(("size", "shown"), [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (34 * 10**6, "34 MB")])
def test_amounts_are_short(size: int, shown: str) -> None:
    assert amount(size) == shown


def test_history_is_a_line_of_bars() -> None:
    assert spark([0, 5, 10]) == "▁▄█"
    assert spark([3]) == ""
    assert spark([0, 0]) == "▁▁"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["icestats", "source", "listeners", "title", "listenurl"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(body=st.binary() | JSON.map(lambda value: json.dumps({"icestats": value}).encode()))
def test_any_answer_gives_a_table_or_outside_error(body: bytes) -> None:
    for read in (read_json, read_xml):
        try:
            lines = render(read(body), 80, NOW)
        except ExternalError:
            continue
        assert lines


class Answers(BaseHTTPRequestHandler):
    """Answers as a server would: the status, and the statistics for who has the password."""

    nodes: ClassVar[bytes] = b""

    def do_GET(self) -> None:  # the library's name
        allowed = self.headers.get("Authorization") == "Basic YWRtaW46cHc="  # admin:pw
        if self.path == "/admin/stats" and not allowed:
            self.send_response(401)
            self.end_headers()
            return
        answers = {"/status-json.xsl": status(LIVE), "/admin/stats": ADMIN, "/admin/cluster": self.nodes}
        body = answers.get(self.path, b"")
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["status", *arguments], env={"PYCAST_AUTHENTICATION__ADMIN_PASSWORD": None})
    return result.exit_code, result.stdout, result.stderr


def test_table_is_printed_once_when_stdout_is_no_terminal(address: str) -> None:
    code, said, _ = run(address)
    assert code == 0
    assert said.splitlines()[-1].endswith("Artist - Song")


def test_password_shows_the_nodes_of_a_cluster_above_its_mounts(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answers, "nodes", NODES)
    said = run(address, "--password", "pw")[1].splitlines()
    assert [line.split()[:1] for line in said[2:]] == [[], ["NODE"], ["a"], ["b"], [], ["MOUNT"], ["/a"]]
    assert "NODE" not in run(address)[1]


def test_password_shows_traffic(address: str) -> None:
    assert "12 MB" in run(f"http://{address}/", "--password", "pw")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--password", "wrong"], "does not know that user and password"),
        (["http://127.0.0.1:1"], "Connection refused"),
        (["ftp://x"], "an address begins with http:// or https://"),
    ],
)
def test_trouble_is_told_with_what_to_do(address: str, arguments: list[str], said: str) -> None:
    arguments = arguments if "://" in arguments[0] else [address, *arguments]
    code, _, error = run(*arguments)
    assert code
    assert said in error
