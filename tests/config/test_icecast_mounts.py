"""Tests of pycast.config.icecast_mounts: mounts come over in all forms, and none that Icecast protects is open."""

import random

import pytest

from pycast.config.icecast_settings import Host
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


def test_attributes_are_settings_too() -> None:
    [mount] = imported('<mount name="/x.mp3" type="normal" hidden="1" max-listeners="7"/>').mount
    assert (mount.mount_name, mount.hidden, mount.max_listeners) == ("/x.mp3", True, 7)


@pytest.mark.parametrize(
    ("written", "moves_back"), [("1", True), ("0", False), ("all", True), ("own", True), ("none", False)]
)
def test_ways_to_move_listeners_back_are_understood(written: str, moves_back: bool) -> None:
    xml = f"<mount><mount-name>/a</mount-name><fallback-override>{written}</fallback-override></mount>"
    assert imported(xml).mount[0].fallback_override is moves_back


@pytest.mark.parametrize("form", ["<fallback-mount>/b</fallback-mount>", '<fallback mount="/b"/>'])
def test_fallback_that_is_a_mount_comes_over(form: str) -> None:
    assert imported(f"<mount><mount-name>/a</mount-name>{form}</mount>").mount[0].fallback_mount == "/b"


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("<fallback-mount>/f-[128].mp3</fallback-mount>", "fallback-mount = /f-[128].mp3"),
        ("<fallback-mount>/silence.mp3</fallback-mount>", "fallback-mount = /silence.mp3"),
        ('<fallback mount="/silence.mp3"/>', "fallback/@mount = /silence.mp3"),
    ],
)
def test_fallback_that_is_a_file_is_named(form: str, shown: str) -> None:
    host = Host(random.Random(1), is_file=lambda name: name.endswith("/web/silence.mp3"))
    xml = f"<mount><mount-name>/a</mount-name>{form}</mount><paths><webroot>/srv/web</webroot></paths>"
    assert result_of(xml, host).mount[0].fallback_mount is None
    assert f"line 1: mount /a {shown}: a file; pycast falls back to mounts only" in map(str, run(xml, host).notes)


def test_mount_that_is_there_is_no_file() -> None:
    host = Host(random.Random(1), is_file=lambda name: True)
    xml = '<mount name="/a"><fallback-mount>/b</fallback-mount></mount><mount name="/b"/>'
    assert result_of(xml, host).mount[0].fallback_mount == "/b"


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
