"""XML, JSON and page of a command say the same, whatever is in it."""

import json
import re
from html import unescape

import pytest
from hypothesis import given, settings

from pycast.http.response import Response
from pycast.stats import xml
from pycast.stats.snapshot import ListenerSnapshot, NodeSnapshot, PlayedTitle, RelayLine, UpstreamLine
from pycast.web.admin_looks import as_json, as_page
from tests.stats.snapshots import mount, node, nodes

LISTENER = ListenerSnapshot(id=7, ip="1.2.3.4", user_agent="<b>", connected_s=70, bytes_sent=9, lag=0)


def text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


def test_json_has_names_for_mounts_lists_for_listeners_and_numbers() -> None:
    found = json.loads(text(as_json(xml.listclients(mount(listeners=1), [LISTENER]))))
    source = found["icestats"]["source"]["/live.mp3"]
    assert source["listeners"] == 1
    assert source["listener"] == [{"IP": "1.2.3.4", "UserAgent": "<b>", "Connected": 70, "ID": 7, "lag": 0}]
    stats = json.loads(text(as_json(xml.stats_document(node(mount())))))["icestats"]
    assert stats["source"]["/live.mp3"]["title"] == "1979"
    assert stats["clients"] == 3


def test_an_order_says_whether_it_was_done() -> None:
    assert json.loads(text(as_json(xml.iceresponse("No", 0)))) == {"iceresponse": {"message": "No", "success": False}}


def test_without_a_mount_there_is_no_source() -> None:
    assert json.loads(text(as_json(xml.listmounts(node())))) == {"icestats": {}}


@given(nodes)
@settings(max_examples=25, deadline=None)
def test_whatever_a_source_says_is_shown_as_text(snapshot: NodeSnapshot) -> None:
    for command, document in (("stats", xml.stats_document(snapshot)), ("listmounts", xml.listmounts(snapshot))):
        json.loads(text(as_json(document)))
        page = text(as_page(document, command, ""))
        assert "<script" not in page
        assert page.rstrip().endswith("</html>")


RELAY = RelayLine("/here", True, (UpstreamLine("a.example", "/x", 8000, is_active=True),), "on_air", for_s=9.0)

PAGES = {
    "stats": xml.stats_document(node(mount()), None, ["a warning"]),
    "listmounts": xml.listmounts(node(mount(fallback="/fb"))),
    "streamlist": xml.listmounts(node(mount())),
    "listclients": xml.listclients(mount(listeners=1), [LISTENER]),
    "killclient": xml.iceresponse("Client 7 removed", 1),
    "moveclients": xml.listmounts(node(mount(), mount(name="/other")), "/live.mp3"),
    "updatemetadata": xml.one_source("/live.mp3"),
    "history": xml.history({"/live.mp3": (PlayedTitle(1e9, "A", "<T>"),), "/other": ()}),
    "version": xml.version(node(), "1"),
    "publicstats": xml.public_stats(node(mount())),
    "showlog": xml.log_document("error", ["one <b>"]),
    "logs": xml.log_document("error", []),
    "managerelays": xml.relays(
        [RelayLine("/here", True, (UpstreamLine("a.example", "/x", 8000, is_active=True),), "on_air", for_s=9.0)]
    ),
    "manageauth": xml.user_list("/live.mp3", ["<anna>"], "User added"),
}


@pytest.mark.parametrize("command", PAGES)
def test_a_page_needs_no_script_and_is_shown_in_no_frame_of_another_site(command: str) -> None:
    answer = as_page(PAGES[command], command, "/live.mp3")
    page, headers = unescape(text(answer)), dict(answer.headers)
    assert "<script" not in page and "onclick" not in page
    assert "script-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert "form-action 'self'" in page
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert not re.search(r'<form(?! method="post")', page), "what changes something is no link"


def test_what_a_listener_or_a_log_says_is_text() -> None:
    for command, said in (
        ("listclients", "<bdi>&lt;b&gt;</bdi>"),
        ("showlog", "one &lt;b&gt;"),
        ("history", "A – &lt;T&gt;"),
    ):
        assert said in text(as_page(PAGES[command], command, "/live.mp3"))


def test_the_menu_says_where_one_is_and_leads_to_the_nodes_of_a_cluster() -> None:
    alone, one_of_many = (text(as_page(PAGES["listmounts"], "listmounts", "", has_nodes=has)) for has in (False, True))
    assert '<a href="listmounts.xsl" aria-current="page">' in alone
    assert 'href="nodes"' not in alone
    assert '<a href="nodes">' in one_of_many
    assert ' aria-current="page"' not in text(as_page(PAGES["listclients"], "listclients", "/live.mp3"))


@pytest.mark.parametrize(
    ("command", "mount", "links"),
    [
        ("killclient", "/live.mp3", ["stats.xsl?mount=/live.mp3", "listclients.xsl?mount=/live.mp3"]),
        ("killsource", "/live.mp3", ["stats.xsl"]),  # pages of a mount that has just ended would be errors
        ("managerelays", "", ["managerelays.xsl"]),
    ],
)
def test_what_is_said_to_an_order_leads_to_a_page_that_is_there(command: str, mount: str, links: list[str]) -> None:
    page = text(as_page(xml.iceresponse("Done", 1), command, mount)).partition("<main")[2]
    assert [unescape(link) for link in re.findall(r'href="([^"]+)"', page)][: len(links)] == links
    assert ("?mount=" in page) is (command == "killclient")


def test_a_mount_without_a_source_has_none_to_disconnect() -> None:
    idle, live = mount(name="/idle", content_type="", is_live=False), mount()
    pages = [text(as_page(xml.stats_document(node(one)), "stats", "")) for one in (idle, live)]
    assert ["Disconnect the source" in page for page in pages] == [False, True]
