"""Commands about the server: what they answer, and what they have done."""

import json
import time
from pathlib import Path

import pytest

from pycast import __version__
from pycast.stats.snapshot import NodeSnapshot, PlayedTitle, RelayLine, UpstreamLine
from pycast.stream.events import TitleChanged
from pycast.stream.timeline import Title
from tests.stats.snapshots import mount, node
from tests.web.sites import ADMIN, PASSWORDS, FakeControl, ask, make_site, refusal, text_of

DECLARATION = '<?xml version="1.0"?>\n'


def test_publicstats_are_for_everybody_and_without_what_is_not() -> None:
    site = make_site(FakeControl(node(mount(source_ip="10.0.0.1"), mount(name="/hidden", hidden=True))))
    said = text_of(ask(site, "/admin/publicstats"))
    assert said == (
        f"{DECLARATION}<icestats><admin>icemaster@localhost</admin><host>localhost</host><location>Earth</location>"
        "<server_id>Icecast 2.4.4</server_id><server_start_iso8601>2025-11-22T06:59:20+0000</server_start_iso8601>"
        '<source mount="/live.mp3"><genre>various</genre><listeners>2</listeners>'
        "<listenurl>http://localhost:8000/live.mp3</listenurl>"
        "<server_description>Unspecified description</server_description>"
        '<server_name>My "Stream" \\ x</server_name><server_type>audio/mpeg</server_type>'
        "<stream_start_iso8601>2025-11-22T07:00:00+0000</stream_start_iso8601><title>1979</title></source></icestats>\n"
    )
    found = json.loads(text_of(ask(site, "/admin/publicstats.json?mount=/live.mp3")))
    assert list(found["icestats"]["source"]) == ["/live.mp3"]
    assert "source" not in json.loads(text_of(ask(site, "/admin/publicstats.json?mount=/hidden")))["icestats"]


class CountingControl(FakeControl):
    """A control that counts how often its statistics are taken."""

    taken = 0

    def snapshot(self) -> NodeSnapshot:
        self.taken += 1
        time.sleep(0.02)  # as with many mounts
        return super().snapshot()


@pytest.mark.parametrize("look", ["", ".json", ".xsl"])
def test_publicstats_are_made_once_for_all_who_ask_at_the_same_time(look: str) -> None:
    control = CountingControl(node(mount()))
    site = make_site(control)
    asked = [f"/admin/publicstats{look}{query}" for query in ("", "?mount=/live.mp3", "?mount=/a", "?mount=/b")]
    for _ in range(5):
        pages = [text_of(ask(site, one)) for one in asked]
    assert control.taken <= 10, "and not 20: one for all, one for the mount, one for what is none, and some more later"
    assert "http://localhost:8000/live.mp3" in pages[0] and pages[2] == pages[3]
    assert "/live.mp3" not in pages[2]


def test_version_names_the_program_whatever_the_server_is_called() -> None:
    said = text_of(ask(make_site(), "/admin/version", authorization=ADMIN))
    assert said.endswith(f"<build>{__version__}</build></icestats>\n")
    assert "<server_id>Icecast 2.4.4</server_id>" in said


@pytest.mark.parametrize("command", ["reloadconfig", "function?perform=updatecfg", "function.xsl?perform=reopenlog"])
def test_a_reload_is_asked_for(command: str) -> None:
    control = FakeControl(node(mount()))
    assert ask(make_site(control), f"/admin/{command}", authorization=ADMIN).status == 200
    assert control.orders == [("reload",)]


def test_function_does_nothing_else() -> None:
    control = FakeControl(node(mount()))
    assert refusal(make_site(control), "/admin/function?perform=x", authorization=ADMIN) == (400, "No such command")
    assert control.orders == []


def test_a_server_without_relays_has_an_empty_list() -> None:
    assert text_of(ask(make_site(), "/admin/managerelays", authorization=ADMIN)) == f"{DECLARATION}<icerelaystats/>\n"


