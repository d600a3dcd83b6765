"""STATS: all statistics first, then what changes, in lines that readers of Icecast's have room for."""

from collections.abc import Iterator

import pytest

from pycast.errors import Refused
from pycast.http.response import Response, render
from pycast.web import stats_stream
from pycast.web.routes import check_port, is_open
from pycast.web.stats_stream import LONGEST_LINE, MOST_STREAMS, changes, flat
from tests.stats.snapshots import mount, node
from tests.web.sites import ADMIN, FakeControl, ask, make_request, make_site, refusal


def lines(response: Response) -> list[str]:
    """Returns the next lines of an answer."""
    assert isinstance(response.body, Iterator)
    return next(response.body).decode().splitlines()


def test_first_all_then_what_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_stream, "INTERVAL_S", 0.0)
    control = FakeControl(node(mount(), listeners=2))
    site = make_site(control)
    answer = ask(site, "/", method="STATS", authorization=ADMIN)
    first = lines(answer)
    assert first[0].startswith("EVENT global admin ")
    assert {"EVENT global listeners 2", "EVENT /live.mp3 title 1979"} <= set(first)
    control._snapshot = node(mount(title="1980", listeners=3), listeners=3)
    assert set(lines(answer)) == {
        "EVENT global listeners 3",
        "EVENT /live.mp3 listeners 3",
        "EVENT /live.mp3 title 1980",
    }
    answer.body.close()  # type: ignore[union-attr]
    assert (site.counters.stats_connections, site.counters.stats_disconnections) == (1, 1)


def test_what_is_gone_is_null() -> None:
    here, gone = flat(node(mount(), mount(name="/gone"))), flat(node(mount(artist="", title="")))
    assert sorted(changes(here, gone)) == [b"EVENT /gone null null\n", b"EVENT /live.mp3 title null\n"]


def test_head_is_the_status_line_alone() -> None:
    answer = ask(make_site(), "/", method="STATS", authorization=ADMIN)
    assert render(answer, server="x", now=0.0, extra_headers=[("A", "b")]) == b"HTTP/1.0 200 OK\r\n\r\n"


def test_a_path_is_the_mount_that_is_asked_for() -> None:
    site = make_site(FakeControl(node(mount(), mount(name="/other"))))
    found = lines(ask(site, "/other", method="STATS", authorization=ADMIN))
    assert found and all(line.startswith("EVENT /other ") for line in found)


def test_it_is_for_the_admin_where_that_may_come_in() -> None:
    site = make_site()
    assert refusal(site, "/", method="STATS") == (401, "You need to authenticate")
    request = make_request("/", method="STATS", authorization=ADMIN)
    check_port(request, frozenset({"admin"}))
    with pytest.raises(Refused):
        check_port(request, frozenset({"listeners", "metrics"}))
    assert not is_open(request)


def test_streams_are_limited() -> None:
    site = make_site()
    site.counters.stats_connections = MOST_STREAMS
    assert refusal(site, "/", method="STATS", authorization=ADMIN)[0] == 503


def test_lines_are_cut_after_a_whole_character_and_are_lines() -> None:
    snapshot = node(mount(title="ä" * 300, server_name="a\nEVENT global x y"))
    for line in changes({}, flat(snapshot)):
        assert len(line) <= LONGEST_LINE and line.count(b"\n") == 1
        line.decode()
