"""/status-json.xsl, byte for byte as Icecast 2.4.4 but for its invalid JSON, and JSON whatever is in it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from pycast.stats.snapshot import NodeSnapshot, PlayedTitle
from pycast.stats.status_json import SHOWN_TITLES, status_json
from tests.stats.snapshots import MP3, VORBIS, mount, node, nodes

GLOBAL = (
    '"admin":"icemaster@localhost","host":"localhost","location":"Earth","server_id":"Icecast 2.4.4",'
    '"server_start":"Sat, 22 Nov 2025 06:59:20 +0000","server_start_iso8601":"2025-11-22T06:59:20+0000"'
)
LIVE = (
    '{"genre":"various","listener_peak":4,"listeners":2,"listenurl":"http://localhost:8000/live.mp3",'
    '"server_description":"Unspecified description","server_name":"My \\"Stream\\" \\\\ x",'
    '"server_type":"audio/mpeg","stream_start":"Sat, 22 Nov 2025 07:00:00 +0000",'
    '"stream_start_iso8601":"2025-11-22T07:00:00+0000","title":"1979","dummy":null}'
)
OGG = (
    '{"artist":"É","audio_bitrate":80000,"audio_channels":1,"audio_samplerate":44100,"genre":"various",'
    '"ice-bitrate":80,"listener_peak":4,"listeners":2,"listenurl":"http://localhost:8000/fb.ogg",'
    '"server_description":"Unspecified description","server_name":"Unspecified name",'
    '"server_type":"application/ogg","stream_start":"Sat, 22 Nov 2025 07:00:00 +0000",'
    '"stream_start_iso8601":"2025-11-22T07:00:00+0000","subtype":"Vorbis","title":"1979","dummy":null}'
)


def document(rest: str) -> bytes:
    return ('{"icestats":{' + GLOBAL + "," + rest + "}}").encode()


def source_of(body: bytes) -> dict[str, Any]:
    source = json.loads(body)["icestats"]["source"]
    assert isinstance(source, dict)
    return source


def test_without_a_mount_there_is_no_source() -> None:
    assert status_json(node()) == document('"dummy":null')


def test_one_mount_is_an_object() -> None:
    assert status_json(node(MP3)) == document('"source":' + LIVE)


def test_several_mounts_are_a_list() -> None:
    assert status_json(node(MP3, VORBIS)) == document(f'"source":[{OGG},{LIVE}]')


def test_a_mount_asked_for_comes_alone() -> None:
    assert status_json(node(MP3, VORBIS), "/fb.ogg") == document('"source":' + OGG)
    assert status_json(node(MP3, VORBIS), "/none") == document('"dummy":null')


def test_hidden_mounts_are_left_out_even_when_asked_for() -> None:
    secret = mount(name="/secret", hidden=True)
    assert status_json(node(MP3, secret)) == document('"source":' + LIVE)
    assert status_json(node(MP3, secret), "/secret") == document('"dummy":null')


@pytest.mark.parametrize("text", ["1979", "-", "1.", ".5", "0.5", "TRUE", "null", " 5 ", "1e5"])
def test_text_is_always_a_string(text: str) -> None:
    named = mount(title=text, artist=text, server_name=text, server_description=text, genre=text, subtype=text)
    source = source_of(status_json(node(named)))
    assert [source[key] for key in ("title", "artist", "server_name", "server_description", "genre", "subtype")] == (
        [text] * 6
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("128", "128"),
        ("0", "0"),
        ("-3", "-3"),
        ("1.50", "1.50"),
        ("TRUE", "true"),
        ("false", "false"),
        ("007", '"007"'),
        ("0.5", '"0.5"'),
        ("Quality 0", '"Quality 0"'),
        ("-", '"-"'),
        ("1.", '"1."'),
        (".5", '".5"'),
        ("1e999", '"1e999"'),
        ("1\n", '"1\\n"'),
        ("٣", '"٣"'),
        ("9" * 5000, '"' + "9" * 5000 + '"'),
    ],
)
def test_other_stats_are_numbers_and_booleans_where_they_look_like_them(text: str, value: str) -> None:
    assert f'"bitrate":{value},' in status_json(node(mount(bitrate=text))).decode()


def test_dummy_stands_only_where_the_last_stat_is_hidden() -> None:
    assert "dummy" not in source_of(status_json(node(mount(stats={"vbr": "1", "dummy": "2"}))))
    assert source_of(status_json(node(mount(stats={"dummy": "2"}))))["dummy"] is None
    assert "dummy" in source_of(status_json(node(mount(user_agent=""))))
    listed = source_of(status_json(node(mount(is_listed=True))))
    assert listed["yp_currently_playing"] == "1979" and "dummy" not in listed


def test_nothing_about_the_people_behind_a_mount_is_public() -> None:
    source = source_of(status_json(node(MP3)))
    assert not {"source_ip", "user_agent", "max_listeners", "public", "slow_listeners"} & set(source)


@given(nodes)
@settings(deadline=None, max_examples=100)
def test_it_is_json_whatever_is_in_it(snapshot: NodeSnapshot) -> None:
    def no_double(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names) or any("?" in name for name in names)
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    body = status_json(snapshot).decode("utf-8")
    stats = json.loads(body, object_pairs_hook=no_double, parse_constant=refuse)["icestats"]
    seen = [one for one in snapshot.mounts if not one.hidden]
    assert ("source" in stats) == bool(seen)
    assert isinstance(stats.get("source", {}), list) == (len(seen) > 1)


def test_the_last_titles_are_there_with_their_times() -> None:
    titles = tuple(PlayedTitle(1000.7 - number, "A" if number else "", f'"{number}"') for number in range(20))
    found = json.loads(status_json(node(mount(history=titles))))["icestats"]["source"]["history"]
    assert found[:2] == [{"time": 1000, "title": '"0"'}, {"time": 999, "artist": "A", "title": '"1"'}]
    assert len(found) == SHOWN_TITLES
    assert "history" not in json.loads(status_json(node(mount())))["icestats"]["source"]
