"""Tests of pycast.config.icecast_mounts: mounts come over in all forms, and none that Icecast protects is open."""

import pytest

from pycast.errors import ConfigError
from tests.config.imports import closed, imported, left_out, result_of, run
from tests.config.test_icecast_protection import PROTECTED


@pytest.mark.parametrize("inside", PROTECTED)
@pytest.mark.parametrize("most", ["", "<max-listeners>5</max-listeners>"])
def test_mount_that_is_protected_takes_no_listeners_and_the_line_is_said(inside: str, most: str) -> None:
    xml = f"<mount>\n<mount-name>/a</mount-name>{inside}{most}</mount><mount><mount-name>/b</mount-name></mount>"
    config = result_of(xml)
    assert (config.for_mount("/a").max_listeners, config.for_mount("/b").max_listeners) == (0, -1)
    assert any(said.startswith("line 2: mount /a: no listener may connect, because of") for said in closed(xml))
    assert f"max_listeners = 0  # closed: line 2{', was 5' if most else ''}\n" in run(xml).body


def test_mount_whose_sources_a_url_decides_about_that_cannot_be_read_takes_none_but_with_a_new_password() -> None:
    option = '<option name="stream_auth" value="x"/>'
    xml = f'<mount><mount-name>/a</mount-name><authentication type="url">{option}</authentication></mount>'
    assert len(result_of(xml).for_mount("/a").password) == 16
    assert result_of(xml).for_mount("/b").password == "s"
    assert len(closed(xml)) == 1


def test_urls_that_are_only_told_close_nothing() -> None:
    option = '<option name="mount_add" value="http://x/"/>'
    xml = f'<mount><mount-name>/a</mount-name><authentication type="url">{option}</authentication></mount>'
    found = imported(xml).for_mount("/a")
    assert (found.authentication.mount_add, found.max_listeners, found.password) == ("http://x/", -1, "s")


def test_first_section_of_a_name_holds() -> None:
    xml = """<mount><mount-name>/a</mount-name><genre>one</genre></mount>
      <mount name="/a"><genre>two</genre></mount><mount><genre>three</genre></mount>"""
    assert [mount.genre for mount in result_of(xml).mount] == ["one"]
    assert left_out(xml) == [
        "line 2: mount /a (name = /a, genre = two): the first section of that name holds, as in Icecast",
        "line 2: mount (genre = three): it has no mount-name",
    ]


@pytest.mark.parametrize("name", ["live.mp3", "//live.mp3", "http://x.example/live.mp3", "?live"])
@pytest.mark.parametrize("inside", ["<password>x</password>", *PROTECTED])
def test_section_with_a_name_that_no_mount_can_have_means_nothing_as_in_icecast(name: str, inside: str) -> None:
    xml = f"<mount><mount-name>{name}</mount-name>{inside}</mount><mount><mount-name>/b</mount-name></mount>"
    assert [mount.mount_name for mount in result_of(xml).mount] == ["/b"]
    [said] = left_out(xml)
    assert "no mount can have that name" in said and not closed(xml)


@pytest.mark.parametrize("inside", PROTECTED)
def test_pattern_without_the_slash_holds_as_in_icecast_kh(inside: str) -> None:
    for xml in (f"<mount><mount-name> *.mp3</mount-name>{inside}</mount>", f'<mount name="*.mp3">{inside}</mount>'):
        config = result_of(xml)
        assert (config.for_mount("/a.mp3").max_listeners, config.for_mount("/a.ogg").max_listeners) == (0, -1)
        assert closed(xml)


def test_name_that_a_variable_has_to_give_is_not_taken_for_none() -> None:
    with pytest.raises(ConfigError, match="mount_name"):
        result_of("<mount><mount-name>${NOWHERE}</mount-name><password>x</password></mount>")


def test_attributes_are_settings_too() -> None:
    [mount] = imported('<mount name="/x.mp3" type="normal" hidden="1" max-listeners="7"/>').mount
    assert (mount.mount_name, mount.hidden, mount.max_listeners) == ("/x.mp3", True, 7)


@pytest.mark.parametrize(
    ("written", "who"), [("1", "own"), ("0", "none"), ("all", "all"), ("OWN", "own"), ("none", "none")]
)
def test_ways_to_move_listeners_back_are_understood(written: str, who: str) -> None:
    xml = f"<mount><mount-name>/a</mount-name><fallback-override>{written}</fallback-override></mount>"
    assert imported(xml).mount[0].fallback_override == who


@pytest.mark.parametrize(
    ("inside", "what"), [("<hijack>1</hijack>", "take_over"), ("<hijack>0</hijack>", "reject"), ("", "reject")]
)
def test_a_second_source_takes_over_where_kh_says_so(inside: str, what: str) -> None:
    assert imported(f"<mount><mount-name>/a</mount-name>{inside}</mount>").for_mount("/a").on_conflict == what


