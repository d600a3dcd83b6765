"""A cluster without a balancer: a name with the addresses of all nodes, given by a real dnsmasq.

Two kinds of clients: those that go to the next address of the answer when one does not take them, and those that know
one address only and resolve the name again.
"""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pycast.testing.heard import Heard
from pycast.testing.wire_heads import ServerAddress
from tests.balancer.cluster_nodes import Site, audio_again_s, site
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Address, Encoder
from tests.cluster_e2e.nodes import LAST_WORDS_S, MOUNT, assert_same_ending, assert_sockets_kept
from tests.conf.name_server import NameServer
from tests.e2e.deadline import until
from tests.e2e.wire import get

RETRY_S = 0.2
REHOMED_S = 3.0
PLAYERS = 60


@pytest.fixture
def one() -> Iterator[Site]:
    with site() as nodes:
        yield nodes


@pytest.fixture
def names(one: Site, tmp_path: Path) -> Iterator[NameServer]:
    with NameServer(tmp_path, one.addresses) as server:
        yield server


def resolve(names: NameServer, one: Site) -> list[Address]:
    """Returns all addresses, in the order of this answer."""
    return [(address, one.port) for address in names.ask()[0]]


def test_f01_clients_that_try_the_next_address_find_a_surviving_node(one: Site, names: NameServer) -> None:
    with Crowd() as crowd, Encoder(resolve(names, one), MOUNT, retry_s=RETRY_S) as encoder:
        one.wait_for_mount()
        # Each with an answer of its own, as players have it: dnsmasq turns them.
        for _ in range(PLAYERS):
            crowd.add(resolve(names, one), MOUNT, reconnect_s=RETRY_S)
        crowd.wait_playing(PLAYERS)
        encoder.wait_sent(2.0)
        name = one.source_node()
        killed = time.monotonic()
        one.cluster.kill(name)
        until(lambda: not encoder.is_on_air, "the encoder to notice")
        back = encoder.wait_on_air()
        crowd.wait_heard(list(range(PLAYERS)), 0, back.first + 40)
        reports = crowd.reports()
    kept = [report for report in reports if not report.disconnects]
    moved = [report for report in reports if report.disconnects]
    again = audio_again_s(moved, killed)
    print(f"audio again: {again[len(again) // 2]:.2f} s half, {again[-1]:.2f} s all of {len(again)}")
    assert len(moved) == PLAYERS / 3, "dnsmasq gives each node first as often as the others"
    assert again[-1] < REHOMED_S
    assert_sockets_kept(kept)
    assert_same_ending(kept)
    too_old = killed - LAST_WORDS_S
    assert not any(encoder.sent(gap.seq, gap.frames, before=too_old) for report in kept for gap in report.gaps)


def test_clients_that_resolve_again_are_sent_to_surviving_nodes_only(one: Site, names: NameServer) -> None:
    dead = one.addresses[0]
    with Encoder([(one.addresses[1], one.port)], MOUNT):
        one.wait_for_mount()
        one.cluster.kill("a")
        with pytest.raises(ConnectionRefusedError):  # who keeps the old address for ever
            socket.create_connection((dead, one.port), 5)
        names.set_nodes([address for address in one.addresses if _is_ready(address, one.port)])
        for _ in range(9):
            ((address, port), *_) = resolve(names, one)
            assert address != dead
            with Heard(ServerAddress(address, port), MOUNT) as heard:
                heard.wait_for_bytes(8_000)


def _is_ready(address: str, port: int) -> bool:
    """As the script asks that writes the list of nodes."""
    try:
        return get(port, "/readyz", host=address).status == 200
    except OSError:
        return False
