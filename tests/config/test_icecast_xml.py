"""Tests of pycast.config.icecast_xml: what Icecast's file says comes out as TOML, or is named."""

import random
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.config.icecast_settings import Host, elements
from pycast.config.icecast_xml import Imported, convert
from pycast.config.import_notes import NoteKind
from pycast.config.load import loads
from pycast.config.schema import Config, MountSection
from pycast.config.section import Key
from pycast.config.units import Size
from pycast.errors import ConfigError
from tests.config.imports import closed, imported, left_out, notes, run

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


def test_settings_of_a_station_come_over() -> None:
    result = convert(STATION, Host(random.Random(1)))
    config = loads(result.toml, {}, "imported")
    assert [note.kind for note in result.notes] == [NoteKind.ADDED]  # the relay's password
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
    toml = tomli.loads(run("<limits><clients>5</clients></limits>").toml)
    passwords = {"source_password": "s", "relay_password": "r", "admin_password": "a"}
    assert toml == {"limits": {"clients": 5}, "authentication": passwords}


def test_password_that_the_file_does_not_have_is_a_random_one_as_nobody_may_log_in_with_it() -> None:
    xml = b"<icecast><authentication><source-password/><admin-password>x</admin-password></authentication></icecast>"
    first, second = (convert(xml, Host(random.Random(seed))) for seed in (1, 2))
    found = loads(first.toml, {}, "f").authentication
    assert {len(found.source_password), len(found.relay_password)} == {16}
    assert found.admin_password == "x"
    assert found.source_password not in second.toml
    assert [str(note) for note in first.notes if note.kind is NoteKind.ADDED] == [
        f"authentication.{who}_password: the file has none, so Icecast lets nobody in; a random one does the same"
        for who in ("source", "relay")
    ]


def test_burst_on_connect_off_is_a_burst_of_nothing() -> None:
    assert imported("<limits><burst-on-connect>0</burst-on-connect></limits>").limits.burst_size == Size(bytes=0)


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (
            "<relay><server>x</server><port>80</port><retry-delay>9</retry-delay></relay>",
            "relay/retry-delay = 9: pycast tries again after half a second, and then less and less often, "
            "up to every 20 s",
        ),
        ("<limits><clients>many</clients></limits>", "limits/clients = many: expected a whole number"),
        (
            "<master-password>geheim</master-password>",
            "master-password: Icecast is no slave without master-server and master-password",
        ),
        (
            '<http-headers><header name="A" value="b" status="x"/></http-headers>',
            'http-headers/header (A = b, status = x): for A: expected a status such as "404", "4*" or "*", not \'x\'',
        ),
    ],
)  # fmt: skip
def test_what_has_no_equivalent_is_named_with_its_line(xml: str, said: str) -> None:
    assert left_out(xml) == [f"line 1: {said}"]
    assert f"# Left out: line 1: {said}" in run(xml).toml


def test_the_folders_of_files_come_over_but_for_icecasts_own_admin_pages() -> None:
    assert imported("<paths><webroot>/srv/web</webroot></paths>").paths.webroot == "/srv/web"
    assert imported("<paths><adminroot>/srv/admin</adminroot></paths>").paths.adminroot == "/srv/admin"
    own = "<paths><adminroot>/usr/share/icecast2/admin</adminroot></paths>"
    assert imported(own).paths.adminroot == "" and left_out(own) == []


def test_socket_for_tls_without_a_certificate_is_to_be_corrected() -> None:
    xml = "<listen-socket><port>8443</port><ssl>1</ssl></listen-socket>"
    assert notes(xml, NoteKind.TO_CORRECT) == [
        "listen[0].tls = true: expected false, or a certificate in [tls]",
    ]
    assert "# To be corrected: listen[0].tls = true" in run(xml).toml


@pytest.mark.parametrize(
    "xml",
    [b"", b"<icecast>", b"<other/>", b'<!DOCTYPE a [<!ENTITY b "c">]><icecast>&b;</icecast>', b"\xff\xfe", b"port = 1"],
)
def test_what_is_no_icecast_file_is_a_config_error(xml: bytes) -> None:
    with pytest.raises(ConfigError):
        convert(xml, Host(random.Random(1)))


