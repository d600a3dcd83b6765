"""Sources of a node that is alone: which one may feed a mount, which may take over, and what happens after a source."""

import gc
import weakref
from collections.abc import Iterator

import gevent
import pytest

from pycast.cluster.claim import MountClaims
from pycast.cluster.ownership import Ownership
from pycast.config.live import Live
from pycast.config.load import loads
from pycast.errors import Refused
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.net.group import Group
from pycast.stream import mounts
from pycast.stream.events import SourceEnded, SourceStarted, StreamEvents
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.stream.source import SourceDescription, SourceOutput
from tests.conftest import WaitUntil
from tests.stream.memory import WHO, MemoryTransport

DESCRIPTION = SourceDescription(source_info(Headers()), "text/plain", (), "127.0.0.1", 0.0)


class FakeSource:
    def __init__(self, credentials: tuple[str, str] | None = ("source", "hackme")) -> None:
        self.credentials = credentials
        self.description = DESCRIPTION
        self.output = SourceOutput()
        self.is_silent = self.takes_over = False
        self.ended = ""

    def wait_until_out(self, seconds: float) -> None:
        pass

    def end(self, why: str) -> None:
        self.output.take_out()
        self.ended = why


class Stage:
    def __init__(self, toml: str = "") -> None:
        self.now = 0.0
        self.group = Group()
        self.config = loads(toml, {}, "test")
        self.settings, self.events = Live(self.config), StreamEvents()
        self.mounts = Mounts(self.settings, Pacer(0.5, lambda: 0.0), self.group, self.events, lambda: self.now)
        self.ownership = Ownership(self.settings, self.mounts, MountClaims(), self.group, lambda: self.now)

    def enter(self, name: str, source: FakeSource) -> Mount:
        self.ownership.admit(name, source)
        mount = self.mounts.get(name)
        assert mount is not None
        return mount


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(getattr(request, "param", ""))
    yield made
    made.mounts.stop()
    made.group.kill()
    assert len(made.group) == 0


@pytest.mark.parametrize("is_heard", [True, False])
def test_nobody_misses_audio_that_came_while_the_process_stood_still(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, is_heard: bool
) -> None:
    mount, looks = stage.enter("/x", FakeSource()), iter([60.0, 0.0])
    mount.join(1, MemoryTransport(), WHO, b"", 0, stage.now)
    stage.now += 60.0

    def sleep(period_s: float) -> float:
        late_s = next(looks)
        if is_heard and not late_s:  # the source's bytes are read meanwhile
            mount.take(b"x", [])
        return late_s

    monkeypatch.setattr(mounts, "sleep_until_tick", sleep)
    with pytest.raises(StopIteration):
        stage.mounts.run_expiry()
    assert len(mount.fanout) == is_heard


def test_a_mount_with_a_live_source_is_in_use(stage: Stage) -> None:
    stage.enter("/x", FakeSource())
    with pytest.raises(Refused, match="alive") as caught:
        stage.enter("/x", FakeSource())
    assert (caught.value.status, caught.value.public) == (403, "Mountpoint in use")


def test_the_same_source_takes_over_a_silent_connection(stage: Stage) -> None:
    old, new = FakeSource(), FakeSource()
    mount = stage.enter("/x", old)
    old.is_silent = True
    assert stage.enter("/x", new) is mount
    assert old.ended == "replaced by a new connection of the same source"
    stage.ownership.remove("/x", old)
    assert mount.state is MountState.LIVE
    assert stage.mounts.attached("/x") is new


def test_other_credentials_do_not_take_over(stage: Stage) -> None:
    held = FakeSource()
    stage.enter("/x", held)
    held.is_silent = True
    with pytest.raises(Refused):
        stage.enter("/x", FakeSource(("source", "other")))


def test_a_source_without_credentials_is_never_taken_over(stage: Stage) -> None:
    held = FakeSource(None)
    stage.enter("/x", held)
    held.is_silent = True
    with pytest.raises(Refused):
        stage.enter("/x", FakeSource(None))


@pytest.mark.parametrize("stage", ["[limits]\nsource_takeover = false"], indirect=True)
def test_takeover_can_be_switched_off(stage: Stage) -> None:
    held = FakeSource()
    stage.enter("/x", held)
    held.is_silent = True
    with pytest.raises(Refused):
        stage.enter("/x", FakeSource())


@pytest.mark.parametrize("stage", ["[limits]\nsources = 1"], indirect=True)
def test_too_many_sources_are_refused_but_the_same_one_may_return(stage: Stage) -> None:
    source = FakeSource()
    stage.enter("/x", source)
    with pytest.raises(Refused) as caught:
        stage.enter("/y", FakeSource())
    assert (caught.value.status, caught.value.public) == (403, "too many sources connected")
    source.is_silent = True
    stage.enter("/x", FakeSource())


@pytest.mark.parametrize("stage", ["[limits]\nsource_grace = 0.05"], indirect=True)
def test_a_mount_ends_when_its_grace_is_over(stage: Stage) -> None:
    source = FakeSource()
    mount = stage.enter("/x", source)
    transport = MemoryTransport()
    mount.join(1, transport, WHO, b"", 0, 0.0)
    stage.ownership.remove("/x", source)
    assert stage.mounts.get("/x") is mount
    with gevent.Timeout(5):
        while stage.mounts.get("/x") or not transport.closed:
            gevent.sleep(0.01)
    assert mount.state is MountState.ENDED


