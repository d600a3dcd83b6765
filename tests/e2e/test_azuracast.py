"""An AzuraCast station on pycast in place of icecast-kh: its file, its nginx, its authentication, what it reads, its
reload.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urljoin

import pytest

from pycast.formats.silence import StreamShape, silence
from tests.e2e.azuracast import ListenerAuth, Station, auto_dj, behind_nginx, now_playing
from tests.e2e.deadline import until
from tests.e2e.nginx import Nginx
from tests.e2e.programs import Target, curl_source
from tests.e2e.test_tls import certificate_of
from tests.e2e.wire import FRAME_BYTES, Wire, ask, basic, frames, get, source

PASSWORD = "srcpw12345"
INTRO, FALLBACK, UPSTREAM = 500_000, 600_000, 700_000
"""The numbers of the first frames of each."""
FALLBACK_FRAMES = 100


class Upstream:
    """The server that one mount of the station relays: it sends frames for ever."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            with sock:
                try:
                    assert sock.recv(4096).startswith(b"GET /live.mp3 ")
                    sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nicy-name: Upstream\r\n\r\n")
                    number = UPSTREAM
                    while not self._stop.wait(0.05):
                        sock.sendall(frames(number, 4))
                        number += 4
                except OSError:
                    continue

    def close(self) -> None:
        self._stop.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)


@pytest.fixture(scope="module")
def auth() -> Iterator[ListenerAuth]:
    made = ListenerAuth()
    yield made
    made.close()


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory, auth: ListenerAuth) -> Iterator[Station]:
    upstream = Upstream()
    made = Station(tmp_path_factory.mktemp("azuracast"), auth.port, upstream.port)
    (made.config / "intro.mp3").write_bytes(frames(INTRO, 30))
    (made.web / "fallback-[128].mp3").write_bytes(frames(FALLBACK, FALLBACK_FRAMES))
    (made.web / "fallback-[192].ogg").write_bytes(silence(StreamShape("ogg", "Vorbis", 48_000, 2)))
    with made:
        yield made
    upstream.close()


def playing(station: Station, path: str, ip: str = "203.0.113.5", agent: str = "Player/1") -> Wire:
    """Returns a listener that came through nginx."""
    wire = Wire(station.port)
    reply = wire.send(behind_nginx(path, ip, agent)).read_head()
    if reply.status != 200:
        wire.close()
    assert reply.status == 200, reply
    return wire


def numbers(audio: bytes) -> list[int]:
    """The numbers of whole frames."""
    return [int(audio[at + 4 : at + 36]) for at in range(0, len(audio) - FRAME_BYTES + 1, FRAME_BYTES)]


def test_it_starts_with_the_file_as_it_is_and_closes_nothing(station: Station) -> None:
    assert (station.config / "icecast.pid").read_text() == f"{station.pid}\n"
    assert "closed:" not in station.log()
    assert (station.config / "icecast_access.log").exists()
    assert get(station.port, "/status-json.xsl").status == 200


def test_what_it_reads_is_what_is_played_and_by_whom(station: Station) -> None:
    with source(station.port, "/radio.mp3", PASSWORD, headers="ice-bitrate: 128\r\n") as feed:
        feed.send(frames(0, 100))
        query = "mode=updinfo&mount=/radio.mp3&charset=UTF-8&artist=Bj%C3%B6rk&title=J%C3%B3ga&album=Homogenic"
        assert get(station.port, f"/admin/metadata?{query}", basic("source", PASSWORD)).status == 200
        with playing(station, "/radio.mp3", "203.0.113.5", "One/1"), playing(station, "/radio.mp3", "203.0.113.6"):
            until(lambda: now_playing(station.port, "/radio.mp3").listeners == 2, "the listeners")
            seen = now_playing(station.port, "/radio.mp3")
            assert (seen.artist, seen.title) == ("Björk", "Jóga")
            assert (seen.kbps, seen.format) == (128, "audio/mpeg")
            assert seen.clients == {("203.0.113.5", "One/1"), ("203.0.113.6", "Player/1")}
            found = json.loads(get(station.port, "/status-json.xsl?mount=/radio.mp3").body)["icestats"]["source"]
            assert found["listenurl"] == "https://radio.example.com/listen/example/radio.mp3"
            assert (found["bitrate"], found["server_type"], found["listeners"]) == (128, "audio/mpeg", 2)


