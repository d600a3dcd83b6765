"""Tests of pycast.config.load: TOML and the environment to a Config, or to every problem at once."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.config.icecast_settings import Host
from pycast.config.icecast_xml import convert
from pycast.config.load import embedded_text, load, loads, made_up_passwords, with_port
from pycast.config.schema import Config
from pycast.config.units import Size
from pycast.errors import ConfigError
from tests.e2e.azuracast import station_xml

LEVELS = 'expected "debug", "info", "warning" or "error"'


def problems(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loads(text, environ, "f.toml")
    return caught.value.problems


def test_empty_file_gives_the_defaults() -> None:
    assert loads("", {}, "f.toml") == Config()


def test_file_is_read_and_named_in_its_errors(tmp_path: Path) -> None:
    file = tmp_path / "pycast.toml"
    file.write_text('[limits]\nburst_size = "4s"\n')
    assert load(file, {}).limits.burst_size == Size(seconds=4.0)
    file.write_text("[limits]\nclients = 0\n")
    with pytest.raises(ConfigError, match=r"pycast\.toml:2: limits\.clients = 0: expected 1 or more"):
        load(file, {})


def test_no_file_gives_the_defaults_with_the_environment() -> None:
    assert load(None, {"PYCAST_LIMITS__CLIENTS": "7"}).limits.clients == 7


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_icecasts_file_is_told_by_its_content(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "my station.conf"
    file.write_bytes("\n<!-- für uns --><icecast><location>Köln</location></icecast>".encode(encoding))
    if encoding != "latin-1":
        assert load(file, {}).server.location == "Köln"
        return
    with pytest.raises(ConfigError, match="line 2: expected utf-8"):  # its encoding is not named
        load(file, {})


@pytest.mark.parametrize("content", [b"\xff", None])
def test_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "pycast.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"pycast\.toml: "):
        load(file, {})


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = '[server]\nhostname = ""\n[limits]\nclients = 0\nqueue_size = "lots"\n[[mount]]\nmount_name = "live"\n'
    assert problems(text) == [
        'f.toml:2: server.hostname = "": expected text that is not empty',
        "f.toml:4: limits.clients = 0: expected 1 or more",
        'f.toml:5: limits.queue_size = "lots": expected bytes such as 65536, "64k" or "512KiB", '
        'or a time of audio such as "4s"',
        'f.toml:7: mount[0].mount_name = "live": expected a name that begins with one "/", such as "/live.mp3"',
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[limits]\nbust_size = 1", "limits.bust_size = 1: unknown key; did you mean burst_size?"),
        ("[limits]\nburst-size = 1", "limits.burst-size = 1: unknown key; did you mean burst_size?"),
        ("[server]\nproxy_protocol = true", "server.proxy_protocol = true: unknown key here; it belongs in [[listen]]"),
        ("[limit]\nclients = 1", "limit: unknown section; did you mean [limits]?"),
        ("[tls]\nzzz = 1", "tls.zzz = 1: unknown key; the keys here are certificate, private_key"),
        ("[listen]\nport = 1", "listen: expected an array of tables: write the section with double brackets"),
        ("[[limits]]", "limits: expected a table of keys"),
        ("[servr]\nport = 1", "servr: unknown section; did you mean [server]?"),
        ("[[listn]]\nport = 1", "listn: unknown section; did you mean [[listen]]?"),
        ('[cluster]\nregistry = "mehs"', 'cluster.registry = "mehs": expected "mesh" or "etcd"; did you mean "mesh"?'),
        ('[logging]\nlog_level = "debgu"', f'logging.log_level = "debgu": {LEVELS}; did you mean "debug"?'),
        ("listen = []", "listen: expected at least one [[listen]] section"),
        ('[logging]\nlog_level = "loud"', 'logging.log_level = "loud": expected "debug", "info", "warning" or "error"'),
        (
            '[[mount]]\ntype = "x"',
            'mount[0].type = "x": expected "normal", "default" or a content type such as "audio/aacp"',
        ),
        ("[[listen]]\ntls = true", "listen[0].tls = true: expected false, or a certificate in [tls]"),
        ("[[listen]]\nport = 8000.5", "listen[0].port = 8000.5: expected a whole number"),
        ("[[listen]]\nport = true", "listen[0].port = true: expected a whole number"),
        ("[[mount]]\ngenre = 'x'", 'mount[0].mount_name: expected a name such as "/live.mp3" (or type = "default")'),
        (
            '[[mount]]\nmount_name = "/a"\n[[mount]]\nmount_name = "/a"',
            'mount[1].mount_name = "/a": expected each mount to have one section only',
        ),
        (
            "[[listen]]\n[[listen]]",
            "listen[1].port = 8000: expected a port that listen[0] does not use already",
        ),
        (
            '[[listen]]\nshoutcast_mount = "/a"\n[[listen]]\nport = 8001',
            "listen[1].port = 8001: expected a port that listen[0] does not use already",
        ),
        (
            '[http_headers]\n"a b" = "c"',
            "http_headers: expected header names made of letters, digits and dashes, not 'a b'",
        ),
        (
            '[http_headers]\na = "b\\r\\nc"',
            "http_headers: for a: expected text without line breaks or other control characters",
        ),
    ],
)
def test_problem_says_where_and_what_to_do(text: str, said: str) -> None:
    assert [re.sub(r"^f\.toml:[0-9]+: ", "f.toml: ", problem) for problem in problems(text)] == [f"f.toml: {said}"]


def test_problem_names_the_line_of_its_key_or_of_its_section() -> None:
    text = '[limits]\n# A comment.\n\nclients = 0\n[[mount]]\ngenre = "x"\n[listn]\n'
    assert [problem.split(" ")[0] for problem in problems(text)] == ["f.toml:4:", "f.toml:7:"]
    assert problems(text.replace("[listn]", "").replace("0", "1"))[0].startswith("f.toml:5: mount[0].mount_name")
    assert problems(text, PYCAST_LIMITS__CLIENTS="0")[0].startswith("PYCAST_LIMITS__CLIENTS: ")


def test_broken_toml_is_told_with_its_place() -> None:
    [problem] = problems("[server]\nhostname = \n")
    assert problem == "f.toml:2: not TOML, at column 12: Invalid value; text needs quotes around it"
    assert problems("a = [1")[0].startswith("f.toml: not TOML: ")


def test_group_without_a_user_is_an_error() -> None:
    assert problems('[security]\ngroup = "g"\n') == [
        'f.toml:2: security.group = "g": expected security.user too: a group alone is not changed'
    ]


XML = """<icecast>
  <hostname>radio.example</hostname>
  <limits><clients>7</clients><threadpool>5</threadpool></limits>
  <authentication>
    <source-password>s</source-password><relay-password>r</relay-password><admin-password>a</admin-password>
  </authentication>
  <listen-socket><port>8000</port></listen-socket>
  <mount><mount-name>/live.mp3</mount-name><hidden>1</hidden></mount>
  <icelogin>1</icelogin>
