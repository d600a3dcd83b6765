"""Tests of pycast.config.icecast_xml: what Icecast's file says comes out as TOML, or is named."""

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.config.icecast_xml import convert, elements
from pycast.config.load import loads
from pycast.config.schema import Config, MountSection
from pycast.config.section import Key
from pycast.config.units import Size
from pycast.errors import ConfigError

STATION = b"""<icecast>
  <!-- a comment -->
  <hostname>radio.example.org</hostname> <location>Studio "1"</location> <admin>a@b</admin>
  <limits>
    <clients>100</clients> <sources>2</sources> <queue-size>524288</queue-size> <threadpool>5</threadpool>
    <client-timeout>30</client-timeout> <burst-on-connect>1</burst-on-connect> <burst-size>65535</burst-size>
  </limits>
  <authentication>
    <source-password>s</source-password> <admin-user>root</admin-user> <admin-password>a</admin-password>
  </authentication>
  <listen-socket><port>8000</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <listen-socket><port>8443</port><ssl>1</ssl></listen-socket>
  <http-headers><header name="Access-Control-Allow-Origin" value="*"/></http-headers>
  <mount type="normal">
    <mount-name>/live.mp3</mount-name> <password>own</password> <max-listeners>5</max-listeners> <public>-1</public>
    <dump-file>/d.mp3</dump-file> <hidden>1</hidden> <mp3-metadata-interval>-1</mp3-metadata-interval>
    <http-headers><header name="X-A" value="b"/></http-headers>
  </mount>
  <mount type="default"><max-listener-duration>3600</max-listener-duration></mount>
  <paths>
    <logdir>/var/log/icecast2</logdir> <ssl-certificate>/etc/i.pem</ssl-certificate>
    <alias source="/" destination="/status.xsl"/>
  </paths>
  <logging><accesslog>access.log</accesslog><errorlog>-</errorlog><loglevel>2</loglevel></logging>
  <security><chroot>0</chroot></security>
</icecast>"""


def imported(xml: str) -> Config:
    result = convert(f"<icecast>{xml}</icecast>".encode())
    assert result.left_out == ()
    return loads(result.toml, {}, "imported")


def left_out(xml: str) -> list[str]:
    return list(convert(f"<icecast>{xml}</icecast>".encode()).left_out)


def test_settings_of_a_station_come_over() -> None:
    result = convert(STATION)
    config = loads(result.toml, {}, "imported")
    assert result.left_out == ()
    assert (config.server.hostname, config.server.location) == ("radio.example.org", 'Studio "1"')
    assert (config.limits.clients, config.limits.burst_size) == (100, Size(bytes=65535))
    assert (config.authentication.source_password, config.authentication.admin_user) == ("s", "root")
    assert [(listen.port, listen.tls) for listen in config.listen] == [(8000, False), (8443, True)]
    assert config.tls.certificate == "/etc/i.pem"
    live, default = config.mount
    assert (live.mount_name, live.password, live.max_listeners, live.hidden) == ("/live.mp3", "own", 5, True)
    assert (live.public, live.mp3_metadata_interval, live.http_headers) == (None, None, {"X-A": "b"})
    assert (default.type, default.max_listener_duration) == ("default", 3600)
    assert (config.logging.access_log, config.logging.error_log) == ("/var/log/icecast2/access.log", "-")
    assert config.logging.log_level == "warning"


def test_only_what_the_file_says_is_written() -> None:
    toml = convert(b"<icecast><limits><clients>5</clients></limits></icecast>").toml
    assert tomli.loads(toml) == {"limits": {"clients": 5}}


def test_old_form_of_one_port_comes_over() -> None:
    [listen] = imported("<port>9000</port><bind-address>127.0.0.1</bind-address>").listen
    assert (listen.port, listen.bind_address) == (9000, "127.0.0.1")


def test_burst_on_connect_off_is_a_burst_of_nothing() -> None:
    assert imported("<limits><burst-on-connect>0</burst-on-connect></limits>").limits.burst_size == Size(bytes=0)


