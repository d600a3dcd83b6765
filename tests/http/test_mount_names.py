"""Names of mounts and their playlists."""

import pytest

from pycast.http.mount_names import MOST_BYTES, is_mount_name, names_for_players, playlist_target, why_no_mount


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/live.m3u", ("/live", "m3u")),
        ("/live.mp3.pls", ("/live.mp3", "pls")),
        ("/a/b.xspf", ("/a/b", "xspf")),
        ("/live.vclt", ("/live", "vclt")),
        ("/live.mp3", None),
        ("/live.M3U", None),
        ("/.m3u", ("/", "m3u")),
        ("/stream/2/.pls", ("/stream/2/", "pls")),
        ("/m3u", None),
        ("/", None),
        ("*", None),
    ],
)
def test_playlists_belong_to_the_mount_before_their_extension(path: str, target: tuple[str, str] | None) -> None:
    assert playlist_target(path) == target


@pytest.mark.parametrize("path", ["/live", "/a/b.ogg", "/adminx", "/", "/live/"])
def test_a_path_may_be_a_mount(path: str) -> None:
    assert is_mount_name(path)


@pytest.mark.parametrize("path", ["", "live", "/admin", "/admin/", "/admin/x", "/admin.cgi"])
def test_a_mount_cannot_hide_a_page_of_the_server(path: str) -> None:
    assert not is_mount_name(path)


@pytest.mark.parametrize(
    "path",
    [
        *("/live.mp3", "/live", "/;", "/;stream.mp3", "/a/b/c.ogg", "/my radio.aac", "/r\u00e4dio.mp3", "/\u97f3"),
        *("/a.b.c", "/a b/c d.mp3"),
        *("/adminx", "/m3u", "/metrics.mp3", "/stream/2", "/stats.mp3", "/well-known", "/a/sw.js", "/x.m3u8", "/..x"),
        *("/live.html", "/7", "/status", "/radio/admin", "/cluster", "/_", "/0"),
        *("/", "/live/", "/stream/2/", "/live.mp3/", "/a/admin/"),
    ],
)
def test_what_stations_use_may_be_a_mount(path: str) -> None:
    assert why_no_mount(path) == ""
    assert is_mount_name(path)


@pytest.mark.parametrize(
    "path",
    [
        *("/live.mp3.m3u", "/live.mp3.pls", "/live.xspf", "/live.vclt", "/live.M3U", "/.m3u", "/x.xsl", "/status.XSL"),
        *("/sw.js", "/robots.txt", "/favicon.ico", "/SW.js", "/.well-known/security.txt", "/.well-known", "/ads.txt"),
        *("/admin", "/Admin/x", "/admin.cgi", "/admin/", "/admin\\x", "/_cluster/v1", "/_cluster", "/stats", "/7.html"),
        *("/livez", "/readyz", "/metrics", "", "live", "*"),
        *(
            "/livez/",
            "/stats/",
            "/sw.js/",
            "/Admin/",
            "//",
            "/a//b",
            "/a/b//",
            "/./",
            "/a/..",
            "/a\\..\\b",
            "/a\0b",
            "/a\nb",
        ),
    ],
)
def test_where_something_else_is_expected_there_is_no_mount(path: str) -> None:
    assert why_no_mount(path)


def test_a_name_is_not_longer_than_a_log_line_should_be() -> None:
    assert why_no_mount("/" + (MOST_BYTES - 1) * "a") == "" and why_no_mount("/" + (MOST_BYTES // 2 - 1) * "é") == ""
    for name in ("/" + MOST_BYTES * "a", "/" + MOST_BYTES // 2 * "é"):
        assert why_no_mount(name) == "it has more than 1024 bytes"


def test_a_refusal_says_whose_playlist_the_name_would_be() -> None:
    assert why_no_mount("/live.mp3.m3u") == '"/live.mp3" has its playlist there'


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/;", ["/sc", "/"]),
        ("/;stream.mp3", ["/sc", "/"]),
        ("/;stream.nsv&type=mp3;", ["/sc", "/"]),
        ("/live.mp3;", ["/live.mp3"]),
        ("/live.mp3;stream.nsv", ["/live.mp3"]),
        ("/live.mp3/;stream.nsv", ["/live.mp3/", "/live.mp3"]),
        ("/stream/1/", ["/sc"]),
        ("/stream/1", ["/sc"]),
        ("/stream", ["/sc"]),
        ("/stream/1/;", ["/sc", "/stream/1/", "/stream/1"]),
        ("/stream/2/", []),
        ("/live.mp3", []),
        ("/", []),
        ("/admin/;", []),
        ("/metrics;", []),
    ],
)
def test_what_players_of_shoutcast_streams_mean(path: str, names: list[str]) -> None:
    assert names_for_players(path, "/sc") == names
    assert names_for_players(path, "") == [name for name in names if name != "/sc"]
