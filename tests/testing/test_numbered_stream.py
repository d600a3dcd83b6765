"""`Server.stream`: a source out of the box, and what it does on order."""

from collections.abc import Iterator

import pytest

from pycast.testing import Server, StreamRefused
from pycast.testing.faults import Cut, Reset
from pycast.testing.numbered import frames_in


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for all tests; each has a mount of its own."""
    with Server(burst_size=1_000_000, mount=[{"mount_name": "/own.mp3", "password": "own"}]) as server:
        yield server


def test_frames_arrive_in_every_format_with_their_titles(server: Server) -> None:
    for name in ("mp3", "aac", "opus", "vorbis", "flac"):
        mount = f"/all.{name}"
        with server.stream(mount, title="One", format=name, speed=20) as stream, server.listen(mount) as heard:
            heard.wait_for_frames(50)
            stream.title = "Two"
            heard.wait_for_title("Two")
            assert heard.titles[0] == "One" and stream.title == "Two"
            heard.wait_for_frame(stream.sent)
            assert heard.frames.is_whole, heard.frames
        server.wait_for_title(mount, "Two")
        assert server.titles(mount) == ["One", "Two"]


def test_a_mount_may_have_blanks_accents_and_escapes(server: Server) -> None:
    with server.stream("/é ü+%25.mp3", title="One") as stream, server.listen("/é ü+%25.mp3") as heard:
        heard.wait_for_title("One")
        stream.title = "Two"
        server.wait_for_title("/é ü+%.mp3", "Two")
        assert server.get("/é ü+%25.mp3.m3u")[1].endswith(b"/%C3%A9%20%C3%BC+%25.mp3\r\n")


def test_it_sends_only_what_it_is_told_at_speed_0(server: Server) -> None:
    with server.stream("/exact.mp3", speed=0, first=7) as stream:
        assert stream.sent == 0 and stream.is_connected and not stream.reason
        stream.send(300)
        with server.listen("/exact.mp3") as heard:
            heard.wait_for_frames(300)
            assert heard.frames.numbers == list(range(7, 307))


def test_real_time_is_the_pace_of_the_audio(server: Server) -> None:
    with server.stream("/slow.mp3", lead_s=2) as stream, server.listen("/slow.mp3") as heard:
        assert stream.sent >= 76
        heard.wait_for_frame(90)


def test_a_fault_does_not_hit_the_source_of_the_player_that_it_is_for() -> None:
    with Server(watch=True) as server, server.stream("/on.mp3") as stream, server.fault("/on.mp3", Cut(after=5000)):
        with server.listen("/on.mp3") as heard:
            assert heard.wait_for_end() and heard.size <= 5000
        assert stream.is_connected and server.sources["/on.mp3"].last.is_connected
        with server.fault("/on.mp3", Reset(), on="encoders"):
            assert stream.wait_for_disconnect()


def test_bytes_of_ones_own_go_between_the_frames(server: Server) -> None:
    with server.stream("/mixed.mp3", speed=0) as stream:
        stream.send(50)
        stream.send_bytes(b"mine")
        stream.send(50)
        server.wait_for_bytes("/mixed.mp3", stream.size)
    found = frames_in(server.received("/mixed.mp3"))
    assert found.numbers == [*range(100)] and found.foreign == 4 and not found.is_exactly(range(100))
    assert frames_in(server.received("/mixed.mp3")[:20_000]).is_whole
    with pytest.raises(ConnectionError, match=r"disconnect\(\)"):
        stream.send_bytes(b"late")


def test_it_goes_on_where_it_was_after_a_disconnect(server: Server) -> None:
    stream = server.stream("/again.mp3", speed=0).connect()
    stream.send(10)
    stream.disconnect()
    stream.disconnect()
    assert not stream.is_connected and "disconnect()" in stream.reason
    with pytest.raises(ConnectionError, match=r"disconnect\(\)"):
        stream.send(1)
    with stream:
        stream.send(10)
        with pytest.raises(RuntimeError, match="is connected"):
            stream.connect()
        server.wait_until(lambda: len(server.received("/again.mp3")) >= 8350, 10, "the frames")
        stream.reset()
    assert stream.sent == 20 and "reset()" in stream.reason


def test_a_refused_source_says_why(server: Server) -> None:
    with pytest.raises(StreamRefused, match="401") as caught, server.stream("/own.mp3"):
        pass
    assert caught.value.status == 401
    with server.stream("/own.mp3", password="own", method="PUT", headers={"Ice-Name": "Mine"}, speed=0):
        with pytest.raises(StreamRefused, match="Mountpoint in use"), server.stream("/own.mp3", password="own"):
            pass
        assert b"Mine" in server.get("/admin/stats?mount=/own.mp3", admin=True)[1]


def test_it_tells_that_the_server_ended_it(server: Server) -> None:
    with server.stream("/killed.mp3") as stream:
        server.get("/admin/killsource?mount=/killed.mp3", admin=True)
        assert "the server" in stream.wait_for_disconnect()
        assert stream.reason and not stream.is_connected
    with server.stream("/waits.mp3", speed=0) as stream, pytest.raises(TimeoutError):
        stream.wait_for_disconnect(0.05)
