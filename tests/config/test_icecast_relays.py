"""Relays and masters come over from Icecast 2.4, 2.5 and icecast-kh, in all their forms."""

import pytest

from pycast.relay.place import spec_of
from tests.config.imports import imported, left_out, result_of, run


def test_relay_of_icecast_2_4_comes_over() -> None:
    [relay] = imported(
        "<relay><server>127.0.0.1</server><port>8001</port><mount>/a.ogg</mount><local-mount>/b.ogg</local-mount>"
        "<username>joe</username><password>soap</password><relay-shoutcast-metadata>0</relay-shoutcast-metadata>"
        "<on-demand>1</on-demand></relay>"
    ).relay
    assert (relay.server, relay.port, relay.mount, relay.local_mount) == ("127.0.0.1", 8001, "/a.ogg", "/b.ogg")
    assert (relay.username, relay.password) == ("joe", "soap")
    assert (relay.on_demand, relay.relay_shoutcast_metadata) == (True, False)


def test_what_azuracast_writes_comes_over() -> None:
    xml = "<relay><server>127.0.0.1</server><port>81</port><mount>/l</mount><local-mount>/r</local-mount></relay>"
    assert imported(xml).relay[0].local_name == "/r"


def test_several_upstreams_of_icecast_2_5_are_one_relay() -> None:
    xml = """<relay><local-mount>/x</local-mount><on-demand>true</on-demand>
      <upstream type="default"><username>u</username><password>p/w</password>
        <relay-shoutcast-metadata>false</relay-shoutcast-metadata></upstream>
      <upstream type="normal"><uri>http://one:8001/a.mp3</uri></upstream>
      <upstream><server>two</server><port>8002</port><mount>/b.mp3</mount></upstream>
      <upstream><uri>https://v%40w:q%2Fr@three/c?d=e</uri></upstream></relay>"""
    [relay] = imported(xml).relay
    places = [(place.url, place.username, place.password) for place in spec_of(relay).places]
    assert places == [
        ("http://one:8001/a.mp3", "u", "p/w"),
        ("http://two:8002/b.mp3", "u", "p/w"),
        ("https://three/c?d=e", "v@w", "q/r"),
    ]
    [alone] = imported("<relay><upstream><uri>http://v%40w:q%2Fr@one/a</uri></upstream></relay>").relay
    assert (alone.username, alone.password) == ("v@w", "q/r")
    assert (relay.local_name, relay.on_demand, relay.relay_shoutcast_metadata) == ("/x", True, False)


def test_relay_inside_a_mount_feeds_that_mount() -> None:
    xml = "<mount><mount-name>/m</mount-name><relay><upstream><uri>http://one/a</uri></upstream></relay></mount>"
    config = imported(xml)
    assert (config.relay[0].local_name, config.mount[0].mount_name) == ("/m", "/m")


def test_hosts_of_icecast_kh_come_by_priority_and_as_attributes() -> None:
    xml = """<relay local-mount="/x" run-on="9" relay-icy-metadata="1">
      <master priority="2" server="late" port="8001" mount="/a"/>
      <host priority="1"><ip>10.0.0.1</ip><port>8002</port><mount>/b</mount><ssl>1</ssl></host></relay>"""
    [relay] = imported(xml).relay
    assert [place.url for place in spec_of(relay).places] == ["https://10.0.0.1:8002/b", "http://late:8001/a"]
    assert (relay.local_name, relay.run_on) == ("/x", 9)


def test_host_of_icecast_kh_without_a_priority_stays_behind_the_one_before_it() -> None:
    def order(*priorities: str) -> str:
        hosts = "".join(
            f"<host><server>{name}</server>{text and f'<priority>{text}</priority>'}</host>"
            for name, text in zip("abcd", priorities, strict=False)
        )
        return "".join(place.host for place in spec_of(imported(f"<relay>{hosts}</relay>").relay[0]).places)

    assert order("2", "", "1") == "cab"
    assert order("", "", "2") == "abc"
    assert order("", "", "1") == "acb"
    assert order("1", "1", "0") == "abc"


def test_address_to_connect_from_comes_over() -> None:
    assert imported("<relay><server>x</server><bind>192.0.2.7</bind></relay>").relay[0].bind == "192.0.2.7"
    hosts = "<host><server>{}</server><bind>{}</bind></host>"
    xml = f"<relay>{hosts.format('x', '192.0.2.7')}{hosts.format('y', '192.0.2.8')}</relay>"
    assert result_of(xml).relay[0].bind == "192.0.2.7"
    [said] = left_out(xml)
    assert said.endswith("/bind = 192.0.2.8: a relay has one address to connect from, that of its first server")
    master = "<master-server>m</master-server><master-password>p</master-password><master-bind>192.0.2.9</master-bind>"
    assert imported(master).master.bind == "192.0.2.9"


def test_relay_that_is_off_stays_off() -> None:
    assert result_of("<relay><enable>0</enable><server>x</server></relay>").relay == ()
    [said] = left_out("<relay><enable>0</enable><server>x</server></relay>")
    assert said.endswith("it is switched off")


def test_relays_on_demand_holds_for_those_that_do_not_say() -> None:
    xml = (
        "<relays-on-demand>1</relays-on-demand><relay><server>a</server><mount>/a</mount></relay>"
        "<relay><server>b</server><mount>/b</mount><on-demand>0</on-demand></relay>"
    )
    assert [relay.on_demand for relay in imported(xml).relay] == [True, False]