def test_who_is_in_a_banned_country_hears_nothing(station: Station, auth: ListenerAuth) -> None:
    with source(station.port, "/radio.mp3", PASSWORD) as feed:
        feed.send(frames(0, 100))
        assert ask(station.port, behind_nginx("/radio.mp3", "198.51.100.7")).status in (401, 403)
        assert auth.asked[-1]["action"] == "listener_add"
        assert auth.asked[-1]["ip"] == "198.51.100.7"
        playing(station, "/radio.mp3", "203.0.113.9").close()


def test_its_liquidsoap_sends_three_formats_with_their_titles(station: Station, tmp_path: Path) -> None:
    # The song is set again each second; MP3 and AAC have its artist and title by /admin/metadata, Ogg in the stream.
    with auto_dj(station.port, tmp_path):
        for mount, format in SENT.items():
            wait_for_song(station, mount)
            assert now_playing(station.port, mount).format == format
            with playing(station, mount, "203.0.113.21") as wire:
                assert wire.read(20_000)
        assert now_playing(station.port, "/radio.mp3").kbps == 128


SONG = ("Sigur Rós", "Hoppípolla")
SENT = {"/radio.mp3": "audio/mpeg", "/mobile.aac": "audio/aac", "/radio.ogg": "application/ogg"}


def wait_for_song(station: Station, mount: str) -> None:
    def is_there() -> bool:
        with suppress(ValueError):  # the mount is not there yet
            seen = now_playing(station.port, mount)
            return (seen.artist, seen.title) == SONG
        return False

    until(is_there, f"the song on {mount}", 40)


def test_a_listener_hears_the_intro_and_no_gap_between_stream_and_file(station: Station) -> None:
    """Not a frame is missing or comes twice: the intro, the stream to its last frame, the file in real time from where
    it is for all on, round and round, the stream again.
    """
    with source(station.port, "/radio.mp3", PASSWORD) as feed:
        feed.send(frames(0, 200))
        with playing(station, "/radio.mp3", "203.0.113.77") as wire:
            heard = through(wire, b"%032d" % 199)
            feed.close()
            gone = time.monotonic()
            heard += through(wire, b"%026d600" % 0)
            silent_s = time.monotonic() - gone
            heard += through(wire, b"%032d" % (FALLBACK + FALLBACK_FRAMES - 1)) + through(wire, b"%032d" % FALLBACK)
            with source(station.port, "/radio.mp3", PASSWORD) as back:
                back.send(frames(1000, 50))
                heard += through(wire, b"%032d" % 1049)
    found = numbers(heard)
    live, file = found.index(199) + 1, [one for one in found if FALLBACK <= one < UPSTREAM]
    after = found[live + len(file) :]
    assert found[:30] == list(range(INTRO, INTRO + 30))
    assert found[30:live] == list(range(found[30], 200))
    assert found[live : -len(after)] == file
    assert file == [FALLBACK + (file[0] + number) % FALLBACK_FRAMES for number in range(len(file))]
    assert after == list(range(after[0], 1050))
    assert silent_s < 4  # of which the burst has as much


def through(wire: Wire, mark: bytes) -> bytes:
    """Reads to the end of the frame whose number begins with `mark`."""
    return wire.read_to(mark) + wire.read(FRAME_BYTES - 4 - len(mark))


