"""A TLS listener's transport: however slowly the peer reads, it gets every byte once, in order."""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import gevent
import pytest
from gevent import ssl as gssl

from pycast.net.tls import Certificate, TlsTransport, trusting
from tests.conftest import WaitUntil
from tests.e2e.test_tls import make_certificate
from tests.net.handshake import connect_tls

DATA = bytes(range(256)) * 4096  # 1 MiB in which no two neighbouring records are alike


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    directory = tmp_path_factory.mktemp("tls")
    make_certificate(directory, "localhost")
    return Certificate(str(directory / "tls.crt"), str(directory / "tls.key"), lambda: 0.0)


@pytest.fixture
def pair(certificate: Certificate) -> Iterator[tuple[TlsTransport, gssl.SSLSocket]]:
    """Returns the server's transport and the player's end."""
    ours, player = connect_tls(certificate)
    transport = TlsTransport(ours)
    yield transport, player
    transport.close()
    player.close()


def drain(player: gssl.SSLSocket) -> bytes:
    """Returns all that has arrived."""
    player.setblocking(False)
    got = b""
    with suppress(ssl.SSLWantReadError):
        while data := player.recv(1 << 16):
            got += data
    return got


@pytest.mark.parametrize("sizes", [(300_000, 98_304), (300_000, 20_000), (300_000, 1000, 16_384)])
def test_a_write_that_was_refused_may_be_tried_again_with_less(
    sizes: tuple[int, ...], pair: tuple[TlsTransport, gssl.SSLSocket]
) -> None:
    """The fan-out offers half a second of audio to all, and less at a time to a listener that did not take it."""
    transport, player = pair
    sent, offers, heard = 0, cycle(sizes), b""
    with gevent.Timeout(10):
        while sent < len(DATA):
            offered = next(offers)
            with suppress(BlockingIOError):
                while taken := transport.send(DATA[sent : sent + offered]):
                    sent += taken
            heard += drain(player)
    assert heard + drain(player) == DATA


def test_a_full_connection_blocks_and_a_closed_one_fails(pair: tuple[TlsTransport, gssl.SSLSocket]) -> None:
    transport, _ = pair
    with pytest.raises(BlockingIOError):
        while transport.send(DATA):
            pass
    transport.close()
    with pytest.raises(OSError, match=r"closed|descriptor"):
        transport.send(DATA)


def test_a_client_trusts_the_file_that_is_named_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    make_certificate(tmp_path, "localhost")
    assert len(trusting(str(tmp_path / "tls.crt")).get_ca_certs()) == 1
    with pytest.raises(OSError, match="No such file"):
        trusting(str(tmp_path / "none"))


def test_a_reload_goes_over_to_other_files_and_keeps_what_works(
    tmp_path: Path, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        make_certificate(folder, "localhost")
    used = Certificate(str(first / "tls.crt"), str(first / "tls.key"), lambda: 0.0)
    before = used.context()
    used.use(str(second / "tls.crt"), str(second / "tls.key"))
    wait_until(lambda: used.context() is not before, "the other certificate")
    after = used.context()
    used.use(str(tmp_path / "none"), "")
    wait_until(lambda: "cannot be used, the old one stays in use" in caplog.text, "the word about the missing file")
    assert used.context() is after
