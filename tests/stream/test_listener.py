"""A listener's position moves with the audio it got, byte by byte, and with nothing else."""

import pytest

from pycast.stream.listener import Listener
from pycast.stream.ring import Ring
from pycast.stream.timeline import Timeline, Title
from pycast.stream.views import IcyView, RawView
from tests.stream.memory import WHO, MemoryTransport

HEAD, AUDIO, TITLE, MORE = b"head", memoryview(b"audio"), b"title", memoryview(b"more")


def make(prefix: bytes = HEAD) -> Listener:
    return Listener(1, MemoryTransport(), WHO, RawView(Ring(100)), 1000, prefix, -1, 0.0)


@pytest.mark.parametrize(
    ("sent", "position", "prefix"),
    [
        (0, 1000, b"head"),
        (1, 1000, b"ead"),
        (4, 1000, b""),
        (6, 1002, b""),
        (9, 1005, b"title"),
        (10, 1005, b"itle"),
        (14, 1005, b""),
        (16, 1007, b""),
        (18, 1009, b""),
    ],
)
def test_only_audio_moves_it_and_the_rest_of_what_is_inserted_becomes_its_prefix(
    sent: int, position: int, prefix: bytes
) -> None:
    listener = make()
    listener.advance([HEAD, AUDIO, TITLE, MORE], sent)
    assert (listener.position, listener.prefix, listener.sent) == (position, prefix, sent)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 11, 19])
def test_however_its_socket_cuts_it_gets_every_byte_once(size: int) -> None:
    ring, timeline = Ring(1000), Timeline()
    ring.append(bytes(range(40)))
    timeline.add_title(7, Title("", "x", "", b"\x01TITLE IN A BLOCK"))
    view = IcyView(ring, timeline, 10, 0)
    listener = Listener(1, MemoryTransport(), WHO, view, 0, HEAD, -1, 0.0)
    whole, got = HEAD + b"".join(view.pieces(0, ring.head)), b""
    while listener.position < ring.head or listener.prefix:
        pieces = [*([listener.prefix] if listener.prefix else []), *view.pieces(listener.position, ring.head)]
        data = b"".join(pieces)[:size]
        got += data
        listener.advance(pieces, len(data))
    assert got == whole
    assert listener.sent == len(whole)


class Keeper(MemoryTransport):
    """Keeps `kept` bytes that it has not counted."""

    kept = 0
    unsent = b"encrypted"

    def settle(self) -> int:
        kept, self.kept = self.kept, 0
        return kept


def test_what_its_transport_keeps_is_told_once_and_it_has_not_all_before_that_is_out() -> None:
    transport = Keeper()
    listener = Listener(1, transport, WHO, RawView(Ring(100)), 1000, b"", -1, 0.0)
    transport.kept = 7
    assert (listener.kept(), listener.kept()) == (7, 0)
    assert (listener.is_flushed, listener.has_all(1000)) == (False, False)
    transport.unsent = b""
    assert (listener.is_flushed, listener.has_all(1000)) == (True, True)
    bare = make(b"")
    assert bare.kept() == 0 and bare.is_flushed and bare.has_all(1000)


def test_it_is_nothing_but_slots() -> None:
    assert not hasattr(make(), "__dict__")