def test_shoutcast_port_becomes_a_key_of_the_port_below() -> None:
    xml = """<shoutcast-mount>/sc</shoutcast-mount><listen-socket><port>8000</port></listen-socket>
      <listen-socket><port>8001</port><shoutcast-compat>1</shoutcast-compat></listen-socket>"""
    [listen] = imported(xml).listen
    assert (listen.port, listen.shoutcast_mount) == (8000, "/sc")


def test_old_no_yp_is_public_off() -> None:
    assert imported("<mount><mount-name>/a</mount-name><no-yp>1</no-yp></mount>").mount[0].public is False


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("<relay><server>x</server><port>80</port></relay>", "relay = x 80: pycast has no such setting"),
        (
            "<mount><mount-name>/a</mount-name><intro>/b</intro></mount>",
            "mount /a intro = /b: pycast has no such setting",
        ),
        ("<limits><clients>many</clients></limits>", "limits/clients = many: expected a whole number"),
        ("<master-password>geheim</master-password>", "master-password: pycast has no such setting"),
        (
            '<paths><alias source="/a" destination="/b"/></paths>',
            "paths/alias = /a /b: pycast has no such setting",
        ),
        (
            '<http-headers><header name="A" value="b" status="404"/></http-headers>',
            "http-headers: A only with status 404",
        ),
        (
            "<listen-socket><port>8443</port><ssl>1</ssl></listen-socket>",
            "to be corrected: listen[0].tls = true: expected false, or a certificate in [tls]",
        ),
    ],
)
def test_what_has_no_equivalent_is_named(xml: str, said: str) -> None:
    assert left_out(xml) == [said]
    assert f"# Left out: {said}" in convert(f"<icecast>{xml}</icecast>".encode()).toml


@pytest.mark.parametrize(
    "xml",
    [b"", b"<icecast>", b"<other/>", b'<!DOCTYPE a [<!ENTITY b "c">]><icecast>&b;</icecast>', b"\xff\xfe", b"port = 1"],
)
def test_what_is_no_icecast_file_is_a_config_error(xml: bytes) -> None:
    with pytest.raises(ConfigError):
        convert(xml)


NAMES = st.sampled_from(["mount", "limits", "port", "clients", "mount-name", "paths", "alias", "logging", "loglevel"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="<>&", exclude_categories=["Cc", "Cs"]), max_size=9)


@settings(deadline=None, max_examples=150)
@given(tree=st.lists(st.tuples(NAMES, NAMES, TEXTS), max_size=8), junk=st.binary(max_size=60))
def test_any_bytes_give_a_file_or_config_error(tree: list[tuple[str, str, str]], junk: bytes) -> None:
    xml = "<icecast>" + "".join(f"<{a}><{b}>{text}</{b}>{text}</{a}>" for a, b, text in tree) + "</icecast>"
    assert isinstance(tomli.loads(convert(xml.encode()).toml), dict)
    try:
        convert(junk)
    except ConfigError as error:
        assert error.problems


@pytest.mark.parametrize("section", ["server", "limits", "authentication", "listen", "mount", "logging", "tls"])
def test_no_element_stands_for_two_keys(section: str) -> None:
    schema = Config.KEYS[section].section
    assert schema is not None
    named = [element for key in schema.KEYS.values() for element in key.elements()]
    assert len(named) == len(set(named)) == len(elements(section))


@pytest.mark.parametrize("key", MountSection.KEYS.values(), ids=MountSection.KEYS)
def test_each_key_of_a_mount_is_imported_or_said_to_have_no_equivalent(key: Key) -> None:
    no_equivalent = {"type", "source_grace", "source_takeover", "on_conflict", "password_file"}
    assert (key.elements() == ()) == (key.name in no_equivalent)
    for element in key.elements():
        shown = {"http_headers": '<header name="X-Station" value="demo"/>'}.get(key.name, str(key.example))
        mount = imported(f"<mount><mount-name>/live.mp3</mount-name><{element}>{shown}</{element}></mount>").mount[0]
        assert getattr(mount, key.name) == key.read(key.example)


def test_key_that_icecast_does_not_have_is_not_taken_from_its_file() -> None:
    xml = "<mount><mount-name>/a</mount-name><source-grace>5</source-grace></mount>"
    assert left_out(xml) == ["mount /a source-grace = 5: pycast has no such setting"]
