"""Which servers have a door, and a real server behind one: what it says of itself stays right."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from pycast.testing import Server, ServerDied, StreamRefused
from pycast.testing.bad_certificates import make_bad_certificate
from pycast.testing.faults import Kick, Refuse
from pycast.testing.gates import Gates, aired_titles
from tests.e2e.programs import Target, curl_source, require
from tests.e2e.wire import Wire, ask

MOUNT = "/live.mp3"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three ports: plain, for SHOUTcast with mounts of its own, for TLS."""
    pair = make_bad_certificate(tmp_path_factory.mktemp("tls"), "self-signed")
    tls = {"certificate": str(pair.certificate), "private_key": str(pair.certificate)}
    listen = [{}, {"shoutcast_mount": "/sc.mp3"}, {"tls": True}]
    with Server(watch=True, listen=listen, tls=tls, burst_size=0) as server:
        yield server


def ports(server: Server) -> list[int]:
    return [int(entry["port"]) for entry in server.ready["ports"]]


def test_addresses_that_the_server_tells_others_are_those_of_the_door(server: Server) -> None:
    assert server.ready["urls"]["status_json"] == f"http://127.0.0.1:{server.port}/status-json.xsl"
    assert "127.0.0.2" not in str(server.ready)
    with server.stream(MOUNT):
        assert f'"listenurl":"http://localhost:{server.port}{MOUNT}"'.encode() in server.get("/status-json.xsl")[1]
        assert server.url == f"http://127.0.0.1:{server.port}"
        with server.listen(MOUNT) as heard:
            heard.wait_for_bytes(1)
            assert b"<ip>127.0.0.1</ip>" in server.get(f"/admin/listclients?mount={MOUNT}", admin=True)[1].lower()


