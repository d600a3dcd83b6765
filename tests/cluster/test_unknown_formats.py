"""A source is admitted at once, but takes the place of another one only when the format of its stream is known."""

from collections.abc import Iterator

import gevent
import pytest

from pycast.errors import FormatError
from pycast.formats.content_types import UNKNOWN
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.source import SourceState
from tests.cluster.test_ownership import NAME
from tests.cluster.test_ownership import Stage as ClusterStage
from tests.conftest import WaitUntil
from tests.formats.frame_bytes import adts, mpeg
from tests.stream.memory import WHO, MemoryTransport
from tests.stream.test_mounts import DESCRIPTION, FakeSource
from tests.stream.test_mounts import Stage as NodeStage

Stage = NodeStage | ClusterStage

MP3, AAC = mpeg() * 10, adts() * 10
# A WAV file of no samples a second.
BROKEN = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x02\0" + bytes(12) + b"data\xff\xff\xff\xff" + bytes(100)


def new_stage(kind: str, on_conflict: str) -> Stage:
    toml = f'[[mount]]\nmount_name = "/x"\non_conflict = "{on_conflict}"\n'
    return NodeStage(toml) if kind == "a node alone" else ClusterStage(toml)


@pytest.fixture
def on_conflict() -> str:
    return "take_over"


@pytest.fixture(params=["a node alone", "a cluster"])
def stage(request: pytest.FixtureRequest, on_conflict: str) -> Iterator[Stage]:
    made = new_stage(request.param, on_conflict)
    yield made
    made.mounts.stop()
    made.group.kill()


def admit(stage: Stage, user: str) -> FakeSource:
    """Admits a source whose format is not known."""
    made = FakeSource((user, "hackme"))
    made.description = DESCRIPTION._replace(content_type="audio/mpeg", format=UNKNOWN)
    stage.ownership.admit(NAME, made)
    return made


def know(stage: Stage, source: FakeSource, format: str, first: bytes) -> None:
    """Does what a connection does when it knows the format of its stream."""
    source.description = source.description._replace(format=format)
    stage.ownership.start_known(NAME, source, first)
    if source.output.state is SourceState.STANDBY:
        stage.ownership.take_over_known(NAME, source)


def is_on_air(stage: Stage, source: FakeSource) -> bool:
    return stage.mounts.source(NAME) is source and source.output.state is SourceState.ON_AIR


def mount_of(stage: Stage) -> Mount:
    mount = stage.mounts.get(NAME)
    assert mount is not None
    return mount


def test_a_source_takes_over_when_its_format_is_known_and_not_before(stage: Stage) -> None:
    first = admit(stage, "one")
    know(stage, first, "mpeg", MP3)
    second = admit(stage, "other")
    first.output.feed(MP3)
    assert is_on_air(stage, first) and second.output.state is SourceState.STANDBY
    assert mount_of(stage).ring.read(0, mount_of(stage).ring.head) == 2 * MP3
    know(stage, second, "mpeg", MP3)
    assert is_on_air(stage, second) and first.output.state is SourceState.STANDBY
    assert mount_of(stage).sources == 2
    stage.ownership.remove(NAME, second)
    assert is_on_air(stage, first)


def test_listeners_hear_the_first_source_until_the_second_one_has_its_first_unit(stage: Stage) -> None:
    first = admit(stage, "one")
    know(stage, first, "mpeg", MP3)
    mount, transport = mount_of(stage), MemoryTransport()
    mount.join(1, transport, WHO, b"", 0, 0.0)
    second = admit(stage, "other")
    first.output.feed(MP3)
    know(stage, second, "mpeg", MP3)
    second.output.feed(MP3)
    mount.fanout._pass()
    assert transport.got.startswith(2 * MP3)
    assert mount.ring.head > 2 * len(MP3) and not transport.closed