def test_relays_are_listed_with_what_they_do() -> None:
    ups = (UpstreamLine("a.example", "/x", 8000), UpstreamLine("b.example", "/y", 443, is_active=True))
    control = FakeControl(node(mount()))
    control.relay_lines = [
        RelayLine("/here", True, ups, "on_air", run_on_s=30.0, for_s=12.9),
        RelayLine("/off", False, ups[:1], "off", is_enabled=False, from_master=True),
        RelayLine("/tries", False, (), "failing", retry_in_s=3.2, trouble="http://c/: <404>"),
    ]
    first = "<server>a.example</server><mount>/x</mount><port>8000</port><priority>1</priority></master>"
    assert text_of(ask(make_site(control), "/admin/managerelays", authorization=ADMIN)) == (
        f"{DECLARATION}<icerelaystats><relay><localmount>/here</localmount><enable>1</enable><on_demand>1</on_demand>"
        f"<from_master>0</from_master><run_on>30</run_on><master>{first}<master><server>b.example</server>"
        "<mount>/y</mount><port>443</port><priority>2</priority><active>true</active></master><state>on_air</state>"
        "<connected>12</connected></relay><relay><localmount>/off</localmount><enable>0</enable>"
        f"<on_demand>0</on_demand><from_master>1</from_master><run_on>0</run_on><master>{first}<state>off</state>"
        "</relay><relay><localmount>/tries</localmount><enable>1</enable><on_demand>0</on_demand>"
        "<from_master>0</from_master><run_on>0</run_on><state>failing</state><retry_in>4</retry_in>"
        "<trouble>http://c/: &lt;404&gt;</trouble></relay></icerelaystats>\n"
    )


@pytest.mark.parametrize(
    ("order", "carried_out"),
    [("enable=1", "enable"), ("enable=0", "disable"), ("restart=1", "restart"), ("enable=1&restart=1", "enable")],
)
def test_relay_is_ordered_with_the_answer_of_icecast_kh(order: str, carried_out: str) -> None:
    control = FakeControl(node(mount()))
    said = text_of(ask(make_site(control), f"/admin/managerelays?relay=/here&{order}", authorization=ADMIN))
    assert said == (
        f"{DECLARATION}<iceresponse><message>relay has been changed</message><return>1</return></iceresponse>\n"
    )
    assert control.orders == [("relay", "/here", carried_out)]
    said = text_of(ask(make_site(control), f"/admin/managerelays?relay=/none&{order}", authorization=ADMIN))
    assert "<message>no such relay</message>" in said


@pytest.mark.parametrize("query", ["", "?relay=/here", "?enable=0", "?relay=/here&restart=0"])
def test_half_an_order_changes_nothing(query: str) -> None:
    control = FakeControl(node(mount()))
    assert "icerelaystats" in text_of(ask(make_site(control), f"/admin/managerelays{query}", authorization=ADMIN))
    assert control.orders == []


def test_logs_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    log.write_text("one <1>\ntwo\n")
    site = make_site(toml=f'{PASSWORDS}[logging]\nerror_log = "{log}"\n')
    expected = "<log><name>error</name><line>one &lt;1&gt;</line><line>two</line></log>"
    for command in ("showlog", "logs", "showlog?log=error", "showlog?logfile=error", "showlog?log=errorlog"):
        said = text_of(ask(site, f"/admin/{command}", authorization=ADMIN))
        assert said == f"{DECLARATION}<icestats>{expected}</icestats>\n"
    assert text_of(ask(site, "/admin/showlog.txt", authorization=ADMIN)) == "one <1>\ntwo\n"
    assert text_of(ask(site, "/admin/showlog.txt?log=accesslog", authorization=ADMIN)) == "the access log\n"
    assert "turned off" in text_of(ask(site, "/admin/showlog.txt?log=playlist", authorization=ADMIN))
    assert refusal(site, "/admin/showlog?log=../x", authorization=ADMIN)[0] == 400


def test_history_has_the_titles_of_mounts_that_are_over_too() -> None:
    site = make_site(FakeControl(node(mount(history=(PlayedTitle(2e9, "", "now"), PlayedTitle(1e9, "A", "then"))))))
    site.history.on_title_changed(TitleChanged("/over", Title("", "last", "", b""), 0))
    found = json.loads(text_of(ask(site, "/admin/history.json", authorization=ADMIN)))["icestats"]["source"]
    assert [one["title"] for one in found["/live.mp3"]["played"]] == ["now", "then"]
    assert found["/live.mp3"]["played"][1] == {
        "time": 1000000000, "time_iso8601": "2001-09-09T01:46:40+0000", "artist": "A", "title": "then"
    }  # fmt: skip
    assert [one["title"] for one in found["/over"]["played"]] == ["last"]


@pytest.mark.parametrize("path", ["/admin", "/admin.html", "/adminbar.html"])
def test_what_people_type_and_the_frames_of_icecast_kh_lead_to_the_pages(path: str) -> None:
    answer = ask(make_site(), path)
    assert (answer.status, answer.headers) == (302, (("Location", "admin/"),))


def test_admin_is_a_page() -> None:
    answer = ask(make_site(), "/admin/", authorization=ADMIN)
    assert answer.content_type == "text/html; charset=utf-8"
    assert "authentication.source_password is publicly known" in text_of(answer)
