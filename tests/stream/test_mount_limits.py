"""Tests of pycast.stream.mount_limits: how many listeners a mount takes, for how much, and for how long."""

import pytest

from pycast.config.mount_settings import MountSettings
from pycast.stream.events import StreamEvents
from pycast.stream.fanout import Reason
from pycast.stream.mount import Mount
from pycast.stream.mount_limits import NoRoom, admit, expire, rate_of
from pycast.stream.pacer import Pacer
from tests.stream.memory import WHO, MemoryTransport
from tests.stream.test_mount import FRAME, SETTINGS, description


class Stand:
    """A mount with a clock that stands still."""

    def __init__(self, settings: MountSettings = SETTINGS, content_type: str = "text/plain") -> None:
        self.now = 100.0
        self.gone: list[tuple[int, Reason]] = []
        events = StreamEvents()
        events.listener_left.subscribe(lambda event: self.gone.append((event.listener.id, event.reason)))
        # Its source has just connected; `description` has a time long ago.
        told = description(content_type)._replace(started=4e9)
        self.mount = Mount("/x", settings, told, Pacer(0.5, lambda: 0.0), events, lambda: self.now)
        self.mount.start(told)

    def listen(self, time_limit: float = 0.0) -> int:
        id = 1 + self.mount.listener_connections
        self.mount.join(id, MemoryTransport(), WHO, b"", 0, self.now).time_limit = time_limit
        return id


def test_bandwidth_is_the_bitrate_times_the_listeners() -> None:
    stand = Stand(SETTINGS.replace(max_bandwidth=300_000), "audio/mpeg")
    stand.mount.feed(FRAME * 10)
    assert rate_of(stand.mount) == stand.mount.bitrate == 128_000
    for _ in range(2):
        admit(stand.mount)
        stand.listen()
    with pytest.raises(NoRoom, match="300000 bit/s") as caught:
        admit(stand.mount)
    assert (caught.value.status, caught.value.headers) == (503, (("Retry-After", "30"),))


def test_a_stream_that_does_not_say_its_bitrate_is_measured() -> None:
    stand = Stand()
    assert rate_of(stand.mount) == 128_000
    for _ in range(20):
        stand.mount.feed(b"a" * 100_000)
        stand.now += 1
    assert rate_of(stand.mount) == pytest.approx(800_000)


def test_a_full_mount_keeps_the_answer_of_icecast() -> None:
    stand = Stand(SETTINGS.replace(max_listeners=0))
    with pytest.raises(NoRoom) as caught:
        admit(stand.mount)
    assert (caught.value.status, caught.value.headers) == (403, ())


def test_a_limit_of_a_listeners_own_replaces_that_of_its_mount() -> None:
    stand = Stand(SETTINGS.replace(max_listener_duration=60.0))
    usual, short, long = stand.listen(), stand.listen(10.0), stand.listen(90.0)
    expected: list[tuple[int, Reason]] = []
    for seconds, id in ((10, short), (60, usual), (90, long)):
        stand.mount.last_audio = stand.now = 100.0 + seconds - 0.1
        expire(stand.mount, stand.now)
        assert stand.gone == expected
        expire(stand.mount, 100.0 + seconds)
        expected.append((id, Reason.EXPIRED))
        assert stand.gone == expected


def test_listeners_without_any_limit_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand()
    stand.listen()
    monkeypatch.setattr(type(stand.mount.fanout), "__iter__", None)
    expire(stand.mount, stand.now, may_have_limit=False)