@pytest.mark.parametrize("stage", ["[limits]\nsource_grace = 0.05"], indirect=True)
def test_a_source_that_returns_in_time_keeps_the_mount(stage: Stage) -> None:
    source = FakeSource()
    mount = stage.enter("/x", source)
    stage.ownership.remove("/x", source)
    assert stage.enter("/x", FakeSource()) is mount
    gevent.sleep(0.1)
    assert stage.mounts.get("/x") is mount
    assert mount.state is MountState.LIVE


@pytest.mark.parametrize("stage", ["[limits]\nsource_grace = 0"], indirect=True)
def test_without_grace_a_mount_ends_with_its_source(stage: Stage) -> None:
    source = FakeSource()
    stage.enter("/x", source)
    stage.ownership.remove("/x", source)
    assert stage.mounts.get("/x") is None


def test_starts_and_ends_of_sources_are_announced(stage: Stage) -> None:
    received: list[object] = []
    stage.events.source_started.subscribe(received.append)
    stage.events.source_ended.subscribe(received.append)
    settings = stage.config.for_mount("/x")
    source = FakeSource()
    stage.enter("/x", source)
    stage.ownership.remove("/x", source)
    who = DESCRIPTION.ip, DESCRIPTION.info.user_agent
    assert received == [SourceStarted("/x", settings, *who), SourceEnded("/x", settings, *who)]


def test_a_reload_reaches_running_mounts(stage: Stage) -> None:
    mount = stage.enter("/x", FakeSource())
    stage.settings.replace(loads('[[mount]]\nmount_name = "/x"\nmax_listeners = 3', {}, "test"))
    stage.mounts.apply_settings()
    assert mount.settings.max_listeners == 3


def test_stop_ends_sources_and_listeners(stage: Stage) -> None:
    source, transport = FakeSource(), MemoryTransport()
    mount = stage.enter("/x", source)
    mount.join(1, transport, WHO, b"", 0, 0.0)
    stage.mounts.stop()
    assert source.ended == "the server stops"
    assert transport.closed
    assert len(stage.mounts) == 0


def test_stop_announces_the_end_of_its_own_sources_only(stage: Stage) -> None:
    received: list[object] = []
    stage.events.source_ended.subscribe(received.append)
    stage.mounts.attach_mirror("/m", object(), DESCRIPTION, 0)
    settings = stage.mounts.attach_source("/x", FakeSource()).settings
    stage.mounts.stop()
    assert received == [SourceEnded("/x", settings, DESCRIPTION.ip)]


def test_a_mirror_feeds_a_mount_and_a_source_takes_its_place(stage: Stage) -> None:
    received: list[object] = []
    stage.events.source_started.subscribe(received.append)
    stage.events.source_ended.subscribe(received.append)
    mirror, source = object(), FakeSource()
    mount = stage.mounts.attach_mirror("/x", mirror, DESCRIPTION, 0)
    assert (stage.mounts.attached("/x"), stage.mounts.source("/x"), stage.mounts.sources) == (mirror, None, 0)
    assert stage.mounts.is_silent("/x")
    assert stage.mounts.attach_source("/x", source) is mount
    assert (stage.mounts.attached("/x"), stage.mounts.sources) == (source, 1)
    assert received == [SourceStarted("/x", mount.settings, DESCRIPTION.ip)]


def test_a_mount_without_a_source_or_mirror_waits_with_its_listeners(stage: Stage) -> None:
    mount = stage.mounts.attach_source("/x", FakeSource())
    transport = MemoryTransport()
    mount.join(1, transport, WHO, b"", 0, 0.0)
    stage.mounts.detach("/x")
    stage.mounts.detach("/x")
    assert (mount.state, stage.mounts.attached("/x"), transport.closed) == (MountState.WAITING, None, False)
    assert stage.mounts.attach_mirror("/x", object(), DESCRIPTION, 0) is mount
    assert mount.state is MountState.LIVE


@pytest.mark.parametrize("stage", ["[limits]\nsource_grace = 0.05"], indirect=True)
def test_a_mount_that_is_kept_outlives_its_grace(stage: Stage) -> None:
    source = FakeSource()
    mount = stage.enter("/x", source)
    stage.ownership.remove("/x", source)
    stage.mounts.keep("/x")
    gevent.sleep(0.1)
    assert stage.mounts.get("/x") is mount


def test_the_memory_of_a_mount_is_back_when_it_ends_and_does_not_wait_for_the_collector(
    stage: Stage, wait_until: WaitUntil
) -> None:
    seen: list[weakref.ref[object]] = []
    gc.disable()
    try:
        for number in range(30):
            source, name = FakeSource(), f"/{number}"
            mount = stage.enter(name, source)
            mount.feed(bytes(100_000))
            mount.set_title("", "song")
            mount.join(number, MemoryTransport(), WHO, b"", mount.metaint(), 0.0)
            seen += [weakref.ref(one) for one in (mount, mount.ring, mount.timeline, mount.fanout)]
            del mount
            stage.ownership.remove(name, source)
            stage.mounts.close(name)
        wait_until(lambda: not stage.mounts.ending, "the last listeners")
        wait_until(lambda: not [one for one in seen if one() is not None], "the memory")
    finally:
        gc.enable()


def test_a_ring_is_freed_by_name_also_while_its_mount_is_in_use(stage: Stage, wait_until: WaitUntil) -> None:
    source = FakeSource()
    mount = stage.enter("/x", source)
    mount.feed(bytes(100_000))
    mount.set_title("", "song")
    assert mount.ring.capacity > 100_000
    stage.mounts.close("/x")
    wait_until(lambda: not stage.mounts.ending, "its end")
    assert (mount.ring.capacity, mount.timeline.title, mount.journal.since(0, 0)) == (1, None, [])
