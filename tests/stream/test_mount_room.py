"""The mount's buffer has room for whatever a source sends, and for no more than that is worth."""

import pytest

from pycast.config.units import Size
from pycast.formats.marks import Info, Join, Mark
from pycast.stream.fanout import Reason
from pycast.stream.ring_size import LARGEST_RING
from tests.stream.test_mount import SETTINGS, description, listen, new_mount

KEY_FRAME = 3 << 20


class Video:
    """A stream of key frames, each in one piece and larger than the ring is to begin with."""

    family = "webm"
    warning = ""
    dropped = 0

    def __init__(self, bitrate: int | None = None) -> None:
        self._bitrate = bitrate
        self._offset = 0

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        marks: list[Mark] = [Join(self._offset, None)]
        if self._bitrate:
            marks.append(Info(self._offset, self._bitrate, {}))
        self._offset += len(data)
        return data, marks


def test_a_listener_can_start_at_a_key_frame_that_is_larger_than_the_ring() -> None:
    mount, gone = new_mount()
    mount.start(description("video/webm"))
    mount._program._format = Video()
    for number in range(3):
        mount.feed(b"%d" % number * KEY_FRAME)
        transport = listen(mount)
        for _ in range(100):
            mount.fanout._pass()
        assert transport.got == b"%d" % number * KEY_FRAME
        transport.broken = True
    assert Reason.SLOW not in gone


def test_a_listener_that_keeps_up_is_not_dropped_when_a_large_unit_comes() -> None:
    mount, gone = new_mount(SETTINGS.replace(queue_size=Size(bytes=10_000)))
    mount.start(description("video/webm"))
    mount._program._format = Video()
    mount.feed(b"first")
    transport = listen(mount)
    mount.feed(b"x" * KEY_FRAME)
    for _ in range(100):
        mount.fanout._pass()
    assert transport.got == b"first" + b"x" * KEY_FRAME
    assert not gone


@pytest.mark.parametrize("queue_size", [Size(bytes=512 << 10), Size(seconds=3600)])
def test_a_source_that_claims_an_absurd_bitrate_costs_no_absurd_memory(queue_size: Size) -> None:
    mount, _ = new_mount(SETTINGS.replace(queue_size=queue_size))
    mount.start(description("application/ogg"))
    mount._program._format = Video(bitrate=(1 << 31) - 1)
    mount.feed(b"x")
    assert mount.ring.capacity <= LARGEST_RING
