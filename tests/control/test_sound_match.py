"""Listeners are moved only to what their player can go on with."""

from collections.abc import Iterator

import pytest

from pycast.control.sound_match import difference, is_noise_after
from pycast.errors import Refused
from pycast.formats.marks import Header, Info
from pycast.stream.mount import Mount
from tests.conftest import WaitUntil
from tests.control.stage import FakeMirrors, Stage, stage
from tests.control.test_fallbacks import names
from tests.formats.test_wav import UNKNOWN, chunk, fmt, header

CD = header()
OTHER = header(UNKNOWN, fmt(1, 48000, 24))
MOUNT = """
[[mount]]
mount_name = "/a"
fallback_mount = "/f"
fallback_override = "own"
"""


@pytest.fixture
def node() -> Iterator[Stage]:
    with stage(MOUNT, FakeMirrors()) as made:
        made.events.mount_state_changed.subscribe(made.fallbacks.on_mount_state_changed)
        yield made


def begin(node: Stage, name: str, kind: str, head: bytes = b"", codec: str = "") -> Mount:
    mount = node.begin(name, kind)
    stats = {"subtype": codec} if codec else {}
    mount.take(b"x" * 8, [Info(mount.ring.head, None, stats), Header(mount.ring.head, head)])
    return mount


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (("audio/mpeg",), ("audio/aac",), None),
        (("audio/mpeg",), ("application/ogg",), ("mpeg", "ogg")),
        (("application/ogg", b"", "Vorbis"), ("application/ogg", b"", "Opus"), ("Vorbis", "Opus")),
        (("application/ogg", b"", "Vorbis"), ("application/ogg",), None),
        (("audio/wav", CD), ("audio/wav", CD), None),
        (("audio/wav", CD), ("audio/wav",), None),
        (
            ("audio/wav", CD),
            ("audio/wav", OTHER),
            ("WAV with 44100 Hz, 2 channels, 16 bits", "WAV with 48000 Hz, 1 channels, 24 bits"),
        ),
    ],
)
def test_a_player_goes_on_with_the_same_codecs_and_the_same_samples(
    node: Stage, one: tuple[str, ...], other: tuple[str, ...], found: tuple[str, str] | None
) -> None:
    mounts = begin(node, "/one", *one), begin(node, "/other", *other)  # type: ignore[arg-type]
    assert difference(*mounts) == found
    assert is_noise_after(*mounts) is (found is not None and one[0] == "audio/wav")


def test_the_same_samples_may_be_described_in_a_longer_form(node: Stage) -> None:
    plain = fmt()[8:]
    longer = chunk(b"fmt ", b"\xfe\xff" + plain[2:] + b"\x16\0\x10\0\3\0\0\0\1\0" + bytes(14))
    mounts = (
        begin(node, name, "audio/wav", header(UNKNOWN, form)) for name, form in (("/one", fmt()), ("/other", longer))
    )
    assert difference(*mounts) is None


def test_nobody_is_moved_to_samples_that_would_be_noise(
    node: Stage, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    live, other = begin(node, "/a", "audio/wav", CD), begin(node, "/f", "audio/wav", OTHER)
    listener = node.listen(live)
    with pytest.raises(Refused):
        node.control().move("/a", "/f")
    node.end("/a")
    assert node.fallbacks.next_of(live) is None
    assert "its fallback /f is WAV with 48000 Hz, 1 channels, 24 bits and no WAV with 44100 Hz" in caplog.text
    wait_until(lambda: "fallback of /a" not in names(node), "the decision")
    assert live.fanout.get(listener.id) is listener
    visitor = node.listen(other)
    visitor.requested_mount = "/a"
    begin(node, "/a", "audio/wav", CD)
    wait_until(lambda: "back to /a" not in names(node), "the decision")
    assert other.fanout.get(visitor.id) is visitor