def test_sources_by_curl_shoutcast_and_tls_are_seen(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "audio"
    with server.stream("/seen.mp3", speed=0, headers={"Ice-Genre": "tests"}) as stream:
        stream.send(100)
        visit = server.sources["/seen.mp3"].wait()
        server.wait_until(lambda: len(server.received("/seen.mp3")) == visit.size > 40_000, 10, "all frames")
        assert visit.audio == server.received("/seen.mp3") and visit.headers["ice-genre"] == "tests"
        file.write_bytes(visit.audio)
    with curl_source(Target(server.port, server.source_password), "/curl.mp3", file, "audio/mpeg", rate="100M"):
        seen = server.sources["/curl.mp3"].wait()
        assert seen.method == "PUT" and seen.user_agent.startswith("curl/") and seen.content_type == "audio/mpeg"
        seen.wait_for_bytes(file.stat().st_size)
        assert seen.wait_for_end() and seen.audio == file.read_bytes()
    with Wire(next(port + 1 for port in ports(server)[1:2])) as shoutcast:
        shoutcast.send(f"{server.source_password}\r\n").read_to(b"\r\n\r\n")
        shoutcast.send(b"icy-name: Old\r\ncontent-type: audio/mpeg\r\n\r\n" + file.read_bytes())
        old = server.sources["/sc.mp3"].wait()
        old.wait_for_bytes(40_000)
        assert (old.method, old.headers["icy-name"]) == ("SHOUTCAST", "Old")
    done = subprocess.run(
        [require("curl"), "-sSk", "-T", str(file), "-u", f"source:{server.source_password}", "-H",
         "Content-Type: audio/mpeg", f"https://localhost:{ports(server)[-1]}/tls.mp3"],
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert server.sources["/tls.mp3"].wait().audio == file.read_bytes(), done


def test_a_server_without_a_door_has_no_thread_in_the_tests_process() -> None:
    before = set(threading.enumerate())
    with Server(watch=False) as server:
        assert server.get("/livez")[0] == 200
        # Python 3.12 and newer warn when a process with threads is forked.
        assert set(threading.enumerate()) <= before


def test_a_server_with_tls_is_watched_too() -> None:
    with Server(watch=True, tls=True) as server, server.stream(MOUNT) as stream, server.listen(MOUNT) as heard:
        heard.wait_for_frames(10)
        assert server.get("/livez")[0] == 200 and stream.is_connected
        assert server.sources[MOUNT].last.audio and server.listeners[MOUNT].last.status == 200
        with server.fault("/other.mp3", Refuse(418)), server.listen("/other.mp3") as refused:
            assert refused.status == 418


def test_refused_sources_are_seen_with_their_status(server: Server) -> None:
    ask(server.port, b"PUT /no.mp3 HTTP/1.0\r\nAuthorization: Basic eDp5\r\nUser-Agent: E\r\n\r\n")
    refused = server.sources["/no.mp3"].wait_for_refusal()
    assert (refused.status, refused.user_agent) == (401, "E") and len(server.sources["/no.mp3"]) == 0


def test_titles_have_their_times_whichever_way_they_came(server: Server) -> None:
    with server.stream("/t.opus", title="One", format="opus") as stream:
        stream.title = "Two"
        server.wait_for_title("/t.opus", "Two")
        assert server.sources["/t.opus"].titles == ["One", "Two"] and server.sources["/t.opus"].titles[0].at > 1e9
        assert not server.sources["/t.opus"].updates
    with server.stream("/t.mp3", title="Three", speed=0):
        (update,) = server.sources["/t.mp3"].updates
        assert (update.title, update.is_taken) == ("Three", True)


def test_requests_for_titles_can_fail_too(server: Server) -> None:
    with server.stream("/tf.mp3", speed=0) as stream, server.fault("/admin/metadata", Refuse(500), times=1) as fault:
        with pytest.raises(StreamRefused, match="500"):
            stream.title = "One"
        stream.title = "Two"
        assert fault.hits == 1 and server.titles("/tf.mp3") in ([], ["Two"])
        first, second = server.sources["/tf.mp3"].updates
        assert (first.title, first.status, first.is_taken) == ("One", 500, False) and second.is_taken


def test_a_server_that_is_killed_refuses_and_one_that_is_back_is_watched_again() -> None:
    with Server(watch=True) as server:
        with server.listen("/none.mp3") as heard:
            heard.wait_for_end()
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), 5)
        server.restart()
        with server.stream(MOUNT):
            assert server.sources[MOUNT].last.is_connected
        assert server.listeners["/none.mp3"].refused[0].status == 404
        os.kill(server.pid, 9)
        server._running().wait(10)
        with pytest.raises(ServerDied):
            server.get("/livez")


@pytest.mark.parametrize("settings", [{"watch": False}, {"listen": [{"bind_address": "127.0.0.1"}]}])
def test_a_server_without_a_door_says_so_where_one_is_needed(settings: "dict[str, object]") -> None:
    with Server(**settings) as server, server.stream(MOUNT, speed=0):
        assert server.listeners(MOUNT) == 0 and server.host == "127.0.0.1"
        with pytest.raises(RuntimeError, match="not watched"):
            _ = server.sources
        with pytest.raises(RuntimeError, match="not watched"):
            _ = server.listeners[MOUNT]


def test_ports_of_the_tests_own_choice_have_no_door() -> None:
    assert Gates(True).suit({"tls": True}) and not Gates(False).suit({})
    assert not Gates(True).suit({"port": 8000}) and not Gates(True).suit({"bind_address": "::"})
    with pytest.raises(RuntimeError):
        _ = Server(watch=True).sources


def test_titles_of_a_mount_are_found_in_the_playlist_log() -> None:
    log = "22/Nov/2025:07:01:00 +0000|/a|12|A|B\nbroken\n22/Nov/2025:07:02:00 +0000|/b|1|C\n"
    assert aired_titles(log, "/a") == [("22/Nov/2025:07:01:00 +0000", "A|B")]


@pytest.mark.parametrize("mount", [MOUNT, "/tea & cake.mp3", "/100%.mp3"])
def test_the_server_kicks_a_source_of_any_name(mount: str) -> None:
    with Server(watch=True) as server, server.stream(quote(mount)), server.fault(mount, Kick(), on="encoders"):
        server.wait_until(lambda: "removed by an admin" in server.log(), 10, "the end of the source")
