"""A mount outlives its sources: what listeners get across starts, ends, splices and titles."""

import logging
from pathlib import Path

import pytest

from pycast.config.load import loads
from pycast.config.mount_settings import MountSettings
from pycast.config.units import Size
from pycast.errors import Refused
from pycast.formats.marks import Header, Info, Join, Mark, Tags
from pycast.http.headers import Headers
from pycast.http.icy import IcyReader, IcyTitle
from pycast.http.source_headers import source_info
from pycast.stream.dump import DUMP_WRITERS
from pycast.stream.events import StreamEvents
from pycast.stream.fanout import Reason
from pycast.stream.mount import Mount
from pycast.stream.mount_limits import admit, expire
from pycast.stream.mount_state import MountState
from pycast.stream.pacer import Pacer
from pycast.stream.ring_size import RING_S
from pycast.stream.source import SourceDescription
from tests.formats.flac_frames import begin
from tests.formats.flac_frames import frame as flac_frame
from tests.stream.memory import WHO, MemoryTransport

FRAME = b"\xff\xfb\x90\xc4" + b"\0" * 413
SETTINGS = loads("", {}, "test").for_mount("/x").replace(burst_size=Size(bytes=0))


def new_mount(settings: MountSettings = SETTINGS) -> tuple[Mount, list[Reason]]:
    mount, gone, _ = new_mount_with_events(settings)
    return mount, gone


def new_mount_with_events(settings: MountSettings = SETTINGS) -> tuple[Mount, list[Reason], StreamEvents]:
    gone: list[Reason] = []
    events = StreamEvents()
    events.listener_left.subscribe(lambda event: gone.append(event.reason))
    return Mount("/x", settings, description(), Pacer(0.5, lambda: 0.0), events, lambda: 0.0), gone, events


def description(content_type: str = "text/plain", **headers: str) -> SourceDescription:
    fields = Headers([(name.replace("_", "-"), value) for name, value in headers.items()])
    return SourceDescription(source_info(fields), content_type, tuple(fields), "127.0.0.1", 1_000_000.0)


def listen(mount: Mount, metaint: int = 0) -> MemoryTransport:
    transport = MemoryTransport()
    mount.join(1 + mount.listener_connections, transport, WHO, b"", metaint, 0.0)
    return transport


def test_listeners_get_the_audio_of_the_source_that_returns() -> None:
    mount, gone = new_mount()
    mount.start(description())
    transport = listen(mount)
    mount.feed(b"first")
    mount.fanout._pass()
    mount.end()
    assert mount.state is MountState.WAITING
    mount.start(description())
    mount.feed(b"second")
    mount.fanout._pass()
    assert transport.got == b"firstsecond"
    assert mount.started_at == 5
    assert gone == []


def test_the_end_of_the_grace_drops_the_listeners() -> None:
    mount, gone = new_mount()
    mount.start(description())
    transport = listen(mount)
    mount.feed(b"the end")
    mount.end()
    mount.close()
    mount.fanout.run()
    assert mount.state is MountState.ENDED
    assert transport.got == b"the end"
    assert transport.closed
    assert gone == [Reason.SOURCE_GONE]


