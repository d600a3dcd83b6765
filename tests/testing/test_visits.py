"""Visits tell what happened, and waits for them end as soon as the answer is known."""

import threading

import pytest

from pycast.testing import ServerRefused, ServerTimeout, StreamOver
from pycast.testing import visits as kit
from pycast.testing.visits import KeptAudio, ListenerVisit, SourceVisit, TitleRequest, Visitors, mount_of, title_request
from pycast.testing.wire_heads import WireHead, WireHeaders, split_head


def head(text: str) -> WireHead:
    found = split_head(f"{text}\r\n\r\n".encode())
    assert found is not None
    return found[0]


@pytest.fixture
def visitors() -> "Visitors[SourceVisit]":
    return Visitors(threading.Condition(), lambda mount: [])


def come(
    visitors: "Visitors[SourceVisit]", status: int, headers: str = "Authorization: x", kept: KeptAudio | None = None
) -> SourceVisit:
    visit = SourceVisit(visitors.changed, kept or KeptAudio(), head(f"PUT /a HTTP/1.1\r\n{headers}"), "/a")
    visitors.add(visit)
    visit.answered(head(f"HTTP/1.0 {status} X"), status)
    return visit


def test_those_that_were_let_in_are_apart_from_those_that_were_not(visitors: "Visitors[SourceVisit]") -> None:
    first, refused, second = (come(visitors, status) for status in (200, 403, 200))
    visits = visitors["/a"]
    assert list(visits) == [first, second] and visits[0] is first and visits.last is second and visits[1:] == [second]
    assert visits.refused == [refused] and len(visitors["/b"]) == 0 and visitors.mounts == ["/a"]
    assert "403" in repr(visits)
    with pytest.raises(LookupError, match="nobody has come to /b"):
        _ = visitors["/b"].last


def test_a_wait_ends_at_once_when_the_last_was_refused(visitors: "Visitors[SourceVisit]") -> None:
    come(visitors, 401)
    with pytest.raises(ServerRefused, match="401"):
        visitors["/a"].wait(timeout=60)
    assert visitors["/a"].wait_for_refusal().status == 401
    come(visitors, 200)
    assert visitors["/a"].wait().status == 200
    with pytest.raises(ServerTimeout):
        visitors["/a"].wait(2, timeout=0.02)
    with pytest.raises(ServerTimeout):
        visitors["/a"].wait_for_refusal(2, timeout=0.02)


def test_who_asks_without_a_password_first_is_not_refused_for_good(visitors: "Visitors[SourceVisit]") -> None:
    come(visitors, 401, "X: y")
    with pytest.raises(ServerTimeout):
        visitors["/a"].wait(timeout=0.02)


def test_a_visit_ends_waits_for_bytes_that_will_not_come(visitors: "Visitors[SourceVisit]") -> None:
    visit = come(visitors, 200)
    visit.took(b"abc")
    visit.wait_for_bytes(3)
    with pytest.raises(ServerTimeout):
        visit.wait_for_bytes(4, timeout=0.02)
    with pytest.raises(ServerTimeout):
        visit.wait_for_end(timeout=0.02)
    assert visit.duration_s >= 0 and visit.user_agent == visit.content_type == ""
    visit.ended("first")
    visit.ended("second")
    assert visit.wait_for_end() == "first" and not visit.is_connected and "first" in repr(visit)
    with pytest.raises(StreamOver, match="4 bytes"):
        visit.wait_for_bytes(4, timeout=60)
    assert visit.audio == b"abc" and visit.size == 3


def test_of_all_sources_so_much_is_kept_and_those_that_ended_first_lose_theirs(
    visitors: "Visitors[SourceVisit]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "MOST_KEPT", 4)
    monkeypatch.setattr(kit, "MOST_KEPT_OF_ALL", 10)
    kept = KeptAudio()
    first, second, silent, third, fourth = (come(visitors, 200, kept=kept) for _ in range(5))
    for visit in (first, second):
        visit.took(b"abcdef")
    silent.ended_at, second.ended_at, first.ended_at = 1.0, 2.0, 3.0
    assert (first.audio, first.size, second.audio) == (b"abcd", 6, b"abcd")
    third.took(b"abcdef")
    with pytest.raises(LookupError, match="not kept any more"):
        _ = second.audio
    fourth.took(b"ab")
    assert (first.audio, silent.audio, third.audio, fourth.audio) == (b"abcd", b"", b"abcd", b"ab")
    for visit in (second, third):
        visit.took(b"z")
        assert visit.size == 7
    assert (first.audio, third.audio) == (b"abcd", b"abcd")


def test_of_sources_that_are_all_connected_the_first_loses_its_audio(
    visitors: "Visitors[SourceVisit]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "MOST_KEPT_OF_ALL", 5)
    kept = KeptAudio()
    first, second = (come(visitors, 200, kept=kept) for _ in range(2))
    first.took(b"abc")
    second.took(b"def")
    assert second.audio == b"def" and first.size == 3
    with pytest.raises(LookupError):
        _ = first.audio


def test_what_a_player_asked_for() -> None:
    visit = ListenerVisit(threading.Condition(), head("GET /a HTTP/1.0\r\nIcy-MetaData: 1"), "/a")
    assert visit.wants_titles and visit.range == "" and visit.content_type == ""


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/admin/metadata?mode=updinfo&mount=/a&song=A+%C3%A9", TitleRequest("/a", "A é")),
        ("/admin/metadata?mode=updinfo&mount=/a&artist=A&title=B", TitleRequest("/a", "A - B")),
        ("/admin/metadata?mode=updinfo&mount=/a&title=B", TitleRequest("/a", "B")),
        ("/admin.cgi?pass=x&mode=updinfo&song=", TitleRequest("/default", "")),
        ("/admin/metadata?mount=/a&song=A", None),
        ("/admin/stats?mode=updinfo", None),
    ],
)
def test_requests_for_titles(target: str, wanted: TitleRequest | None) -> None:
    assert title_request(head(f"GET {target} HTTP/1.0"), "/default") == wanted


def test_a_mount_is_the_path_without_the_query() -> None:
    assert mount_of(head("GET /a%20b.mp3?x=y HTTP/1.0")) == "/a b.mp3"
    assert mount_of(WireHead(b"", "", WireHeaders())) == ""