def test_listeners_beyond_its_limit_are_sent_away_and_told_when_to_come_again(station: Station) -> None:
    station.reload(station.xml.replace("<max-listeners>1000", "<max-listeners>2"))
    with source(station.port, "/radio.mp3", PASSWORD) as feed, ExitStack() as stack:
        feed.send(frames(0, 100))
        for number in range(2):
            stack.enter_context(playing(station, "/radio.mp3", f"203.0.113.{number}"))
        refused = ask(station.port, behind_nginx("/radio.mp3", "203.0.113.9"))
        assert refused.status == 503 and refused.header("Retry-After")
    station.reload(station.xml)


def test_the_access_log_is_rotated_under_a_name_that_its_clean_up_finds(station: Station) -> None:
    station.reload(station.xml.replace("<logsize>10000", "<logsize>1"))
    for _ in range(40):
        get(station.port, "/status-json.xsl")
    until(lambda: [*station.config.glob("icecast_*.log.*")], "a rotated log")
    station.reload(station.xml)


def test_an_encoder_whose_old_connection_hangs_comes_back_although_all_places_are_taken(station: Station) -> None:
    station.reload(station.xml.replace("<sources>4", "<sources>2"))  # one is the relay's
    with source(station.port, "/radio.mp3", PASSWORD) as hanging:
        hanging.send(frames(0, 100))
        again: list[Wire] = []

        def is_taken() -> bool:
            with suppress(AssertionError):  # refused until the old connection has been silent for two seconds
                again.append(source(station.port, "/radio.mp3", PASSWORD))
            return bool(again)

        until(is_taken, "the encoder to be let in again")
        with again[0]:
            again[0].send(frames(500, 200))
            with playing(station, "/radio.mp3", "203.0.113.31") as wire:
                wire.read_to(b"%032d" % 699)
    station.reload(station.xml)


def test_a_source_above_limit_rate_is_slowed_down_and_stays(station: Station, tmp_path: Path) -> None:
    # 330,180 bit/s, of which five seconds may come at once: some 495 frames. What is read to is half a second more.
    first, file, target = 40_000, tmp_path / "x.mp3", Target(station.port, PASSWORD)
    file.write_bytes(frames(first, 5000))
    said = "mount /radio.mp3: the source from 127.0.0.1 sends more than limit_rate, 330180 bit/s"
    with (
        playing(station, "/radio.mp3", "203.0.113.41") as wire,
        curl_source(target, "/radio.mp3", file, "audio/mpeg", rate="100M") as curl,
    ):
        until(lambda: said in station.log(), "the source to be slowed down")
        wire.read_to(b"%032d" % (first + 550))
        assert curl.is_running, curl.output()
        # What it has sent by now would have the mount for a minute.
        assert get(station.port, "/admin/killsource?mount=/radio.mp3", basic("admin", "admpw12345")).status == 200


def test_a_mount_with_an_address_plays_the_other_server(station: Station) -> None:
    until(lambda: get(station.port, "/relayed.mp3", method="HEAD").status == 200, "the relay", 40)
    with playing(station, "/relayed.mp3") as wire:
        found = numbers(wire.read(20 * FRAME_BYTES))
        assert found == list(range(found[0], found[0] + 20))
        assert found[0] >= UPSTREAM


def test_tls_and_plain_share_the_port(station: Station) -> None:
    assert certificate_of(station.port)
    assert ask(station.port, "GET /livez HTTP/1.0\r\n\r\n", tls=True).status == 200


def test_a_listing_before_the_source_takes_no_place_of_a_source(station: Station) -> None:
    with ExitStack() as stack:
        for number in range(4):
            login = basic("admin", "admpw12345")
            get(station.port, f"/admin/listclients?mount=/{number}.mp3", login)
        for number in range(3):  # the relay is the fourth
            stack.enter_context(source(station.port, f"/{number}.mp3", PASSWORD))


