"""Names of mounts and their playlists."""

import pytest

from pycast.http.mount_names import is_mount_name, playlist_target


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/live.m3u", ("/live", "m3u")),
        ("/live.mp3.pls", ("/live.mp3", "pls")),
        ("/a/b.xspf", ("/a/b", "xspf")),
        ("/live.vclt", ("/live", "vclt")),
        ("/live.mp3", None),
        ("/live.M3U", None),
        ("/.m3u", None),
        ("/a/.m3u", None),
        ("/m3u", None),
        ("/", None),
        ("*", None),
    ],
)
def test_playlists_belong_to_the_mount_before_their_extension(path: str, target: tuple[str, str] | None) -> None:
    assert playlist_target(path) == target


@pytest.mark.parametrize("path", ["/live", "/a/b.ogg", "/adminx"])
def test_a_path_may_be_a_mount(path: str) -> None:
    assert is_mount_name(path)


@pytest.mark.parametrize("path", ["/", "", "live", "/live/", "/admin", "/admin/x", "/admin.cgi"])
def test_a_mount_cannot_hide_a_page_of_the_server(path: str) -> None:
    assert not is_mount_name(path)