</icecast>
"""


def test_icecasts_xml_is_the_configuration_that_its_import_would_be() -> None:
    config = loads(XML, {}, "icecast.xml")
    imported = convert(XML.encode(), Host(random.Random(1)))
    assert config == loads(imported.body, {}, "pycast.toml")
    assert (config.server.hostname, config.listen[0].port) == ("radio.example", 8000)
    assert config.for_mount("/live.mp3").hidden
    assert config.notes == ("icecast.xml:9: left out: icelogin = 1: sources give their password as HTTP wants it",)
    assert with_port(config, 9000).notes == config.notes


def test_what_a_file_is_is_told_by_what_it_begins_with_and_not_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "pycast.toml"
    file.write_bytes(XML.replace("radio", "rädio").encode())
    assert load(file, {}).server.hostname == "rädio.example"
    file.write_bytes(b'<?xml version="1.0" encoding="ISO-8859-1"?>' + XML.replace("radio", "rädio").encode("latin-1"))
    assert load(file, {}).server.hostname == "rädio.example"
    file.write_bytes(XML.replace("radio", "rädio").encode("latin-1"))
    with pytest.raises(ConfigError, match="line 2: expected utf-8"):
        load(file, {})


def test_environment_overrides_icecasts_xml_and_fills_its_variables() -> None:
    config = loads(
        XML.replace("radio.example", "${HOST}"), {"PYCAST_LIMITS__CLIENTS": "9", "HOST": "h.example"}, "icecast.xml"
    )
    assert (config.limits.clients, config.server.hostname) == (9, "h.example")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</icecast>", "", "icecast.xml: not XML that pycast reads: line 11: no element found"),
        ("icecast>", "html>", "icecast.xml: expected <icecast> as the outermost element, not <html>"),
        (
            "  <icelogin>1</icelogin>",
            "<listen-socket><shoutcast-mount>/sc</shoutcast-mount><port>65535</port></listen-socket>",
            "icecast.xml:9: listen[1].port = 65535: expected a port below 65535, as SHOUTcast takes the next one",
        ),
        (
            "<icelogin>1</icelogin>",
            "<security><chroot>1</chroot></security>",
            "icecast.xml:9: security/chroot = 1: pycast cannot lock itself into a folder",
        ),
    ],
)
def test_errors_in_icecasts_xml_have_its_lines(old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        loads(XML.replace(old, new), {}, "icecast.xml")
    assert [problem for problem in raised.value.problems if problem.startswith(said)], raised.value.problems


def test_the_file_that_azuracast_writes_is_read_whole(tmp_path: Path) -> None:
    config = loads(station_xml(tmp_path, 8000, 8001, 8002), {}, "icecast.xml")
    radio = config.for_mount("/radio.mp3")
    assert (config.limits.clients, config.limits.sources) == (2500, 4)
    assert (config.authentication.source_password, config.authentication.admin_user) == ("srcpw12345", "admin")
    assert config.listen[0].tls == "auto"
    assert [str(network) for network in config.listen[0].trusted_proxies] == ["127.0.0.1/32"]
    assert config.tls.certificate == f"{tmp_path}/acme/ssl.crt"
    assert (config.logging.access_log, config.logging.error_log) == (f"{tmp_path}/config/icecast_access.log", "-")
    assert config.paths.pidfile == f"{tmp_path}/config/icecast.pid"
    assert (radio.stream_name, radio.genre, radio.max_listener_duration) == ("Radio Exämple", "Various", 43200)
    assert config.for_mount("/mobile.aac").hidden


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_file_of_another_systems_editor_is_read(tmp_path: Path, mark: bytes, end: bytes) -> None:
    file = tmp_path / "f.toml"
    file.write_bytes(mark + end.join([b"[limits]", b"clients = 7", b"sources = -1", b""]))
    with pytest.raises(ConfigError, match=r"f\.toml:3: limits\.sources = -1: expected 0 or more$"):
        load(file, {})
    file.write_bytes(file.read_bytes().replace(b"-1", b"1"))
    assert load(file, {}).limits.clients == 7


def test_passwords_are_never_shown() -> None:
    text = '[authentication]\nsource_password = 12345\n[[mount]]\nmount_name = "/a"\npassword = "se\\ncret"\n'
    assert not any("12345" in problem or "cret" in problem for problem in problems(text))


@pytest.mark.parametrize(
    "text",
    [
        "[authentication]\nadmin_pasword = {}",
        "[authentication]\nsorce_pwd = {}",
        "[cluster]\nsecrt = {}",
        "[[mount]]\nmount_name = '/a'\npasswrd = {}",
        "[limits]\nadmin_password = {}",
        "admin_password = {}",
        "[authentification]\nadmin_password = {}",
    ],
)
@pytest.mark.parametrize("value", ["'geheim'", "4711"])
def test_passwords_under_a_misspelt_key_are_not_shown_either(text: str, value: str) -> None:
    [problem] = problems(text.format(value))
    assert "unknown" in problem
    assert value.strip("'") not in problem


def test_environment_overrides_the_file() -> None:
    environ = {
        "PYCAST_LIMITS__BURST_SIZE": "32k",
        "PYCAST_LIMITS__SOURCE_TAKEOVER": "no",
        "PYCAST_LISTEN__0__PORT": "9000",
        "PYCAST_LISTEN__1__PORT": "9001",
        "PYCAST_MOUNT__0__MOUNT_NAME": "/env.mp3",
        "PYCAST_MOUNT__0__HTTP_HEADERS__X_ONE": "1",
        "PYCAST_HTTP_HEADERS__X_STATION": "demo",
    }
    config = loads('[limits]\nburst_size = "64k"\nclients = 5\n', environ, "f.toml")
    assert (config.limits.burst_size, config.limits.clients) == (Size(bytes=32768), 5)
    assert config.limits.source_takeover is False
    assert [listen.port for listen in config.listen] == [9000, 9001]
    assert config.mount[0].mount_name == "/env.mp3"
    assert config.mount[0].http_headers == {"X-One": "1"}
    assert config.http_headers == {"Access-Control-Allow-Origin": "*", "X-Station": "demo"}


def test_more_than_ten_sections_can_come_from_the_environment() -> None:
    environ = {f"PYCAST_MOUNT__{number}__MOUNT_NAME": f"/{number}" for number in range(12)}
    assert [mount.mount_name for mount in loads("", environ, "f.toml").mount] == [f"/{number}" for number in range(12)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("PYCAST_LIMITS__BUST_SIZE", "unknown setting; did you mean PYCAST_LIMITS__BURST_SIZE?"),
        ("PYCAST_LIMIT__CLIENTS", "unknown setting; did you mean PYCAST_LIMITS__CLIENTS?"),
        ("PYCAST_MOUNT__0__PASWORD", "unknown setting; did you mean PYCAST_MOUNT__0__PASSWORD?"),
        ("PYCAST_LIMITS__ZZZ", "unknown key; the keys here are"),
        ("PYCAST_LIMITS_CLIENTS", "two underscores after the section: PYCAST_LIMITS__CLIENTS"),
        ("PYCAST_LISTEN_0_PORT", "two underscores after the section: PYCAST_LISTEN__0__PORT"),
        ("PYCAST_LISTEN__2__PORT", "expected a number up to 1: there are 1 [[listen]] sections"),
        ("PYCAST_LISTEN__PORT", "expected a name with a number, such as PYCAST_LISTEN__0__KEY"),
        ("PYCAST_LIMITS__CLIENTS", 'limits.clients = "x": expected a whole number'),
        ("PYCAST_LIMITS__CLIENTS__X", "expected the name of a key in a section"),
    ],
)
def test_bad_variable_is_named(name: str, said: str) -> None:
    text = "[limits]\nclients = 1\n" if name.endswith("__X") else ""
    [problem] = problems(text, **{name: "x"})
    assert problem.startswith(f"{name}: {said}")


def test_variables_of_an_orchestrator_are_not_ours() -> None:
    assert loads("", {"PYCAST_PORT": "tcp://10.0.0.1:80", "PYCAST_SERVICE_HOST": "x"}, "f.toml") == Config()


def embedded(seed: int, **environ: str) -> Config:
    """Returns the configuration of a server without a file."""
    return loads(embedded_text(made_up_passwords(random.Random(seed))), environ, "defaults")


def test_embedded_configuration_has_three_fresh_passwords() -> None:
    one, two = embedded(1), embedded(2)
    names = ("source_password", "relay_password", "admin_password")
    passwords = [getattr(config.authentication, name) for config in (one, two) for name in names]
    assert len(set(passwords)) == 6
    assert all(len(password) == 16 and password.isalnum() for password in passwords)
    assert embedded(1) == one


def test_embedded_configuration_obeys_the_environment() -> None:
    config = embedded(1, PYCAST_AUTHENTICATION__SOURCE_PASSWORD="mine")
    assert config.authentication.source_password == "mine"
    assert config.authentication.admin_password != "hackme"


def test_port_option_changes_the_first_section_only() -> None:
    config = loads("[[listen]]\nport = 8000\n[[listen]]\nport = 8001\n", {}, "f.toml")
    assert [listen.port for listen in with_port(config, 0).listen] == [0, 8001]
    with pytest.raises(ConfigError, match=r"^--port: listen\[1\]\.port = 8001"):
        with_port(config, 8001)


KEYS = st.sampled_from(["server", "limits", "listen", "mount", "http_headers", "clients", "port", "mount_name", "x"])
VALUES = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5), st.just("64k")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {as_toml(content)}" for key, content in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" if ord(c) < 0xD800 or ord(c) > 0xDFFF else "" for c in value) + '"'
    return str(value).lower()


@settings(deadline=None, max_examples=150)
@given(data=st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_toml_gives_a_config_or_config_error(data: dict[str, object]) -> None:
    text = "\n".join(f"{key} = {as_toml(value)}" for key, value in data.items())
    try:
        assert isinstance(loads(text, {}, "f"), Config)
    except ConfigError as error:
        assert error.problems
        assert all("\n" not in problem.splitlines()[0] for problem in error.problems)


@settings(deadline=None, max_examples=150)
@given(text=st.text(), name=st.from_regex(r"PYCAST_[A-Z0-9_]{0,30}", fullmatch=True), value=st.text())
def test_any_text_and_any_variable_give_a_config_or_config_error(text: str, name: str, value: str) -> None:
    for content, environ in ((text, {}), ("", {name: value})):
        try:
            assert isinstance(loads(content, environ, "f"), Config)
        except ConfigError as error:
            assert error.problems


def test_variable_that_is_not_utf8_is_refused() -> None:
    [problem] = problems("", PYCAST_SERVER__ADMIN="\udcff")
    assert problem.endswith("expected text without line breaks or other control characters")


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "[server]\nhostname = 0x" + "f" * 5000, "a = " + "[" * 5000])
def test_absurd_values_are_refused_and_not_printed(text: str) -> None:
    assert all(len(problem) < 400 for problem in problems(text))
