"""Tests of pycast.web.shared_pages: all visitors share one rendering, whatever they ask for."""

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pycast.http.response import Response
from pycast.stats.snapshot import NodeSnapshot
from pycast.web import pages as html
from pycast.web import public
from pycast.web.kept import Changes, Kept
from pycast.web.shared_pages import MOST_ADDRESSES, MOST_COUNTED, MOST_MOUNTS, SharedPage, _Copies, packed
from pycast.web.site import Site
from tests.stats.snapshots import mount, node
from tests.web.sites import ADMIN, FakeControl, ask, make_request, make_site, text_of

TAKES_GZIP = "Accept-Encoding: gzip, deflate, br\r\n"
PAGES = ("/", "/status.xsl", "/status-json.xsl", "/server_version.xsl", "/metrics")


class Counting(FakeControl):
    """A control of many mounts that counts how often it is asked."""

    def __init__(self, count: int = 200) -> None:
        super().__init__(node(*(mount(name=f"/{number}.mp3", listeners=number) for number in range(count))))
        self.snapshots = 0

    def snapshot(self) -> NodeSnapshot:
        self.snapshots += 1
        return super().snapshot()


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    """A control; meanwhile what is kept stays."""
    monkeypatch.setattr(Kept.__init__, "__defaults__", (3600.0, 0.0, time.monotonic, time.thread_time))
    monkeypatch.setattr("pycast.web.kept.SHARE", 1e12)
    monkeypatch.setattr("pycast.web.shared_pages.LONGEST_S", 7200.0)
    yield Counting()


@pytest.fixture
def site(control: Counting, monkeypatch: pytest.MonkeyPatch) -> Site:
    return make_site(control)


def header(response: Response, name: str) -> str:
    return dict(response.headers).get(name, "")


