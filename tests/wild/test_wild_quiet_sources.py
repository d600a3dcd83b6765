"""A source that is quiet for a while keeps its listeners for as long as it may be quiet."""

import pytest

from pycast.config.load import loads
from pycast.config.mount_settings import MountSettings
from pycast.formats.marks import Join
from pycast.stream.fanout import Reason
from pycast.stream.mount import Mount
from pycast.stream.mount_limits import expire
from tests.stream.memory import MemoryTransport
from tests.stream.test_mount import description, listen, new_mount

QUIET_60 = "[limits]\nsource_timeout = 60\n"


def settings(toml: str, name: str = "/x") -> MountSettings:
    return loads(toml, {}, "f").for_mount(name)


def heard_once(toml: str, content_type: str, *, is_mirror: bool = False) -> tuple[Mount, list[Reason], MemoryTransport]:
    """Returns a mount that got some audio at second 0, and its listener."""
    mount, gone = new_mount(settings(toml))
    if is_mirror:
        mount.start_mirror(description(content_type), 0)
    else:
        mount.start(description(content_type))
    mount.take(b"audio", [Join(0, None)])
    return mount, gone, listen(mount)


@pytest.mark.parametrize("content_type", ["text/plain", "audio/mpeg", "application/ogg", "video/webm"])
@pytest.mark.parametrize("is_mirror", [False, True])
def test_25_seconds_of_silence_close_nobody_if_the_source_may_be_silent_for_60(
    content_type: str, is_mirror: bool
) -> None:
    mount, gone, transport = heard_once(QUIET_60, content_type, is_mirror=is_mirror)
    for second in range(26):
        expire(mount, float(second))
    mount.take(b"more", [])
    mount.fanout._pass()
    assert gone == [] and transport.got.endswith(b"more")


def test_a_listener_bears_as_much_as_the_mounts_source_may_be_silent_and_no_more() -> None:
    mount, gone, transport = heard_once(QUIET_60, "text/plain")
    expire(mount, 64.9)
    assert gone == []
    expire(mount, 65.0)
    assert gone == [Reason.SILENT] and transport.closed


@pytest.mark.parametrize(
    ("toml", "seconds"),
    [
        ("", 19),
        ("[limits]\nsource_timeout = 2\nsource_grace = 0\n", 19),
        (QUIET_60, 65),
        (QUIET_60 + "source_grace = 0\n", 61),  # its end, and a fallback, come first
        (QUIET_60 + 'listener_patience = "2m"\n', 120),
        (QUIET_60 + "listener_patience = 5\n", 5),
        ("[limits]\nsource_grace = 30\n", 40),
        ('[[mount]]\nmount_name = "/x"\nsource_timeout = 100\n', 105),
        ('[[mount]]\nmount_name = "/x"\nlistener_patience = 100\n', 100),
        ('[limits]\nlistener_patience = 50\n[[mount]]\nmount_name = "/x"\nlistener_patience = 0\n', 19),
        ('[[mount]]\nmount_name = "/y"\nsource_timeout = 100\n', 19),
    ],
)
def test_the_longest_silence_is_a_setting_and_by_default_not_shorter_than_that_of_the_source(
    toml: str, seconds: float
) -> None:
    assert settings(toml).longest_silence == seconds


def test_a_reload_changes_it_for_those_who_listen() -> None:
    mount, gone, _ = heard_once("", "text/plain")
    mount.apply(settings(QUIET_60))
    expire(mount, 25.0)
    assert gone == []
    mount.apply(settings(""))
    expire(mount, 25.0)
    assert gone == [Reason.SILENT]


def test_a_listener_who_does_not_read_is_dropped_however_patient_the_others_are() -> None:
    mount, gone, transport = heard_once(
        '[limits]\nlistener_patience = "1h"\nqueue_size = 1000\nburst_size = 0\n', "text/plain"
    )
    transport.room = 0
    for _ in range(3):
        mount.take(b"x" * 1000, [Join(mount.ring.head, None)])
        mount.fanout._pass()
    assert gone == [Reason.SLOW]
