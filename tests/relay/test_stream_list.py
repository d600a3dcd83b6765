"""The lists of Icecast, icecast-kh and pycast are read, and nothing in them is a mount that cannot be one."""

from pycast.relay.place import Place
from pycast.relay.stream_list import MOST_MOUNTS, is_whole, places_in

MASTER = Place("m", 8000, "/admin/streams", username="relay", password="p", wants_titles=False)


def test_every_form_of_a_line_is_a_mount() -> None:
    body = (
        b"/live.mp3\r\n/\xc3\xbc b.ogg\n"
        b"http://other:81/c.mp3\r\nhttp://m:8000/d.mp3\n"
        b"http://m:8000/x%20y.mp3\r\n/100% hits+.mp3\r\n/%41?.mp3\r\n"
        b"/admin/streams?mount=/e f%.mp3\r\n/admin/streams?mount=/g&h+#=%20.mp3\r\n\r\nnothing\r\n/live.mp3\r\n"
    )
    found = places_in(body, MASTER)
    assert [(mount, place.url, bool(place.authorization)) for mount, place in found.items()] == [
        ("/live.mp3", "http://m:8000/live.mp3", True),
        ("/ü b.ogg", "http://m:8000/%C3%BC%20b.ogg", True),
        ("/c.mp3", "http://other:81/c.mp3", False),
        ("/d.mp3", "http://m:8000/d.mp3", True),
        ("/x y.mp3", "http://m:8000/x%20y.mp3", True),
        ("/100% hits+.mp3", "http://m:8000/100%25%20hits+.mp3", True),
        ("/%41?.mp3", "http://m:8000/%2541%3F.mp3", True),
        ("/e f%.mp3", "http://m:8000/admin/streams?mount=/e%20f%25.mp3", True),
        ("/g&h+#=%20.mp3", "http://m:8000/admin/streams?mount=/g%26h%2B%23%3D%2520.mp3", True),
    ]
    assert all(place.wants_titles for place in found.values())


def test_pages_and_what_is_too_long_are_left_out() -> None:
    assert (
        places_in(b"/status.xsl\n/admin/stats\n/a//b\n/x.m3u\n/" + b"a" * 2000 + b"\nhttp://\n<html>\n", MASTER) == {}
    )
    assert len(places_in(b"".join(b"/%d\n" % number for number in range(MOST_MOUNTS + 5)), MASTER)) == MOST_MOUNTS


def test_list_that_was_cut_in_a_line_is_not_whole() -> None:
    assert is_whole(b"/a\r\n") and is_whole(b"")
    assert not is_whole(b"/a\r\n/b")