def test_a_source_of_another_family_drops_the_old_listeners(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    mount, gone = new_mount()
    mount.start(description())
    transport = listen(mount)
    mount.end()
    mount.start(description("application/ogg"))
    assert transport.closed
    assert gone == [Reason.OTHER_FORMAT]
    assert "1 listeners are disconnected" in caplog.text
    listen(mount)  # who comes again is welcome at once
    assert len(mount.fanout) == 1


def test_a_full_mount_refuses_with_a_reason() -> None:
    mount, _ = new_mount(SETTINGS.replace(max_listeners=1))
    mount.start(description())
    admit(mount)
    listen(mount)
    with pytest.raises(Refused, match="has its 1 listeners") as caught:
        admit(mount)
    assert (caught.value.status, caught.value.public) == (403, "max listeners reached")


def test_a_limit_of_zero_admits_no_listener() -> None:
    mount, _ = new_mount(SETTINGS.replace(max_listeners=0))
    mount.start(description())
    with pytest.raises(Refused):
        admit(mount)


def test_only_whole_frames_reach_listeners() -> None:
    mount, _ = new_mount()
    mount.start(description("audio/mpeg"))
    mount.feed(FRAME * 3)
    transport = listen(mount)
    already = len(transport.got)
    mount.feed(FRAME + FRAME[:100])
    mount.fanout._pass()
    assert bytes(transport.got) == FRAME * (already // len(FRAME) + 1)


def test_a_title_appears_at_the_listeners_own_position() -> None:
    mount, _ = new_mount(SETTINGS.replace(mp3_metadata_interval=100))
    mount.start(description())
    assert mount.set_title("Björk", "Jóga", "http://x/")
    transport = listen(mount, metaint=100)
    mount.feed(b"a" * 150)
    assert mount.set_title("", "Next")
    mount.feed(b"b" * 150)
    mount.fanout._pass()
    audio, titles = b"", []
    for event in IcyReader(100).feed(bytes(transport.got)):
        if isinstance(event, IcyTitle):
            titles.append((len(audio), event.text, event.url))
        else:
            audio += event
    assert audio == b"a" * 150 + b"b" * 150
    assert titles == [(100, "Björk - Jóga", "http://x/"), (200, "Next", "")]


def test_the_same_title_twice_is_one_title() -> None:
    mount, _, events = new_mount_with_events()
    mount.start(description())
    received: list[str] = []
    events.title_changed.subscribe(lambda event: received.append(event.title.text))
    assert mount.set_title("", "one")
    assert mount.set_title("", "one")
    assert received == ["one"]


def test_no_title_at_first_is_no_title_and_one_after_a_jump_is_told_once() -> None:
    mount, _, events = new_mount_with_events()
    mount.start_mirror(description(), 0)
    told: list[str] = []
    events.title_changed.subscribe(lambda event: told.append(event.title.text))
    assert mount.set_title("", "") and mount.timeline.title is None
    mount.take(b"x", [Tags(0, "", "a", "")])
    mount.take(b"x", [Tags(1, "", "b", "")])
    mount.restart_at(100)  # and its parent sends the backlog
    mount.take(b"x", [Tags(100, "", "a", "")])
    mount.take(b"x", [Tags(101, "", "b", "")])
    assert told == ["a", "b"] and mount.timeline.tags_at(101) == Tags(101, "", "b", "")
    mount.take(b"x", [Tags(102, "", "c", ""), Tags(103, "", "a", "")])
    assert told == ["a", "b", "c", "a"]


def test_a_title_too_long_for_a_block_is_cut_and_does_not_leave_the_old_one() -> None:
    mount, _ = new_mount()
    mount.start(description())
    mount.set_title("", "short")
    assert mount.set_title("", "x" * 5000)
    assert mount.timeline.title is not None
    assert mount.timeline.title.title == "x" * 4064


@pytest.mark.parametrize("content_type", ["application/ogg", "video/webm", "audio/flac", "audio/mp4", "audio/wav"])
def test_containers_carry_no_icy_titles(content_type: str) -> None:
    mount, _ = new_mount()
    mount.start(description("audio/mpeg"))
    assert mount.metaint() == 16_000
    mount.end()
    mount.start(description(content_type))
    assert mount.metaint() == 0


def test_the_ring_covers_what_listeners_may_lag_and_half_a_minute() -> None:
    mount, _ = new_mount(SETTINGS.replace(queue_size=Size(bytes=10_000)))
    mount.start(description("audio/mpeg"))
    assert mount.ring.capacity > mount.allowed_lag()
    mount.feed(FRAME * 50)
    assert mount.bitrate == 128_000
    assert mount.ring.capacity >= 16_000 * RING_S


def test_a_burst_larger_than_the_queue_is_not_too_slow_at_once() -> None:
    mount, _ = new_mount(SETTINGS.replace(queue_size=Size(bytes=1000), burst_size=Size(bytes=50_000)))
    mount.start(description())
    mount.feed(b"x" * 60_000)
    assert not listen(mount).closed


def test_the_dump_gets_every_byte_as_it_came(tmp_path: Path) -> None:
    mount, _ = new_mount(SETTINGS.replace(dump_file=str(tmp_path / "{mount}-%Y.dump")))
    mount.start(description("audio/mpeg"))
    mount.feed(FRAME + FRAME[:10])
    mount.feed(b"rest")
    mount.end()
    assert DUMP_WRITERS.settle(5)
    (dump,) = tmp_path.iterdir()
    assert dump.name == "x-1970.dump"
    assert dump.read_bytes() == FRAME + FRAME[:10] + b"rest"


def test_a_dump_that_cannot_be_opened_costs_the_stream_nothing(tmp_path: Path) -> None:
    mount, _ = new_mount(SETTINGS.replace(dump_file=str(tmp_path / "none" / "x")))
    mount.start(description())
    transport = listen(mount)
    mount.feed(b"audio")
    mount.fanout._pass()
    assert transport.got == b"audio"


def test_a_reload_changes_the_name_that_new_listeners_get() -> None:
    mount, _ = new_mount()
    mount.start(description(ice_name="Source's"))
    assert mount.source_lines == b"icy-name:Source's\r\n"
    mount.apply(SETTINGS.replace(stream_name="Ours"))
    assert mount.source_lines == b"icy-name:Ours\r\n"


def test_listeners_go_when_their_time_is_over() -> None:
    mount, gone = new_mount(SETTINGS.replace(max_listener_duration=60.0))
    mount.start(description())
    listen(mount)
    mount.last_audio = 59.0
    expire(mount, 59.9)
    assert gone == []
    expire(mount, 60.0)
    assert gone == [Reason.EXPIRED]


def test_what_is_wrong_with_a_stream_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    mount, _ = new_mount()
    mount.start(description("audio/mpeg"))
    for _ in range(20):
        mount.feed(b"no frames here " * 1000)
    mount.end()
    assert caplog.text.count("passed on as it is") == 1


def test_what_is_dropped_of_a_source_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    mount, _ = new_mount()
    for _ in range(2):
        mount.start(description("application/ogg"))
        mount.feed(b"junk" * 10)
        mount.feed(b"junk" * 10 + b"OggS")
        mount.end()
    assert mount.bytes_dropped == 2 * 2 * 40
    # The first time with what was dropped by then, at the end with all of it.
    assert len([one for one in caplog.messages if "no intact Ogg pages" in one]) == 2 * 2


def test_lb_04_without_a_byte_for_twenty_seconds_listeners_are_dropped() -> None:
    patience = SETTINGS.longest_silence
    assert patience < 20
    mount, gone = new_mount()
    mount.start(description())
    transports = [listen(mount), listen(mount)]
    expire(mount, patience - 0.1)
    assert gone == []
    mount.last_audio = 5.0
    expire(mount, patience)
    assert gone == []
    expire(mount, 5.0 + patience)
    assert gone == [Reason.SILENT] * 2
    assert all(transport.closed for transport in transports)


@pytest.mark.parametrize("step_s", [86_400, -86_400])
def test_time_that_a_source_stood_by_does_not_follow_the_time_of_day(
    monkeypatch: pytest.MonkeyPatch, step_s: int
) -> None:
    monkeypatch.setattr("pycast.stream.mount.time.time", lambda: 1_000_000.0 + step_s)
    mount = Mount("/x", SETTINGS, description(), Pacer(0.5, lambda: 0.0), StreamEvents(), lambda: 100.0)
    mount.start(description()._replace(started=1_000_000.0 - 30, begun=70.0))
    assert mount.source_age_s() == 30
    mount.end()


@pytest.mark.parametrize("earlier_s", [0.0, 30.0, -30.0])
def test_time_that_a_source_is_connected_does_not_follow_the_time_of_day(
    monkeypatch: pytest.MonkeyPatch, earlier_s: float
) -> None:
    day, now = [1_000_000.0 + earlier_s], [100.0]
    monkeypatch.setattr("pycast.stream.mount.time.time", lambda: day[0])
    mount = Mount("/x", SETTINGS, description(), Pacer(0.5, lambda: 0.0), StreamEvents(), lambda: now[0])
    mount.start(description())
    already = max(0.0, earlier_s)  # a source that stood by is older than its turn
    assert mount.source_age_s() == already
    day[0] -= 86_400
    now[0] += 5
    assert mount.source_age_s() == already + 5
    mount.end()


@pytest.mark.parametrize("how", ["source", "mirror"])
def test_lb_04_any_audio_and_any_new_source_counts(how: str) -> None:
    now = 0.0
    mount = Mount("/x", SETTINGS, description(), Pacer(0.5, lambda: 0.0), StreamEvents(), lambda: now)
    mount.start(description())
    now = 15.0
    if how == "source":
        mount.feed(b"audio")
    else:
        mount.start_mirror(description(), 0)
    transport = listen(mount)
    expire(mount, SETTINGS.longest_silence + 1)
    assert not transport.closed


def test_a_mirror_takes_units_and_marks_as_they_are() -> None:
    mount, _ = new_mount()
    mount.restart_at(1000)
    mount.start_mirror(description("application/ogg"), 700)
    assert (mount.started_at, mount.ring.head, mount.floor) == (700, 1000, 1000)
    marks: list[Mark] = [Join(1000, 2.5), Header(1000, b"head"), Tags(1003, "A", "T"), Info(1003, 64_000, {"k": "v"})]
    mount.take(b"page one", marks)
    assert mount.ring.read(1000, 1008) == b"page one"
    assert mount.timeline.joins(0, 2000) == [(1000, 2.5)]
    assert mount.timeline.header_at(1000) == b"head"
    assert (mount.bitrate, mount.stats) == (64_000, {"k": "v"})
    assert mount.timeline.title is not None and mount.timeline.title.text == "A - T"


@pytest.mark.parametrize("start", ["start", "start_mirror"])
def test_listeners_are_told_no_type_that_a_browser_could_run_wherever_it_comes_from(start: str) -> None:
    mount, _ = new_mount()
    evil = description("text/html")
    mount.start(evil) if start == "start" else mount.start_mirror(evil, 0)
    assert mount.listener_content_type == "application/octet-stream"


def test_audio_titles_and_starts_and_ends_of_sources_are_announced_to_mirrors() -> None:
    mount, _, events = new_mount_with_events()
    woken: list[str] = []
    events.new_audio.subscribe(lambda event: woken.append(mount.state.value))
    mount.start(description())
    mount.feed(b"audio")
    mount.set_title("", "title")
    mount.end()
    mount.resume()
    mount.end()
    mount.close()
    assert woken == ["live", "live", "live", "waiting", "live", "waiting", "ended"]


def test_a_source_that_is_there_again_is_no_new_source() -> None:
    mount, _ = new_mount()
    mount.start(description())
    mount.feed(b"audio")
    mount.end()
    mount.resume()
    assert (mount.state, mount.sources, mount.started_at) == (MountState.LIVE, 1, 0)


def test_a_mount_whose_offsets_jump_keeps_nothing_from_before() -> None:
    mount, _ = new_mount()
    mount.start(description("audio/mpeg"))
    mount.feed(FRAME * 5)
    mount.set_title("", "old")
    mount.restart_at(7000)
    assert (mount.restarts, mount.ring.oldest, mount.ring.head, mount.floor) == (1, 7000, 7000, 7000)
    assert (mount.timeline.title, mount.timeline.last_join(), mount.started_at) == (None, None, -1)
    mount.start(description("audio/mpeg"))
    mount.feed(FRAME * 2)
    assert mount.timeline.joins(0, 10_000)[0][0] == 7000
    assert mount.started_at == 7000


def test_a_mount_with_listeners_cannot_jump() -> None:
    mount, _ = new_mount()
    mount.start(description())
    listen(mount)
    with pytest.raises(AssertionError):
        mount.restart_at(5)


def test_a_source_taken_off_the_air_goes_on_where_it_is_put_back() -> None:
    mount, _ = new_mount()
    mount.start(description("audio/mpeg"))
    mount.feed(FRAME * 3 + FRAME[:100])
    standby = mount.to_standby()
    mount.end()
    standby.feed(FRAME[100:] + FRAME[:50])
    mount.start(description("audio/mpeg"), standby)
    mount.feed(FRAME[50:] + FRAME)
    assert mount.ring.read(0, mount.ring.head) == FRAME * 5


def test_lb_04_a_title_is_no_audio() -> None:
    now = 0.0
    mount = Mount("/x", SETTINGS, description(), Pacer(0.5, lambda: 0.0), StreamEvents(), lambda: now)
    mount.start_mirror(description(), 0)
    transport = listen(mount)
    now = 15.0
    mount.take(b"", [Tags(0, "", "a title")])
    expire(mount, SETTINGS.longest_silence)
    assert transport.closed


def test_the_last_frame_of_flac_goes_out_when_its_source_ends() -> None:
    mount, _ = new_mount()
    mount.start(description("audio/flac"))
    data = begin() + flac_frame(0) + flac_frame(1)
    mount.feed(data)
    assert mount.ring.head == len(data) - len(flac_frame(1))
    mount.end()
    assert mount.ring.read(0, mount.ring.head) == data
