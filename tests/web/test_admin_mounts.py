"""Commands about a mount, with the exact answers that scripts of Icecast's users look for."""

import json

import pytest

from pycast.stats.snapshot import ListenerSnapshot
from pycast.web.site import Site
from tests.stats.snapshots import mount, node
from tests.web.sites import ADMIN, SOURCE, FakeControl, ask, make_site, refusal, text_of

DECLARATION = '<?xml version="1.0"?>\n'
LISTENERS = [
    ListenerSnapshot(id=number, ip="127.0.0.1", user_agent="x", connected_s=1, bytes_sent=9, lag=0) for number in (7, 8)
]


def site() -> Site:
    return make_site(FakeControl(node(mount(), mount(name="/other")), LISTENERS))


def done(message: str, result: int = 1) -> str:
    return f"<iceresponse><message>{message}</message><return>{result}</return></iceresponse>"


GOLDEN = {
    "killclient?id=7": done("Client 7 removed"),
    "killclient?id=9": done("Client 9 not found", 0),
    "killsource?": done("Source Removed"),
    "metadata?mode=updinfo&song=x": done("Metadata update successful"),
    "metadata?mode=x&song=x": done("No such action", 0),
    "moveclients?destination=/other": done("Clients moved from /live.mp3 to /other"),
    "moveclients?": (
        '<icestats><current_source>/live.mp3</current_source><source mount="/other"><fallback></fallback>'
        "<listeners>2</listeners><Connected>12</Connected><content-type>audio/mpeg</content-type></source></icestats>"
    ),
    "resetstats?": done("have reset settings"),
    "resetstats?setting=bytes": done("Failed to reset values"),
    "updatemetadata?": '<icestats><source mount="/live.mp3"/></icestats>',
}


@pytest.mark.parametrize("command", GOLDEN)
@pytest.mark.parametrize("authorization", [ADMIN, SOURCE])
def test_the_answer_is_icecasts(command: str, authorization: str) -> None:
    answer = ask(site(), f"/admin/{command}&mount=/live.mp3", authorization=authorization)
    assert (answer.content_type, text_of(answer)) == ("text/xml; charset=utf-8", f"{DECLARATION}{GOLDEN[command]}\n")


@pytest.mark.parametrize(
    ("setting", "counts"),
    [("", ("peak", "read", "sent")), ("&setting=sent", ("sent",)), ("&setting=peak,read", ("peak", "read"))],
)
def test_statistics_are_reset_by_name_or_all(setting: str, counts: tuple[str, ...]) -> None:
    control = FakeControl(node(mount()))
    ask(make_site(control), f"/admin/resetstats?mount=/live.mp3{setting}", authorization=ADMIN)
    assert control.orders == [("reset", "/live.mp3", *counts)]


def test_listclients_of_one_listener() -> None:
    found = json.loads(text_of(ask(site(), "/admin/listclients.json?mount=/live.mp3&id=8", authorization=ADMIN)))
    shown = found["icestats"]["source"]["/live.mp3"]
    assert [one["ID"] for one in shown["listener"]] == [8]
    assert shown["listeners"] == 2


@pytest.mark.parametrize(
    ("user", "password", "login"), [("known", "pw", "known:pw"), ("nobody", "p@ss/:", "nobody:p%40ss%2F%3A")]
)
def test_buildm3u_is_for_everybody_and_tells_nothing(user: str, password: str, login: str) -> None:
    from urllib.parse import quote

    target = f"/admin/buildm3u?mount=/live.mp3&username={user}&password={quote(password, safe='')}"
    answer = ask(site(), target)
    assert (answer.status, answer.content_type) == (200, "audio/x-mpegurl")
    assert dict(answer.headers)["Content-Disposition"] == "attachment; filename=listen.m3u"
    assert text_of(answer) == f"http://{login}@localhost:8000/live.mp3\r\n"


def test_buildm3u_needs_all_it_is_built_of() -> None:
    assert refusal(site(), "/admin/buildm3u?mount=/live.mp3&username=x") == (400, "Missing parameter")
    assert refusal(site(), "/admin/buildm3u?mount=x&username=x&password=x")[0] == 403
    assert refusal(site(), "/admin/buildm3u?username=x&password=x") == (401, "You need to authenticate")


@pytest.mark.parametrize("command", ["fallbacks", "fallback"])
def test_a_fallback_is_ordered_with_icecasts_answer(command: str) -> None:
    control = FakeControl(node(mount(), mount(name="/other")))
    answer = ask(make_site(control), f"/admin/{command}?mount=/live.mp3&fallback=/other", authorization=ADMIN)
    assert answer.content_type == "text/html; charset=utf-8"
    assert text_of(answer) == (
        "<html><head><title>Admin request successful</title></head><body><p>Fallback configured</p></body></html>"
    )
    assert control.orders == [("fallback", "/live.mp3", "/other")]


@pytest.mark.parametrize(
    ("fallback", "authorization"), [("/to-come", ADMIN), ("/sorry.mp3", ADMIN), ("", ADMIN), ("", SOURCE)]
)
def test_a_fallback_may_be_none_and_an_admins_a_mount_that_is_to_come(fallback: str, authorization: str) -> None:
    control = FakeControl(node(mount()))
    ask(make_site(control), f"/admin/fallbacks?mount=/live.mp3&fallback={fallback}", authorization=authorization)
    assert control.orders == [("fallback", "/live.mp3", fallback)]


@pytest.mark.parametrize(
    ("fallback", "authorization", "why"),
    [
        ("", ADMIN, "Missing parameter"),
        ("&fallback=nowhere", ADMIN, "No such destination"),
        ("&fallback=/admin/stats", ADMIN, "No such destination"),
        ("&fallback=/to-come", SOURCE, "No such destination"),
        ("&fallback=/live.mp3", ADMIN, "supplied"),
    ],
)
def test_what_cannot_be_a_fallback_is_refused(fallback: str, authorization: str, why: str) -> None:
    status, public = refusal(site(), f"/admin/fallbacks?mount=/live.mp3{fallback}", authorization=authorization)
    assert status == 400 and public.startswith(why)