def test_entities_are_refused_by_that_name() -> None:
    with pytest.raises(ConfigError, match="line 1: entities are not read: write out what the entity 'b' stands for"):
        convert(b'<!DOCTYPE icecast [<!ENTITY b "c">]><icecast><admin>&b;</admin></icecast>', Host(random.Random(1)))


NAMES = st.sampled_from(["mount", "limits", "port", "clients", "mount-name", "paths", "alias", "logging", "loglevel"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="<>&", exclude_categories=["Cc", "Cs"]), max_size=9)


@settings(deadline=None, max_examples=150)
@given(tree=st.lists(st.tuples(NAMES, NAMES, TEXTS), max_size=8), junk=st.binary(max_size=60))
def test_any_bytes_give_a_file_or_config_error(tree: list[tuple[str, str, str]], junk: bytes) -> None:
    xml = "<icecast>" + "".join(f"<{a}><{b}>{text}</{b}>{text}</{a}>" for a, b, text in tree) + "</icecast>"
    assert isinstance(tomli.loads(convert(xml.encode(), Host(random.Random(1))).toml), dict)
    try:
        convert(junk, Host(random.Random(1)))
    except ConfigError as error:
        assert error.problems


@pytest.mark.parametrize(
    "section", ["server", "limits", "authentication", "listen", "mount", "paths", "alias", "logging", "tls"]
)
def test_no_element_stands_for_two_keys(section: str) -> None:
    schema = Config.KEYS[section].section
    assert schema is not None
    named = [element for key in schema.KEYS.values() for element in key.elements()]
    assert len(named) == len(set(named)) == len(elements(section))


@pytest.mark.parametrize("key", MountSection.KEYS.values(), ids=MountSection.KEYS)
def test_each_key_of_a_mount_is_imported_or_said_to_have_no_equivalent(key: Key) -> None:
    no_equivalent = {"source_grace", "source_takeover", "listener_patience", "on_conflict"}
    no_equivalent |= {"password_file", "cluster_password_file"}
    no_equivalent.add("authentication")  # several elements: see test_icecast_authentication.py
    assert (key.elements() == ()) == (key.name in no_equivalent)
    for element in key.elements():
        example = {"type": "audio/aacp"}.get(key.name, key.example)
        shown = {"http_headers": '<header name="X-Station" value="demo"/>'}.get(key.name, str(example))
        mount = imported(f"<mount><mount-name>/live.mp3</mount-name><{element}>{shown}</{element}></mount>").mount[0]
        assert getattr(mount, key.name) == key.read(example)


def test_key_that_icecast_does_not_have_is_not_taken_from_its_file() -> None:
    xml = "<mount><mount-name>/a</mount-name><source-grace>5</source-grace></mount>"
    assert left_out(xml) == ["line 1: mount /a source-grace = 5: pycast has no such setting"]


EVERYTHING = b"""<icecast>
  <location>a</location><server_id>x</server_id><fileserve>1</fileserve><port>8002</port><include>/etc/more.xml</include>
  <limits><clients>5</clients><burst-on-connect>1</burst-on-connect></limits>
  <authentication>
    <source-password>s</source-password><role type="htpasswd"><option name="filename" value="x"/></role>
  </authentication>
  <listen-socket id="1"><port>8000</port><authentication><role type="url"/></authentication></listen-socket>
  <listen-socket type="virtual"><on-behalf-of>1</on-behalf-of></listen-socket>
  <listen-socket port="8001" shoutcast-compat="1"/>
  <http-headers><header type="cors" name="Access-Control-Allow-Origin"/><header name="A" value="b" status="404"/>
  </http-headers>
  <mount name="/a" type="normal">
    <authentication type="url"><option name="listener_add" value="http://x/"/></authentication>
    <http-headers><header name="X" value="y"/></http-headers>
    <fallback mount="/f-[64].mp3" rate="64k"/><no-mount>1</no-mount><no-yp>1</no-yp>
  </mount>
  <mount><mount-name>/a</mount-name><hidden>1</hidden></mount>
  <mount type="default"><authentication type="url"><option name="mount_add" value="http://x/"/></authentication></mount>
  <paths>
    <logdir>/l</logdir><deny-ip>/d</deny-ip><allow-ip>${ALLOW}</allow-ip><x-forwarded-for>10.0.*</x-forwarded-for>
    <alias source="/" dest="/status.xsl"/><ssl-certificate>/c</ssl-certificate>
  </paths>
  <logging><accesslog name="a.log"><ip>0</ip></accesslog><errorlog><name>e</name><level>3</level></errorlog>
    <accesslog_ip>1</accesslog_ip></logging>
  <security><chroot>0</chroot><changeowner><user>root</user></changeowner>
    <tls-context><tls-key>/k</tls-key></tls-context></security>
  <relay><server>h</server><upstream type="normal"><uri>http://h/</uri></upstream></relay>
</icecast>"""


