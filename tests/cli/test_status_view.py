"""What a server says becomes a table that fits the terminal, and nothing else gets through."""

import json

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.cli.status_view import (
    amount,
    cut,
    cut_middle,
    number,
    printable,
    read_json,
    read_xml,
    render,
    span,
    spark,
    table,
)
from pycast.errors import ExternalError

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


def test_at_eighty_columns_the_title_gets_what_room_is_left() -> None:
    long = LIVE | {"title": "x" * 100}
    *_, row = render(read_json(status(long)), 80, NOW)
    assert len(row) == 80
    assert row.endswith("x…")


def test_traffic_takes_its_columns_from_the_title() -> None:
    head, row = (line for line in render(read_xml(ADMIN), 80, NOW)[3:])
    assert "SENT  SLOW  PLAYING" in head
    assert len(row) <= 80


NAMES = ("/live.mp3", "/stations/east-coast/morning-show.mp3", "/a-very-long-name-of-a-mount-that-goes-on-320k.mp3")


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (120, "MOUNT LISTENERS PEAK KBIT/S ON AIR PLAYING"),
        (80, "MOUNT LISTENERS KBIT/S ON AIR PLAYING"),
        (60, "MOUNT LISTENERS PLAYING"),
    ],
)
def test_narrow_terminal_gets_fewer_columns_and_none_that_is_cut(width: int, shown: str) -> None:
    mounts = [LIVE | {"listenurl": f"http://h{name}", "artist": "", "title": "Artist B - Song C"} for name in NAMES]
    head, *rows = render(read_json(status(*mounts)), width, NOW)[3:]
    assert click.unstyle(head).split() == shown.split()
    assert all(row.rstrip().endswith("Artist B - Song C") for row in rows)
    long = next(row.split()[0] for row in rows if row.startswith("  /a-very"))
    assert long.endswith("320k.mp3")
    assert len(long) <= max(16, width * 3 // 8)


def test_admins_see_what_is_played_at_eighty_columns() -> None:
    head, row = render(read_xml(ADMIN.replace(b'"/a"', b'"/stations/east-coast/morning-show.mp3"')), 80, NOW)[3:]
    assert click.unstyle(head).split()[-1] == "PLAYING"
    assert "…" not in row[32:]


def test_history_takes_no_more_than_the_room_that_is_left() -> None:
    facts = render(read_json(status(LIVE)), 60, NOW, list(range(40)))[1]
    assert len(facts) <= 60
    assert facts.endswith("█")


@pytest.mark.parametrize("width", [2, 5, 16])
def test_name_is_cut_in_its_middle(width: int) -> None:
    assert cut_middle("/live.mp3", 9) == "/live.mp3"
    assert len(cut_middle(NAMES[2], width)) == width
    assert cut_middle(NAMES[2], 16) == "/a-very…320k.mp3"
    assert len(cut_middle("東京タワー" * 5, width)) <= width


def test_without_a_mount_it_says_what_to_do() -> None:
    assert render(read_json(status()), 80, NOW)[-2:] == ["  No mount is on the air.", "  Connect an encoder to h."]


def test_numbers_stand_on_the_right_and_texts_on_the_left() -> None:
    assert table([["NAME", "N", ""], ["a", "5", "x"], ["long", "100", "y"]], 40, numbers=["N"])[1:] == [
        "  a       5  x",
        "  long  100  y",
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [("12", 12), (12, 12), ("-1", 0), ("1e3", 0), (None, 0), ("9" * 19, 0), ("x", 0)]
)
def test_a_number_from_outside_is_one_or_0(value: object, shown: int) -> None:
    assert number(value) == shown


def test_a_text_from_outside_has_an_end() -> None:
    assert printable("x" * 10_000) == "x" * 500
    assert printable(None) == ""


def test_mount_is_shown_by_its_name_also_if_its_address_is_percent_encoded() -> None:
    view = read_json(status({"listenurl": "http://h:8000/a%20b.mp3"}))
    assert [row.name for row in view.mounts] == ["/a b.mp3"]