@pytest.mark.parametrize("cut", [len(BROKEN), 12], ids=["at once", "later"])
def test_one_that_sends_what_cannot_be_streamed_takes_nothing_away(stage: Stage, cut: int) -> None:
    first = admit(stage, "one")
    know(stage, first, "mpeg", MP3)
    second = admit(stage, "other")
    with pytest.raises(FormatError):
        know(stage, second, "wav", BROKEN[:cut])
        assert is_on_air(stage, second)
        second.output.feed(BROKEN[cut:])
    assert is_on_air(stage, first) == (cut == len(BROKEN))
    stage.ownership.remove(NAME, second)
    assert is_on_air(stage, first)
    # After the break it goes on with its next frame.
    first.output.feed(MP3)
    first.output.feed(MP3)
    assert mount_of(stage).ring.read(0, mount_of(stage).ring.head) == 3 * MP3
    assert mount_of(stage).state is MountState.LIVE


def test_one_that_leaves_before_its_format_is_known_takes_over_nothing(stage: Stage) -> None:
    first = admit(stage, "one")
    know(stage, first, "mpeg", MP3)
    second = admit(stage, "other")
    stage.ownership.remove(NAME, second)
    assert is_on_air(stage, first) and stage.ownership.standbys == 0


@pytest.mark.parametrize("on_conflict", ["standby"])
def test_a_standby_whose_format_is_known_waits_for_its_turn(stage: Stage) -> None:
    first = admit(stage, "one")
    know(stage, first, "mpeg", MP3)
    second = admit(stage, "other")
    know(stage, second, "mpeg", MP3)
    assert is_on_air(stage, first) and second.output.state is SourceState.STANDBY


@pytest.mark.parametrize("format", ["mpeg", "adts"])
@pytest.mark.parametrize("on_conflict", ["standby"])
def test_a_standby_without_a_format_goes_on_the_air_in_its_turn_and_is_heard_when_the_format_is_known(
    stage: Stage, format: str, wait_until: WaitUntil
) -> None:
    first = admit(stage, "one")
    know(stage, first, "mpeg", MP3)
    second = admit(stage, "other")
    mount, transport = mount_of(stage), MemoryTransport()
    mount.join(1, transport, WHO, b"", 0, 0.0)
    stage.ownership.remove(NAME, first)
    wait_until(lambda: is_on_air(stage, second), "its turn")
    assert stage.mounts.is_opening(NAME)
    data = MP3 if format == "mpeg" else AAC
    know(stage, second, format, data)
    assert is_on_air(stage, second) and not stage.mounts.is_opening(NAME)
    assert mount.state is MountState.LIVE
    assert mount.ring.read(len(MP3), mount.ring.head) == data
    assert mount.description.format == format
    mount.fanout._pass()
    assert bytes(transport.got[len(transport.got) - len(data) :]) == data or transport.closed
    assert transport.closed == (format == "adts")


def test_the_newest_source_stays_on_the_air_when_the_format_of_the_one_before_is_known(stage: Stage) -> None:
    first, second = admit(stage, "one"), admit(stage, "other")
    assert is_on_air(stage, first)
    know(stage, second, "mpeg", MP3)
    assert is_on_air(stage, second) and first.output.state is SourceState.STANDBY
    know(stage, first, "mpeg", MP3)
    assert is_on_air(stage, second)
    stage.ownership.remove(NAME, second)
    assert is_on_air(stage, first)


@pytest.mark.parametrize("on_conflict", ["standby"])
def test_who_waits_for_a_format_waits_no_longer_when_another_source_is_heard(
    stage: Stage, wait_until: WaitUntil
) -> None:
    first, second = admit(stage, "one"), admit(stage, "other")
    know(stage, second, "mpeg", MP3)
    waiting = stage.group.spawn("a listener", stage.mounts.wait_until_known, NAME)
    gevent.sleep(0)
    assert stage.mounts.is_opening(NAME) and not waiting.ready()
    stage.ownership.remove(NAME, first)
    wait_until(lambda: is_on_air(stage, second), "its turn")
    assert mount_of(stage).state is MountState.LIVE
    assert not stage.mounts.is_opening(NAME)
    gevent.sleep(0.001)
    assert waiting.ready()