def body(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return gzip.decompress(response.body) if header(response, "Content-Encoding") == "gzip" else response.body


@pytest.mark.parametrize("path", PAGES)
def test_all_visitors_share_one_rendering_and_its_bytes(path: str, site: Site, control: Counting) -> None:
    plain, zipped = ask(site, path), ask(site, path, more=TAKES_GZIP)
    assert all(ask(site, path).body is plain.body for _ in range(10))
    assert all(ask(site, path, more=TAKES_GZIP).body is zipped.body for _ in range(10))
    assert control.snapshots == 1
    assert body(zipped) == body(plain)
    assert len(zipped.body) < len(plain.body)  # type: ignore[arg-type]
    for answer in (plain, zipped):
        assert "Accept-Encoding" in [value for name, value in answer.headers if name == "Vary"]
        assert answer.may_be_stored


@pytest.mark.parametrize("path", PAGES)
def test_who_has_the_page_already_gets_304(path: str, site: Site) -> None:
    plain, zipped = ask(site, path), ask(site, path, more=TAKES_GZIP)
    assert header(plain, "ETag") != header(zipped, "ETag")
    for more, known in (("", plain), (TAKES_GZIP, zipped)):
        answer = ask(site, path, more=f"{more}If-None-Match: {header(known, 'ETag')}\r\n")
        assert (answer.status, answer.body, answer.content_type) == (304, b"", "")
        assert header(answer, "ETag") == header(known, "ETag")
        assert answer.may_be_stored
    assert ask(site, path, more='If-None-Match: "other"\r\n').status == 200
    assert ask(site, path, more="If-Modified-Since: Mon, 26 Jul 2027 05:00:00 GMT\r\n").status == 200


def test_each_visitor_gets_the_page_with_his_own_address_and_the_most_frequent_share_copies(
    site: Site, control: Counting
) -> None:
    def come(host: str) -> Response:
        return ask(site, "/", more=f"{TAKES_GZIP}Host: {host}\r\n")

    hosts = [f"{number}.example:8000" for number in range(50)]
    for host in hosts:
        assert f"http://{host}/7.mp3".encode() in body(come(host))
    assert control.snapshots == 1
    # The first who came is the only one that was known when the page was rendered.
    assert come(hosts[0]).body is come(hosts[0]).body
    assert header(come(hosts[1]), "ETag") == ""


def test_the_addresses_that_most_visitors_use_get_copies_although_others_are_made_up(control: Counting) -> None:
    copies = _Copies(lambda: html.StatusPage(b"page", "host"), Changes())
    for number in range(2 * MOST_COUNTED):
        copies.get(f"http://made-up-{number}.example")
        if number % 100 == 0:
            copies.get("http://radio.example")
    assert len(copies._asked) <= MOST_COUNTED
    _, _, kept = copies._make()
    assert len(kept) == MOST_ADDRESSES
    assert "http://radio.example" in kept


def test_made_up_mounts_are_one_page_and_those_that_are_kept_are_few(site: Site, control: Counting) -> None:
    for number in range(500):
        answer = ask(site, f"/status-json.xsl?mount=/none-{number}")
        assert "source" not in json.loads(text_of(answer))["icestats"]
    assert len(site.pages._of_mounts) == 1
    for path in ("/status-json.xsl", "/"):
        for number in range(200):
            assert f"/{number}.mp3" in text_of(ask(site, f"{path}?mount=/{number}.mp3"))
    assert len(site.pages._of_mounts) == MOST_MOUNTS
    assert control.snapshots == 1, "pages of one mount share the statistics"


def test_the_admins_metrics_are_never_given_to_others(control: Counting) -> None:
    hidden = FakeControl(node(mount(name="/secret.mp3", hidden=True)))
    site = make_site(hidden)
    for _ in range(2):
        assert "/secret.mp3" in text_of(ask(site, "/metrics", authorization=ADMIN))
        assert "/secret.mp3" not in text_of(ask(site, "/metrics"))
    assert not ask(site, "/metrics", authorization=ADMIN).may_be_stored


def test_the_page_of_one_node_is_not_that_of_all() -> None:
    here, there = FakeControl(replace(node(), location="here")), FakeControl(replace(node(), location="all"))
    site = make_site(here, there)
    for _ in range(2):
        assert '"location":"here"' in text_of(ask(site, "/status-json.xsl?scope=node"))
        assert '"location":"all"' in text_of(ask(site, "/status-json.xsl"))


def test_a_small_page_is_not_compressed_but_has_a_tag() -> None:
    page = packed(b"small")
    assert not page.gzipped
    answer = page.answer(make_request("/", more=TAKES_GZIP), "text/plain")
    assert (answer.body, header(answer, "Content-Encoding")) == (b"small", "")
    assert header(answer, "ETag")


def test_a_page_for_one_visitor_has_no_tag() -> None:
    assert SharedPage(b"x").answer(make_request("/"), "text/plain").headers == (("Vary", "Accept-Encoding"),)


def test_the_compressed_page_is_the_page_and_the_same_every_time() -> None:
    data = b"".join(b"%d," % number for number in range(100_000))
    assert gzip.decompress(packed(data).gzipped) == data
    assert packed(data) == packed(data)


def test_playlists_share_the_statistics(site: Site, control: Counting) -> None:
    for number in range(100):
        assert f"/{number}.mp3" in text_of(ask(site, f"/{number}.mp3.xspf"))
    assert control.snapshots == 1
    assert public.PLAYLIST.is_public


def test_an_answer_may_be_given_again_until_the_page_is_another_and_who_gets_it_is_counted() -> None:
    changes = Changes()
    copies = _Copies(lambda: html.StatusPage(b"page", "host"), changes)
    copies._kept._clock = lambda: 0.0
    copies.get("http://a.example")
    page = copies.get("http://a.example")
    assert page.again is not None
    assert copies._asked["http://a.example"] == 1
    assert page.again()
    assert copies._asked["http://a.example"] == 2
    changes.on_change(None)
    assert not page.again()
    assert copies._asked["http://a.example"] == 2
    copies._kept._clock = lambda: 10.0
    assert copies.get("http://a.example") is not page
    assert not page.again()