def places(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Every element of the tree, the outermost one too."""
    return root.iter()


@pytest.mark.parametrize("number", range(len(list(places(ElementTree.fromstring(EVERYTHING))))))
@pytest.mark.parametrize("kind", ["element", "attribute", "text", "element with a value"])
def test_what_nobody_reads_is_named_wherever_it_is(number: int, kind: str) -> None:
    root = ElementTree.fromstring(EVERYTHING)
    place = list(places(root))[number]
    if kind == "attribute":
        place.set("surprise", "a value")
    elif kind == "text" and len(place):
        place[-1].tail = "surprise"
    elif kind == "element with a value":
        ElementTree.SubElement(place, "surprise", name="what", value="ever").text = "more"
    elif kind == "element":
        ElementTree.SubElement(place, "surprise")
    xml = ElementTree.tostring(root)
    named = [note for note in map(str, run_bytes(xml).notes) if "surprise" in note or "a text" in note]
    assert bool(named) == ("surprise" in xml.decode())


def test_the_file_with_everything_has_no_place_for_listeners_that_icecast_keeps_out() -> None:
    config = loads(run_bytes(EVERYTHING).toml.replace("/c", "/c.pem"), {}, "everything")
    assert {config.for_mount(name).max_listeners for name in ("/a", "/b")} == {0}
    assert {listen.bind_address for listen in config.listen} == {"127.0.0.1"}


def run_bytes(xml: bytes) -> Imported:
    return convert(xml, Host(random.Random(1)))


def test_values_of_variables_come_from_the_environment_and_without_one_nothing_opens() -> None:
    xml = "<hostname>${HOST}</hostname><mount><mount-name>/a</mount-name><password>${PW}</password></mount>"
    filled = loads(run(xml, Host(random.Random(1), {"HOST": "h.example", "PW": "geheim"})).toml, {}, "f")
    assert (filled.server.hostname, filled.mount[0].password) == ("h.example", "geheim")
    empty = loads(run(xml).toml, {}, "f")
    assert len(empty.mount[0].password) == 16
    assert "${" not in run(xml).body
    assert left_out("<hostname>${HOST}</hostname>") == [
        "line 1: hostname = ${HOST}: expected a value: the variable HOST is not set; set it and import again"
    ]
    assert closed(xml) == [
        "line 1: mount /a password: expected a value: the variable PW is not set; set it and import again; "
        "until then password is as strict as it can be"
    ]


@pytest.mark.parametrize(
    ("setting", "key", "strictest"),
    [
        ("<max-listeners>${MAX}</max-listeners>", "max_listeners", 0),
        ("<max-listeners>many</max-listeners>", "max_listeners", 0),
        ("<hidden>perhaps</hidden>", "hidden", True),
        ("<public>perhaps</public>", "public", False),
    ],
)
def test_value_that_keeps_somebody_out_and_cannot_be_read_is_the_strictest(
    setting: str, key: str, strictest: object
) -> None:
    xml = f"<mount><mount-name>/a</mount-name>{setting}</mount>"
    assert getattr(loads(run(xml).toml, {}, "f").mount[0], key) == strictest
    assert len(closed(xml)) == 1


@pytest.mark.parametrize("where", ["security", "paths", ""])
def test_certificate_of_a_tls_context_comes_over_wherever_that_is(where: str) -> None:
    context = "<tls-context><tls-certificate>/c.pem</tls-certificate><tls-key>/k.pem</tls-key></tls-context>"
    socket = "<listen-socket><port>8443</port><tls>rfc2818</tls></listen-socket>"
    config = imported(socket + (f"<{where}>{context}</{where}>" if where else context))
    assert (config.tls.certificate, config.tls.private_key) == ("/c.pem", "/k.pem")


def test_chroot_is_refused_with_the_reason_and_without_it_nothing_is_said() -> None:
    assert notes("<security><chroot>1</chroot></security>", NoteKind.REFUSED) == [
        "line 1: security/chroot = 1: pycast cannot lock itself into a folder, as it loads modules later on; set it to "
        "0, and let systemd (ProtectSystem=, RootDirectory=) or a container do it"
    ]
    for off in ("0", "false", ""):
        imported(f"<security><chroot>{off}</chroot></security><paths><basedir>/b</basedir></paths>")


def test_user_and_pidfile_come_over() -> None:
    config = imported(
        "<security><changeowner><user>icecast2</user><group>icecast</group></changeowner></security>"
        "<paths><pidfile>/run/icecast.pid</pidfile></paths>"
    )
    assert (config.security.user, config.security.group) == ("icecast2", "icecast")
    assert config.paths.pidfile == "/run/icecast.pid"


def test_each_section_and_key_has_its_line() -> None:
    socket = "<listen-socket/>\n<listen-socket>\n<port>8000</port></listen-socket>"
    xml = f"\n<hostname>h</hostname>\n{socket}\n<mount>\n<mount-name>/a</mount-name></mount>"
    lines = run(xml).lines
    assert lines["server", "hostname"] == 2
    assert (lines["listen", 0], lines["listen", 0, "port"]) == (4, 5)
    assert (lines["mount", 0], lines["mount", 0, "mount_name"]) == (6, 7)


@pytest.mark.parametrize(
    ("element", "key"),
    [
        ("deny-ip", "deny_ip"),
        ("ban-file", "deny_ip"),
        ("banfile", "deny_ip"),
        ("allow-ip", "allow_ip"),
        ("deny-agents", "deny_agents"),
    ],
)
def test_lists_of_who_may_connect_come_over_and_close_nothing(element: str, key: str) -> None:
    config = imported(f"<paths><{element}>/srv/list</{element}></paths>")
    assert getattr(config.paths, key) == "/srv/list"
    assert config.for_mount("/x").max_listeners == -1


def test_limits_of_icecast_kh_come_over() -> None:
    config = imported(
        "<limits><max-listeners>250</max-listeners><max-bandwidth>100M</max-bandwidth></limits><mount><mount-name>/x"
        "</mount-name><limit-rate>330180</limit-rate><max-bandwidth>10m</max-bandwidth></mount>"
    )
    assert (config.limits.max_listeners, config.limits.max_bandwidth) == (250, 100_000_000)
    assert (config.mount[0].limit_rate, config.mount[0].max_bandwidth) == (330_180, 10_000_000)


SERVER_LOCKS = [
    "<paths><deny-ip>${DENY}</deny-ip></paths>",
    "<paths><ban-file>${DENY}</ban-file></paths>",
    "<paths><deny-agents>${AGENTS}</deny-agents></paths>",
    "<paths><allow-ip>${ALLOW}</allow-ip></paths>",
    "<include>/etc/icecast/more.xml</include>",
    '<authentication><role type="htpasswd"><option name="filename" value="x"/></role></authentication>',
]


@pytest.mark.parametrize("lock", SERVER_LOCKS)
@pytest.mark.parametrize(
    "mounts", ["", "<mount><mount-name>/a</mount-name><max-listeners>9</max-listeners></mount>",
               '<mount type="default"><max-listeners>7</max-listeners></mount>']
)  # fmt: skip
def test_server_that_is_protected_takes_no_listeners_on_any_mount(lock: str, mounts: str) -> None:
    config = loads(run(mounts + lock).toml, {}, "f")
    assert {config.for_mount(name).max_listeners for name in ("/a", "/other.mp3", "/a/b/c")} == {0}
    assert len(closed(mounts + lock)) == 1


def test_server_that_only_some_addresses_may_reach_is_open_for_this_machine_only() -> None:
    for xml in ("", "<listen-socket><port>8000</port><bind-address>10.0.0.1</bind-address></listen-socket>"):
        config = loads(run(f"{xml}<paths><allow-ip>${{ALLOW}}</allow-ip></paths>").toml, {}, "f")
        assert [listen.bind_address for listen in config.listen] == ["127.0.0.1"]
