"""Icecast 2.5's feed of events: its frames, who may read them, and that nothing is told twice or not at all."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from pycast.http.response import Response
from pycast.stats.snapshot import FeedEvent, NodeEvents
from pycast.web import event_feed
from pycast.web.event_feed import read_marks, written
from pycast.web.stats_stream import MOST_STREAMS
from tests.stats.snapshots import mount, node
from tests.web.sites import ADMIN, SOURCE, FakeControl, ask, make_site, refusal

JOINED = FeedEvent(
    *(8, 1786368613.4, "source-listener-attach", "/live.mp3", "audio/mpeg", 1),
    ip="172.21.0.1",
    agent="curl/8.7.1",
    connection=21,
)
LEFT = FeedEvent(9, 1786368614.0, "source-listeners-changed", "/live.mp3", "audio/mpeg", 0, ip="172.21.0.1")
OTHER = FeedEvent(10, 1786368615.0, "source-connect", "/other", "audio/aac", 0, ip="10.0.0.1")


class Nodes(FakeControl):
    """Nodes that tell `news`, once for each time that they are asked, and note what was asked."""

    def __init__(self, *news: list[NodeEvents]) -> None:
        super().__init__(node(mount()))
        self.news = list(news)
        self.asked: list[dict[str, int]] = []

    def events(self, marks: Mapping[str, int]) -> list[NodeEvents]:
        self.asked.append(dict(marks))
        return self.news.pop(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "INTERVAL_S", 0.0)


def feed(control: FakeControl, query: str = "", more: str = "") -> Iterator[bytes]:
    answer: Response = ask(make_site(control), f"/admin/eventfeed{query}", authorization=ADMIN, more=more)
    assert answer.content_type == "text/event-stream" and isinstance(answer.body, Iterator)
    return answer.body


def told(piece: bytes) -> list[tuple[str, dict[str, object]]]:
    """The ids and the data of the frames in a piece, as a reader of Icecast takes them apart."""
    frames = []
    for frame in piece.decode().split("\r\n\r\n"):
        if frame.strip():
            id, data = frame.strip("\r\n").split("\r\n")
            assert id.startswith("id: ") and data.startswith("data: ")
            frames.append((id[4:], json.loads(data[6:])))
    return frames


def test_a_frame_is_icecasts() -> None:
    body = feed(Nodes([NodeEvents("b1", 8, 0, (JOINED,))]))
    assert next(body) == (
        b'id: b1-7\r\ndata: {"type":"event","crude":{"trigger":"source-listener-attach","uri":"/live.mp3",'
        b'"source-media-type":"audio/mpeg","source-listener-count":"1","connection-ip":"172.21.0.1",'
        b'"client-useragent":"curl/8.7.1","connection-id":21,"connection-time":1786368613},"mount":"/live.mp3"}'
        b"\r\n\r\n\r\n"
        b'id: b1-8\r\ndata: {"type":"event","crude":{"trigger":"source-listeners-changed","uri":"/live.mp3",'
        b'"source-media-type":"audio/mpeg","source-listener-count":"1"},"mount":"/live.mp3"}\r\n\r\n\r\n'
    )


def test_the_last_listener_leaves_none() -> None:
    (_, changed), (id, zero) = told(next(feed(Nodes([NodeEvents("b1", 9, 0, (LEFT,))]))))
    assert changed["crude"]["trigger"] == "source-listeners-changed"  # type: ignore[index]
    assert zero["crude"]["trigger"] == "source-listeners-is-zero" and id == "b1-9"  # type: ignore[index]


def test_one_mount_alone_may_be_asked_for() -> None:
    control = Nodes([NodeEvents("b1", 10, 0, (JOINED, LEFT, OTHER))], [])
    body = feed(control, "?mount=/other")
    (found,) = told(next(body))
    assert found[1]["mount"] == "/other" and found[0] == "b1-10"
    next(body)
    assert control.asked == [{}, {"b1": 10, "*": 0}]


def test_nodes_are_one_server_with_the_listeners_of_all() -> None:
    others = NodeEvents("b2", 3, 0, (FeedEvent(3, 1786368613.9, *LEFT_OF_ANOTHER),), {"/live.mp3": "4"})
    control = Nodes([NodeEvents("b1", 8, 0, (JOINED,), {"/live.mp3": "2"}), others])
    found = told(next(feed(control)))
    assert [id for id, _ in found] == ["b1-7,b2-2", "b1-8,b2-2", "b1-8,b2-3"]
    assert {data["crude"]["source-listener-count"] for _, data in found} == {"6"}  # type: ignore[index]


def test_listeners_of_a_node_that_is_late_for_once_are_counted() -> None:
    both = [NodeEvents("b1", 7, 0, (), {"/live.mp3": "1"}), NodeEvents("b2", 3, 0, (), {"/live.mp3": "4"})]
    control = Nodes(both, [NodeEvents("b1", 8, 0, (JOINED,), {"/live.mp3": "2"})])
    body = feed(control)
    next(body)
    assert {data["crude"]["source-listener-count"] for _, data in told(next(body))} == {"6"}  # type: ignore[index]


LEFT_OF_ANOTHER = ("source-listeners-changed", "/live.mp3", "audio/mpeg", 0)


def test_who_comes_back_goes_on_where_it_was() -> None:
    control = Nodes([NodeEvents("b1", 9, 0, (LEFT,))])
    next(feed(control, more="Last-Event-ID: b1-8,b2-3\r\n"))
    assert control.asked == [{"b1": 8, "b2": 3, "*": 0}]


def test_node_that_comes_later_is_heard_from_its_start_and_not_from_before_the_feed() -> None:
    old, new = (replace(OTHER, number=number, at=time.time() + later) for number, later in ((1, -60.0), (2, 60.0)))
    first, news, no_news = (
        NodeEvents("b1", 0, 0, ()),
        NodeEvents("b2", 3, 5, (old, new, old)),
        NodeEvents("b2", 3, 0, ()),
    )
    control = Nodes([first], [news], [no_news])
    body = feed(control)
    next(body)
    ((id, data),) = told(next(body))
    assert id == "b1-0,b2-2" and data["mount"] == "/other"
    next(body)
    assert control.asked[-1] == {"b1": 0, "b2": 3, "*": 0}


def test_marks_of_nodes_that_are_gone_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "MOST_MARKS", 1)
    monkeypatch.setattr(event_feed, "GONE_S", 0.0)
    control = Nodes([NodeEvents("b1", 0, 0, ())], [NodeEvents("b2", 0, 0, ())], [NodeEvents("b2", 0, 0, ())])
    body = feed(control)
    for _ in range(3):
        next(body)
    assert control.asked[-1] == {"b2": 0, "*": 0}


@pytest.mark.parametrize("text", ["", "x", "2b272bf4-0c1e-4a", "b1-x", "b1-1;", "b1-1" * 2000, "-1", "b1-²"])
def test_id_of_another_server_begins_with_what_is_new(text: str) -> None:
    assert read_marks(text) == {}


def test_marks_are_read_as_they_were_written() -> None:
    marks = {"b1": 8, "a": 10**14}
    assert read_marks(written(marks)) == marks and written(marks) == f"a-{10**14},b1-8"


def test_what_came_too_fast_is_said() -> None:
    assert next(feed(Nodes([NodeEvents("b1", 9, 100, (LEFT,))]))).startswith(b": 100 events came too fast")


def test_first_source_and_end_of_the_last_are_told_to_who_asks_for_it() -> None:
    nothing = [NodeEvents("b1", 1, 0, ())]
    control = Nodes(nothing, nothing, nothing)
    body = feed(control, "?request-global=true")
    for sources, trigger in ((1, None), (0, "icecast-idle"), (2, "icecast-active")):
        control._snapshot = node(mount(), sources=sources)
        piece = next(body)
        if trigger is not None:
            ((_, data),) = told(piece)
            assert data == {"type": "event", "crude": {"trigger": trigger}}


def test_silence_is_filled_and_the_end_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    control = Nodes(*([NodeEvents("b1", 1, 0, ())] for _ in range(5)))
    site = make_site(control)
    answer = ask(site, "/admin/eventfeed", authorization=ADMIN)
    assert isinstance(answer.body, Iterator)
    assert next(answer.body).startswith(b": ")  # the head goes out with it, and shows that the feed is on
    assert next(answer.body) == b""
    answer.body.close()  # type: ignore[attr-defined]
    assert (site.counters.stats_connections, site.counters.stats_disconnections) == (1, 1)


def test_it_is_for_the_admin_and_not_for_too_many() -> None:
    site = make_site()
    for authorization in ("", SOURCE):
        for query in ("", "?mount=/live.mp3"):
            assert refusal(site, f"/admin/eventfeed{query}", authorization=authorization)[0] == 401
    site.counters.stats_connections = MOST_STREAMS
    assert refusal(site, "/admin/eventfeed", authorization=ADMIN)[0] == 503