def test_second_relay_of_a_mount_and_one_without_a_server_are_left_out() -> None:
    xml = "<relay><server>a</server><mount>/a</mount></relay><relay><server>b</server><mount>/a</mount></relay>"
    assert [relay.server for relay in result_of(xml).relay] == ["a"]
    assert len(left_out(xml)) == 1
    assert left_out("<relay><local-mount>/x</local-mount></relay>")[0].endswith("it names no server")


MASTER = "<master-server>m</master-server><master-server-port>8001</master-server-port>"


@pytest.mark.parametrize(
    "xml",
    [
        MASTER + "<master-update-interval>60</master-update-interval><master-password>geheim</master-password>",
        "<master><server>m</server><port>8001</port><interval>60</interval><password>geheim</password></master>",
    ],
)
def test_master_comes_over(xml: str) -> None:
    master = imported(xml + "<relays-on-demand>1</relays-on-demand>").master
    assert (master.server, master.port, master.update_interval, master.password) == ("m", 8001, 60, "geheim")
    assert (master.username, master.relays_on_demand, master.tls) == ("relay", True, False)


def test_tls_port_of_a_master_is_the_one_that_counts() -> None:
    xml = MASTER + "<master-ssl-port>8443</master-ssl-port><master-password>geheim</master-password>"
    assert (imported(xml).master.port, imported(xml).master.tls) == (8443, True)


def test_without_its_password_a_master_is_none_as_in_icecast() -> None:
    assert result_of(MASTER).master.server == ""
    assert left_out(MASTER) == [
        f"line 1: {said}: Icecast is no slave without master-server and master-password"
        for said in ("master-server = m", "master-server-port = 8001")
    ]


def test_slaves_of_icecast_kh_and_where_a_mount_sends_its_listeners_come_over() -> None:
    config = imported(
        "<max-redirect-slaves>3</max-redirect-slaves><redirect><host>s</host><port>8001</port></redirect>"
        "<redirect host='t'/><mount><mount-name>/a</mount-name><redirect>http://x:80/p</redirect></mount>"
        "<mount><mount-name>/b</mount-name><redirect-to>https://y/${mount}?z</redirect-to></mount>"
        "<master><server>m</server><password>p</password><redirect>1</redirect></master>"
    )
    assert config.server.max_redirect_slaves == 3 and config.master.redirect
    assert [(one.host, one.port) for one in config.redirect] == [("s", 8001), ("t", 8000)]
    assert [one.redirect_to for one in config.mount] == ["http://x:80/p/${mount}", "https://y/${mount}?z"]
    assert left_out("<redirect><port>1</port></redirect>")[0].endswith("it names no host")
    assert "expected a web address" in left_out("<mount><mount-name>/a</mount-name><redirect>x</redirect></mount>")[0]


def test_logins_are_in_no_note() -> None:
    xml = "<relay><server>x</server><bind>y</bind><password>geheim</password><uri>http://u:geheim@h/</uri></relay>"
    assert "geheim" not in " ".join(map(str, run(xml).notes))


@pytest.mark.parametrize("name", ["<mount>stream</mount>", "<mount>/a</mount><local-mount>b</local-mount>"])
def test_relay_whose_name_cannot_be_read_is_no_relay_of_something_else(name: str) -> None:
    xml = f"<relay><server>a.example</server>{name}</relay>"
    assert result_of(xml).relay == ()
    assert any("it would be a relay of something else" in said for said in left_out(xml))


SOCKET = "<listen-socket><port>{}</port><bind-address>{}</bind-address></listen-socket>"
MASTER_AT = (
    "<master-server>{}</master-server><master-server-port>{}</master-server-port><master-password>p</master-password>"
)
RELAY = "<relay><server>{}</server><port>{}</port><mount>/m</mount></relay>"
REDIRECT = "<redirect><host>{}</host><port>{}</port></redirect>"


@pytest.mark.parametrize("what", [MASTER_AT, RELAY, REDIRECT])
@pytest.mark.parametrize(
    ("sockets", "place", "is_own"),
    [
        ("", ("127.0.0.1", 8000), True),
        ("", ("localhost", 8001), False),
        ("", ("other.example", 8000), False),
        (SOCKET.format(8001, "0.0.0.0"), ("localhost", 8001), True),
        (SOCKET.format(8001, "10.0.0.1"), ("10.0.0.1", 8001), True),
        (SOCKET.format(8001, "10.0.0.1"), ("127.0.0.1", 8001), False),
        (SOCKET.format(8001, "10.0.0.1"), ("10.0.0.1", 8000), False),
    ],
)
def test_this_server_itself_is_left_out_which_icecast_asks_in_vain(
    what: str, sockets: str, place: tuple[str, int], is_own: bool
) -> None:
    said = left_out(sockets + what.format(*place))
    assert len(said) == is_own
    assert all(one.startswith("line 1: ") and one.endswith(f"{place[0]}: that is this server itself") for one in said)


def test_another_mount_of_this_server_may_be_relayed() -> None:
    xml = "<relay><server>127.0.0.1</server><port>8000</port><mount>/a</mount><local-mount>/b</local-mount></relay>"
    assert [relay.local_name for relay in imported(xml).relay] == ["/b"]