@pytest.mark.parametrize("name", ["/b", "/f-[128].mp3", "/silence.mp3"])
@pytest.mark.parametrize(
    "form", ["<fallback-mount>{}</fallback-mount>", '<fallback mount="{}" rate="128k"/>', "<fallback>{}</fallback>"]
)
def test_fallback_comes_over_whether_it_is_a_mount_or_a_file(form: str, name: str) -> None:
    assert imported(f"<mount><mount-name>/a</mount-name>{form.format(name)}</mount>").mount[0].fallback_mount == name


@pytest.mark.parametrize(
    ("inside", "no_mount", "direct"),
    [
        ("<no-mount>1</no-mount>", True, True),
        ("<no-mount>0</no-mount>", False, True),
        ("<allow-direct-access>0</allow-direct-access>", False, False),
        ("<allow-direct-access>true</allow-direct-access>", False, True),
    ],
)
def test_mount_that_is_only_a_fallback_comes_over_as_one(inside: str, no_mount: bool, direct: bool) -> None:
    mount = imported(f"<mount><mount-name>/a</mount-name>{inside}</mount>").for_mount("/a")
    assert (mount.no_mount, mount.allow_direct_access, mount.max_listeners) == (no_mount, direct, -1)


def test_a_word_for_no_mount_that_nobody_knows_is_the_strictest() -> None:
    xml = "<mount><mount-name>/a</mount-name><no-mount>2</no-mount><allow-direct-access>x</allow-direct-access></mount>"
    assert len(closed(xml)) == 2
    mount = result_of(xml).for_mount("/a")
    assert (mount.no_mount, mount.allow_direct_access) == (True, False)


def test_the_intro_comes_over_also_from_outside_of_webroot() -> None:
    xml = "<mount><mount-name>/a</mount-name><intro>../../../config/intro.mp3</intro></mount>"
    assert imported(xml).mount[0].intro == "../../../config/intro.mp3"


@pytest.mark.parametrize(("inside", "seconds"), [("300", 300), ("0", 0), (None, 3600)])
def test_for_how_long_an_intro_is_not_heard_again_comes_over(inside: str | None, seconds: float) -> None:
    skip = f"<intro-skip-replay>{inside}</intro-skip-replay>" if inside else ""
    xml = f"<mount><mount-name>/a</mount-name><intro>/i.mp3</intro>{skip}</mount>"
    assert imported(xml).for_mount("/a").intro_skip_replay == seconds


def test_old_no_yp_is_public_off() -> None:
    assert imported("<mount><mount-name>/a</mount-name><no-yp>1</no-yp></mount>").mount[0].public is False


@pytest.mark.parametrize("address", ["http://cdn.example.org/live.mp3", "https://cdn.example.org", ""])
def test_the_address_of_a_mount_for_listeners_comes_over(address: str) -> None:
    config = imported(f"<mount><mount-name>/a</mount-name><listenurl>{address}</listenurl></mount>")
    assert config.for_mount("/a").listenurl == address


@pytest.mark.parametrize("address", ["cdn.example.org:8000/live", "ftp://x/", "http://a b/", "javascript:alert(1)"])
def test_an_address_that_is_none_is_left_out_with_its_line(address: str) -> None:
    xml = f"<mount>\n<mount-name>/a</mount-name><listenurl>{address}</listenurl><genre>g</genre></mount>"
    [mount] = result_of(xml).mount
    assert (mount.genre, result_of(xml).for_mount("/a").listenurl) == ("g", "")
    [said] = left_out(xml)
    assert said.startswith(f"line 2: mount /a listenurl = {address}: expected an address for listeners")


def test_a_content_type_and_codecs_of_a_mount_come_over() -> None:
    config = imported(
        '<mount type="normal"><mount-name>/a</mount-name><type>audio/aacp</type><subtype>LC</subtype></mount>'
    )
    assert (config.mount[0].type, config.mount[0].subtype) == ("audio/aacp", "LC")
    assert config.for_mount("/a").type == "audio/aacp"


def test_a_content_type_for_all_mounts_is_left_out() -> None:
    xml = '<mount type="default"><type>audio/aacp</type><hidden>1</hidden></mount>'
    assert left_out(xml) == ["line 1: mount/type = audio/aacp: a content type is for one mount"]
    assert result_of(xml).for_mount("/a").hidden


def test_zero_of_a_mount_means_that_the_limit_of_the_server_holds() -> None:
    limits = "<limits><queue-size>100000</queue-size><source-timeout>7</source-timeout></limits>"
    zero = "<mount><mount-name>/a</mount-name><queue-size>0</queue-size><source-timeout>0</source-timeout></mount>"
    settings = imported(limits + zero).for_mount("/a")
    assert (settings.queue_size.bytes, settings.source_timeout) == (100_000, 7.0)
