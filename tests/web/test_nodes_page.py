"""Tests of pycast.web.nodes_page: the page of the cluster's nodes, and what the public page shows of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.stats.snapshot import ClusterSnapshot, MemberSnapshot
from pycast.web import pages
from pycast.web.nodes_page import REFRESH_S, render_nodes
from tests.stats import snapshots
from tests.web.test_pages import BASE, HOSTILE, NODE, Page

A = MemberSnapshot("a", "10.0.0.1:8000", "eu-west-1a", "up", "up", 4200, 4210, 10_000, 57, "1.2.3", ("/live.mp3",))
B = replace(A, node="b", address="10.0.0.2:8000", state="draining", listeners=7, origins=())
C = replace(A, node="c", address="10.0.0.3:8000", status="dead", origins=("/night shift.ogg",))
CLUSTER = replace(snapshots.CLUSTER, name="radio", node="a", members=(A, B, C), origins=2, waiting=1)


def show(cluster: ClusterSnapshot) -> Page:
    return Page(render_nodes(cluster, "pycast 1.2.3"))


def test_each_node_is_shown_with_its_state_and_load() -> None:
    page = show(CLUSTER)
    assert [node["class"] for node in page.all("article")] == ["node up", "node draining", "node dead"]
    for fact in ("10.0.0.1:8000", "eu-west-1a", "4,200", "4,210 of 10,000", "57 %", "draining", "dead", "this one"):
        assert fact in page.text
    for fact in ("2 of 3 nodes up", "4207 listening", "2 mounts have a source, 1 waiting for it", "as node a sees it"):
        assert fact in page.text
    links = [link["href"] for link in page.all("a")]
    others = [link for link in links if not link.endswith(".xsl")]
    assert others == ["../", "nodes", "../live.mp3", "../night%20shift.ogg"]


def test_a_dead_node_has_no_load() -> None:
    assert len(show(CLUSTER).all("dl")) == 2


def test_a_warning_stands_among_what_has_the_margins_of_the_page() -> None:
    frame, _, main = render_nodes(CLUSTER, "pycast 1.2.3", ["a warning"]).partition(b"<main")
    assert b'role="alert">a warning' in main and b"a warning" not in frame


def test_page_is_loaded_again_without_a_script() -> None:
    page = show(CLUSTER)
    (refresh,) = [tag for tag in page.all("meta") if tag.get("http-equiv") == "refresh"]
    assert refresh["content"] == str(REFRESH_S)
    assert page.scripts == []


def test_a_registry_that_does_not_answer_is_shown() -> None:
    assert "etcd does not answer" in show(replace(CLUSTER, registry="etcd", is_registry_up=False)).text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_markup(text: str) -> None:
    def page_with(text: str) -> Page:
        member = replace(A, node=text, address=text, zone=text or "x", version=text, origins=(f"/{text}",))
        return show(replace(CLUSTER, name=text, members=(member,)))

    assert [tag for tag, _ in page_with(text).tags] == [tag for tag, _ in page_with("x").tags]


@given(text=st.text(max_size=60), number=st.integers())
def test_any_values_give_a_well_formed_page(text: str, number: int) -> None:
    member = replace(A, node=text, zone=text, listeners=number, used=number, slots=number, weight=number)
    assert len(show(replace(CLUSTER, node=text, members=(member,))).all("article")) == 1


@pytest.mark.parametrize(
    ("members", "words"),
    [((A, B, C), "2 of 3 nodes up"), ((A, B), "2 nodes, all up"), ((A,), "1 node"), ((), "0 nodes, all up")],
)
def test_public_page_shows_how_many_nodes_there_are_and_not_which(
    members: tuple[MemberSnapshot, ...], words: str
) -> None:
    cluster = replace(CLUSTER, members=members)
    page = Page(pages.render_status(replace(NODE, cluster=cluster)).for_visitor(BASE))
    assert words in page.text
    assert "10.0.0" not in page.text and "eu-west-1a" not in page.text


def test_public_page_without_a_cluster_does_not_mention_nodes() -> None:
    assert "node" not in Page(pages.render_status(NODE).for_visitor(BASE)).text


def test_warnings_are_shown_as_they_are_and_escaped() -> None:
    html = render_nodes(CLUSTER, "pycast", ["a <b> password"])
    assert b"a &lt;b&gt; password" in html
    assert b'role="alert"' not in render_nodes(CLUSTER, "pycast")