def test_a_reload_under_500_listeners_loses_none(station: Station) -> None:
    before = station.xml
    with ExitStack() as stack:
        feed = stack.enter_context(source(station.port, "/radio.mp3", PASSWORD))
        feed.send(frames(0, 200))
        login = basic("admin", "admpw12345")
        until(lambda: b'mount="/radio.mp3"' in get(station.port, "/admin/stats", login).body, "the mount")
        wires = [stack.enter_context(Wire(station.port)) for _ in range(500)]
        for wire in wires:
            wire.send(behind_nginx("/radio.mp3", "203.0.113.8", "Crowd/1"))
        until(lambda: now_playing(station.port, "/radio.mp3").listeners == 500, "the listeners", 20)
        after = before.replace("Various", "Jazz").replace(PASSWORD, "another12345").replace("<sources>4", "<sources>9")
        station.reload(after)
        feed.send(frames(200, 10))
        for wire in wires:
            wire.read_to(b"%032d" % 209)
        assert now_playing(station.port, "/radio.mp3").listeners == 500
        assert b"<genre>Jazz</genre>" in get(station.port, "/admin/stats", basic("admin", "admpw12345")).body
        source(station.port, "/new.mp3", "another12345").close()
    station.reload(before)


NGINX = """
pid x;
events {{ worker_connections 256; }}
http {{
    server {{
        listen 80;
        location ~ ^(/listen/example|/radio/8000)/(.*)$ {{
            proxy_buffering off;
            proxy_redirect off;
            proxy_set_header Host "$host/$1";
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            set $args $args&_ic2=1;
            proxy_pass http://127.0.0.1:{port}/$2?$args;
        }}
    }}
}}
"""


def test_its_nginx_passes_on_streams_with_the_listeners_address_and_the_admin_pages(station: Station) -> None:
    with Nginx(NGINX.format(port=station.port), ["80"]) as nginx, source(station.port, "/radio.mp3", PASSWORD) as feed:
        feed.send(frames(0, 100))
        request = b"GET /listen/example/radio.mp3 HTTP/1.1\r\nHost: radio.example.com\r\nUser-Agent: Far/1\r\n\r\n"
        address = ("127.0.0.1", nginx.ports["80"])
        with socket.create_connection(address, 5, source_address=("127.0.0.7", 0)) as player:
            player.sendall(request)
            heard = b""
            while b"%032d" % 99 not in heard:
                more = player.recv(65_536)
                assert more, heard[:300]
                heard += more
            assert heard.startswith(b"HTTP/1.1 200 ")
            assert ("127.0.0.7", "Far/1") in now_playing(station.port, "/radio.mp3").clients
        admin = f"{basic('admin', 'admpw12345')}Host: radio.example.com\r\n"
        page = get(address[1], "/listen/example/admin.html", admin)
        assert page.status in (301, 302, 303, 307)
        found = urljoin("http://radio.example.com/listen/example/admin.html", page.header("Location"))
        assert found.startswith("http://radio.example.com/listen/example/admin/")
        page = get(address[1], found.removeprefix("http://radio.example.com"), admin)
        assert page.status == 200
        assert b"/radio.mp3" in page.body


BANS = Path("ip_bans.txt"), Path("user_agent_bans.txt")


def test_bans_of_addresses_and_players_hold_behind_the_proxy(station: Station) -> None:
    with source(station.port, "/radio.mp3", PASSWORD) as feed:
        feed.send(frames(0, 100))
        (station.config / BANS[0]).write_text("203.0.113.66\n192.0.2.0/24\n")
        (station.config / BANS[1]).write_text("BadBot*\n")
        station.reload(station.xml)
        for ip, agent in (("203.0.113.66", "Player/1"), ("192.0.2.9", "Player/1"), ("203.0.113.5", "BadBot/2")):
            with Wire(station.port) as wire:
                assert b" 200 " not in wire.send(behind_nginx("/radio.mp3", ip, agent)).read_all()[:20]
        playing(station, "/radio.mp3", "203.0.113.5").close()
        for name in BANS:
            (station.config / name).write_text("")
        station.reload(station.xml)
