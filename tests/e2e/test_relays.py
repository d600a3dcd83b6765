"""Streams go from the real Icecast to pycast and back, byte for byte, with their titles, and come back by themselves.

The servers are shared: an Icecast, a pycast that is its master and slave, and one at the end of the chain.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

import pytest

from pycast.testing import Server
from pycast.testing.heard import Heard
from pycast.testing.numbered import Frames
from pycast.testing.numbered_stream import NumberedStream
from pycast.testing.wire_heads import ServerAddress
from tests.e2e.deadline import until
from tests.e2e.icecast import Icecast
from tests.e2e.wire import Wire, basic, get

SAYS = {
    "genre": "Jazz",
    "description": "All day",
    "url": "http://a.example/",
    "public": "1",
    "audio-info": "ice-samplerate=44100;ice-bitrate=128;ice-channels=2",
}
"""What the encoders say of their streams, besides a name."""

RELAY_S = 40.0
"""A relay that fails a few times, because the other server is slow to start, tries again after 15 s."""


def encoder(address: ServerAddress, mount: str, password: str, name: str, first: int = 0) -> NumberedStream:
    """Returns a source that says much of itself."""
    said = {"Ice-Name": name} | {f"ice-{key}": value for key, value in SAYS.items()}
    return NumberedStream(address, mount, login=("source", password), headers=said, first=first)


@dataclass
class Chain:
    """`first` (pycast) has /a.mp3 from an encoder; `middle` (Icecast) relays it and has /b.mp3 from an encoder; `last`
    (pycast) relays both from there.
    """

    first: Server
    middle: Icecast
    last: Server


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with Server(burst_size="16k") as first:
        relay = (
            f"<relay><server>127.0.0.1</server><port>{first.port}</port><mount>/a.mp3</mount>"
            "<local-mount>/a.mp3</local-mount><on-demand>0</on-demand></relay>"
        )
        with (
            encoder(first.address(), "/a.mp3", first.source_password, "Radio A"),
            Icecast(mounts=relay) as middle,
            encoder(ServerAddress("127.0.0.1", middle.port), "/b.mp3", middle.source_password, "Radio B"),
        ):
            sections = [
                {"server": "127.0.0.1", "port": middle.port, "mount": "/a.mp3"},
                {"server": "localhost", "port": middle.port, "mount": "/b.mp3", "local_mount": "/relayed.mp3"}
                | {"bind": "127.0.0.9"},
            ]
            # Only where an upstream is frozen is a silence a sign: a machine may stand still for a second.
            frozen = [{"mount_name": "/c.mp3", "source_timeout": 3}]
            with Server(relay=sections, mount=frozen, source_grace=60) as last:
                yield Chain(first, middle, last)


def hear(server: Server, mount: str, size: int) -> Heard:
    """Returns a listener that has heard so much, and nothing but what a source has sent, in order."""
    with server.listen(mount, icy=False) as heard:
        heard.wait_for_bytes(size, RELAY_S)
    assert heard.frames.is_whole and heard.frames, heard.frames
    return heard


def ready(port: int, mount: str) -> bool:
    return get(port, mount, method="HEAD").status == 200


def test_bytes_and_headers_of_icecast_arrive(chain: Chain) -> None:
    until(lambda: all(ready(chain.last.port, mount) for mount in ("/a.mp3", "/relayed.mp3")), "the relays", RELAY_S)
    headers = hear(chain.last, "/relayed.mp3", 30_000).headers
    assert (headers["icy-name"], headers["icy-genre"], headers["Content-Type"]) == ("Radio B", "Jazz", "audio/mpeg")
    names = ("icy-description", "icy-url", "icy-pub", "icy-br", "ice-audio-info")
    assert [headers[name] for name in names] == ["All day", "http://a.example/", "1", "128", SAYS["audio-info"]]
    shown = get(chain.last.port, "/status-json.xsl").body.decode()
    assert '"server_description":"All day"' in shown and '"audio_info":"ice-samplerate=44100;' in shown
    listeners = get(chain.middle.port, "/admin/listclients?mount=/b.mp3", basic("admin", chain.middle.admin_password))
    assert b"<IP>127.0.0.9</IP>" in listeners.body
    stats = get(chain.last.port, "/admin/stats", basic("admin", chain.last.admin_password)).body.decode()
    assert int(stats.partition("<source_relay_connections>")[2].partition("<")[0]) >= 2
    assert "<source_client_connections>0</source_client_connections>" in stats
    assert "<source_ip>localhost</source_ip>" in stats


def test_titles_arrive_at_the_end_of_a_chain_of_three_servers(chain: Chain) -> None:
    until(lambda: ready(chain.last.port, "/a.mp3"), "the chain", RELAY_S)
    with chain.last.listen("/a.mp3") as heard:
        song = "Björk – Jóga"
        query = f"mode=updinfo&mount=/a.mp3&charset=UTF-8&song={quote(song)}"
        answer = get(chain.first.port, f"/admin/metadata?{query}", basic("source", chain.first.source_password))
        assert b"successful" in answer.body
        heard.wait_for_title(song, RELAY_S)
        assert heard.frames.is_whole
    # A page is made once in a second.
    until(lambda: song in get(chain.last.port, "/status-json.xsl").body.decode(), "the title in the statistics")


def test_icecast_passes_on_by_which_servers_a_stream_has_come(chain: Chain) -> None:
    until(lambda: b"/a.mp3" in get(chain.middle.port, "/status-json.xsl").body, "Icecast's relay", RELAY_S)
    with Wire(chain.middle.port) as wire:
        wire.send("GET /a.mp3 HTTP/1.0\r\nUser-Agent: pycast 1\r\n\r\n")
        assert wire.read_head().header("icy-relay-path").endswith("/a.mp3")


def test_frozen_and_killed_upstreams_come_back_and_listeners_stay(chain: Chain) -> None:
    with Server(burst_size="16k") as upstream:
        text = chain.last.config_path.read_text()
        more = f'\n[[relay]]\nserver = "127.0.0.1"\nport = {upstream.port}\nmount = "/c.mp3"\n'
        chain.last.config_path.write_text(text + more)
        with encoder(upstream.address(), "/c.mp3", upstream.source_password, "C"):
            os.kill(chain.last.pid, signal.SIGHUP)
            until(lambda: ready(chain.last.port, "/c.mp3"), "the relay", RELAY_S)
            with chain.last.listen("/c.mp3") as heard:
                heard.wait_for_bytes(10_000)
                assert heard.frames.is_whole
                upstream.pause()
                until(lambda: "sent nothing for 3 s" in chain.last.log(), "the frozen upstream to be left", RELAY_S)
                upstream.resume()
                heard.wait_for_bytes(50_000, RELAY_S)
                upstream.kill()
        upstream.restart()
        with encoder(upstream.address(), "/c.mp3", upstream.source_password, "C", first=1000):
            until(lambda: ready(chain.last.port, "/c.mp3"), "the relay of the new process", RELAY_S)
            with chain.last.listen("/c.mp3") as heard:
                heard.wait_for_frame(1040, RELAY_S)
            assert Frames(number for number in heard.frames.numbers if number >= 1000).is_whole, heard.frames
        chain.last.config_path.write_text(text)
        os.kill(chain.last.pid, signal.SIGHUP)


def test_slave_has_the_mounts_of_icecast_and_of_pycast(chain: Chain) -> None:
    for port, mount in ((chain.middle.port, "/b.mp3"), (chain.last.port, "/a.mp3")):
        master = {"server": "127.0.0.1", "port": port, "password": "relaypass", "update_interval": 1}
        with Server(master=master) as slave:
            until(partial(ready, slave.port, mount), "the slave", RELAY_S)
            hear(slave, mount, 20_000)
