"""Streams go from the real Icecast to pycast and back, byte for byte, with their titles, and come back by themselves.

The servers are shared: an Icecast, a pycast that is its master and slave, and one at the end of the chain.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

import pytest

from pycast.testing import Server
from tests.e2e.deadline import until
from tests.e2e.icecast import Icecast
from tests.e2e.wire import IcyReader, Wire, assert_run_of, basic, frames, get, listen, source

RATE = 38
"""Frames a second: real time at 128 kbit/s."""

SAYS = {
    "genre": "Jazz",
    "description": "All day",
    "url": "http://a.example/",
    "public": "1",
    "audio-info": "ice-samplerate=44100;ice-bitrate=128;ice-channels=2",
}
"""What the encoders say of their streams, besides a name."""


@contextmanager
def encoder(port: int, mount: str, password: str, name: str) -> Iterator[bytes]:
    """A source that sends numbered frames in real time. Yields all that it will have sent."""
    sent, stop = frames(0, 3000), threading.Event()
    said = "".join(f"ice-{key}: {value}\r\n" for key, value in SAYS.items())
    wire = source(port, mount, password, headers=f"ice-name: {name}\r\n{said}")

    def run() -> None:
        number = 0
        with suppress(OSError):
            while not stop.wait(0.1):
                count = 60 if not number else RATE // 10 + 1
                wire.send(sent[number * 417 : (number + count) * 417])
                number += count

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()
        wire.close()


@dataclass
class Chain:
    """`first` (pycast) has /a.mp3 from an encoder; `middle` (Icecast) relays it and has /b.mp3 from an encoder; `last`
    (pycast) relays both from there.
    """

    first: Server
    middle: Icecast
    last: Server
    sent_a: bytes
    sent_b: bytes


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with Server(burst_size="16k") as first:
        relay = (
            f"<relay><server>127.0.0.1</server><port>{first.port}</port><mount>/a.mp3</mount>"
            "<local-mount>/a.mp3</local-mount><on-demand>0</on-demand></relay>"
        )
        with (
            encoder(first.port, "/a.mp3", first.source_password, "Radio A") as sent_a,
            Icecast(mounts=relay) as middle,
            encoder(middle.port, "/b.mp3", middle.source_password, "Radio B") as sent_b,
        ):
            sections = [
                {"server": "127.0.0.1", "port": middle.port, "mount": "/a.mp3"},
                {"server": "localhost", "port": middle.port, "mount": "/b.mp3", "local_mount": "/relayed.mp3"}
                | {"bind": "127.0.0.9"},
            ]
            with Server(relay=sections, source_timeout=1, source_grace=20) as last:
                yield Chain(first, middle, last, sent_a, sent_b)


def hear(port: int, mount: str, size: int) -> tuple[bytes, dict[str, str]]:
    wire, reply = listen(port, mount)
    with wire:
        return wire.read(size), dict(reply.headers)


def ready(port: int, mount: str) -> bool:
    return get(port, mount, method="HEAD").status == 200


def test_bytes_and_headers_of_icecast_arrive(chain: Chain) -> None:
    until(lambda: all(ready(chain.last.port, mount) for mount in ("/a.mp3", "/relayed.mp3")), "the relays")
    heard, headers = hear(chain.last.port, "/relayed.mp3", 30_000)
    assert_run_of(heard, chain.sent_b)
    assert (headers["icy-name"], headers["icy-genre"], headers["Content-Type"]) == ("Radio B", "Jazz", "audio/mpeg")
    names = ("icy-description", "icy-url", "icy-pub", "icy-br", "ice-audio-info")
    assert [headers[name] for name in names] == ["All day", "http://a.example/", "1", "128", SAYS["audio-info"]]
    shown = get(chain.last.port, "/status-json.xsl").body.decode()
    assert '"server_description":"All day"' in shown and '"audio_info":"ice-samplerate=44100;' in shown
    listeners = get(chain.middle.port, "/admin/listclients?mount=/b.mp3", basic("admin", chain.middle.admin_password))
    assert b"<IP>127.0.0.9</IP>" in listeners.body
    stats = get(chain.last.port, "/admin/stats", basic("admin", chain.last.admin_password)).body.decode()
    assert "<source_relay_connections>2</source_relay_connections>" in stats
    assert "<source_ip>localhost</source_ip>" in stats


def test_titles_arrive_at_the_end_of_a_chain_of_three_servers(chain: Chain) -> None:
    until(lambda: ready(chain.last.port, "/a.mp3"), "the chain")
    wire, reply = listen(chain.last.port, "/a.mp3", "Icy-MetaData: 1\r\n")
    with wire:
        reader = IcyReader(wire, int(reply.header("icy-metaint")))
        song = "Björk – Jóga"
        query = f"mode=updinfo&mount=/a.mp3&charset=UTF-8&song={quote(song)}"
        answer = get(chain.first.port, f"/admin/metadata?{query}", basic("source", chain.first.source_password))
        assert b"successful" in answer.body
        heard, deadline = b"", time.monotonic() + 15
        while not any("Björk" in title.decode() for title in reader.titles):
            assert time.monotonic() < deadline, reader.titles
            heard += reader.interval()
    assert_run_of(heard, chain.sent_a)
    assert song in get(chain.last.port, "/status-json.xsl").body.decode()


def test_icecast_passes_on_by_which_servers_a_stream_has_come(chain: Chain) -> None:
    until(lambda: b"/a.mp3" in get(chain.middle.port, "/status-json.xsl").body, "Icecast's relay")
    with Wire(chain.middle.port) as wire:
        wire.send("GET /a.mp3 HTTP/1.0\r\nUser-Agent: pycast 1\r\n\r\n")
        assert wire.read_head().header("icy-relay-path").endswith("/a.mp3")


def test_frozen_and_killed_upstreams_come_back_and_listeners_stay(chain: Chain) -> None:
    with Server(burst_size="16k") as upstream:
        text = chain.last.config_path.read_text()
        more = f'\n[[relay]]\nserver = "127.0.0.1"\nport = {upstream.port}\nmount = "/c.mp3"\n'
        chain.last.config_path.write_text(text + more)
        with encoder(upstream.port, "/c.mp3", upstream.source_password, "C") as sent:
            os.kill(chain.last.pid, signal.SIGHUP)
            until(lambda: ready(chain.last.port, "/c.mp3"), "the relay")
            wire, _ = listen(chain.last.port, "/c.mp3")
            with wire:
                assert_run_of(wire.read(10_000), sent)
                upstream.pause()
                until(lambda: "sent nothing for 1 s" in chain.last.log(), "the frozen upstream to be left")
                upstream.resume()
                wire.read(40_000)
                upstream.kill()
        upstream.restart()
        with encoder(upstream.port, "/c.mp3", upstream.source_password, "C") as sent:
            until(lambda: ready(chain.last.port, "/c.mp3"), "the relay of the new process")
            heard, _ = hear(chain.last.port, "/c.mp3", 10_000)
            assert_run_of(heard, sent)
        chain.last.config_path.write_text(text)
        os.kill(chain.last.pid, signal.SIGHUP)


def test_slave_has_the_mounts_of_icecast_and_of_pycast(chain: Chain) -> None:
    for port, sent in ((chain.middle.port, chain.sent_b), (chain.last.port, chain.sent_a)):
        master = {"server": "127.0.0.1", "port": port, "password": "relaypass", "update_interval": 1}
        mount = "/b.mp3" if port == chain.middle.port else "/a.mp3"
        with Server(master=master) as slave:
            until(partial(ready, slave.port, mount), "the slave")
            assert_run_of(hear(slave.port, mount, 20_000)[0], sent)
