"""Which stats exist, under which names."""

import pytest
from hypothesis import given, settings

from pycast.stats.icestats import (
    find_mount,
    global_stats,
    iso8601_time,
    rfc822_time,
    select_mounts,
    source_stats,
    stream_url,
    visible_mounts,
)
from pycast.stats.playlists import vclt, xspf
from pycast.stats.snapshot import NodeSnapshot
from tests.stats.snapshots import MP3, VORBIS, mount, node, nodes


@pytest.mark.parametrize(
    ("own", "url"),
    [
        ("", "http://h:1/a%20b"),
        ("https://c.example", "https://c.example/a%20b"),
        ("https://c.example/", "https://c.example/"),
        ("https://c.example/x?", "https://c.example/x?"),
    ],
)
def test_an_address_of_its_own_is_the_mounts(own: str, url: str) -> None:
    assert stream_url("http://h:1", "/a b", own) == url


def test_times_are_utc_with_the_zone_written_out() -> None:
    assert rfc822_time(1763794800.9) == "Sat, 22 Nov 2025 07:00:00 +0000"
    assert iso8601_time(1763794800.9) == "2025-11-22T07:00:00+0000"


def test_global_stats_have_all_of_icecasts_names() -> None:
    assert " ".join(name for name, _ in global_stats(node())) == (
        "admin client_connections clients connections file_connections host listener_connections listeners location "
        "server_id server_start server_start_iso8601 source_client_connections source_relay_connections "
        "source_total_connections sources stats stats_connections"
    )


def test_stats_without_a_value_do_not_exist() -> None:
    bare = mount(title="", genre="", stream_start=0.0, user_agent="", source_ip="", stats={"quality": "", "": "x"})
    assert list(source_stats(node(), bare)) == [
        "genre", "listener_peak", "listeners", "listenurl", "max_listeners", "public", "server_description",
        "server_name", "server_type", "slow_listeners", "total_bytes_read", "total_bytes_sent",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("artist", "title", "song"),
    [("", "1979", "1979"), ("Pumpkins", "1979", "Pumpkins - 1979"), ("P", "P - 1979", "P - 1979"), ("", "", None)],
)
def test_listed_mount_says_what_plays_as_icecast_does_once_a_directory_was_told(
    artist: str, title: str, song: str | None
) -> None:
    listed = source_stats(node(), mount(artist=artist, title=title, is_listed=True))
    assert listed.get("yp_currently_playing") == song
    assert "yp_currently_playing" not in source_stats(node(), mount(artist=artist, title=title))


def test_a_source_without_a_description_gets_icecasts_texts() -> None:
    stats = source_stats(node(), mount(server_name="", server_description="", genre=""))
    assert (stats["server_name"], stats["server_description"], stats["genre"]) == (
        "Unspecified name",
        "Unspecified description",
        "various",
    )


def test_what_the_source_claims_never_replaces_what_the_server_knows() -> None:
    claims = {"listeners": "100000", "title": "Fake", "bitrate": "320", "quality": "9"}
    stats = source_stats(node(), mount(stats=claims, bitrate="128"))
    assert (stats["listeners"], stats["title"], stats["bitrate"], stats["quality"]) == ("2", "1979", "128", "9")


def test_what_only_the_source_knows_is_taken_from_it() -> None:
    assert source_stats(node(), mount(stats={"bitrate": "128"}, bitrate=""))["bitrate"] == "128"


def test_a_listener_limit_is_a_number_or_unlimited() -> None:
    assert source_stats(node(), mount(max_listeners=-1))["max_listeners"] == "unlimited"
    assert source_stats(node(), mount(max_listeners=0))["max_listeners"] == "0"


def test_artist_stands_alone_only_where_the_title_does() -> None:
    assert source_stats(node(), VORBIS)["artist"] == "É"
    assert "artist" not in source_stats(node(), mount(artist="Ar", title="Ar - Ti"))


def test_mounts_are_selected_by_name_and_by_visibility() -> None:
    hidden = mount(name="/secret", hidden=True)
    snapshot = node(MP3, hidden)
    assert find_mount(snapshot, "/secret") is hidden
    assert find_mount(snapshot, "/none") is None
    assert select_mounts(snapshot, None) == (MP3, hidden)
    assert select_mounts(snapshot, "/secret") == (hidden,)
    assert visible_mounts(snapshot) == (MP3,)
    assert visible_mounts(snapshot, "/secret") == ()


@given(nodes)
@settings(deadline=None, max_examples=50)
def test_names_are_in_byte_order_and_values_are_never_empty(snapshot: NodeSnapshot) -> None:
    for one in snapshot.mounts:
        stats = source_stats(snapshot, one)
        assert list(stats) == sorted(stats)
        assert all(stats) and all(stats.values())


def test_listenurl_is_percent_encoded_as_the_playlists_addresses_are() -> None:
    one = mount(name="/a b/é?#%.mp3")
    snapshot = node(one)
    url = source_stats(snapshot, one)["listenurl"]
    assert url == "http://localhost:8000/a%20b/%C3%A9%3F%23%25.mp3"
    assert f"<location>{url}</location>" in xspf(snapshot, one.name).decode()
    assert f"STREAMURL={url}\n" in vclt(snapshot, one.name).decode()
