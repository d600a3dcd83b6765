"""A relay is a source like others, comes back by itself, and costs no listener anything."""

import logging
from typing import Any

import gevent
import pytest
from gevent import socket

from pycast.relay import run
from pycast.relay import upstreams as upstreams_module
from pycast.relay.place import Place, RelaySpec
from pycast.relay.relay import RelayState
from pycast.relay.run import StreamRun
from pycast.stream.fanout import Reason
from pycast.stream.mount_state import MountState
from pycast.stream.source import SourceState
from tests.e2e.wire import assert_run_of, frames
from tests.relay.stage import MOUNT, quick, relaying
from tests.relay.upstream import HTTP, ICY, answers, comes, plays, plays_titles
from tests.server.contexts import FakeSource

__all__ = ["quick"]

SENT = frames(0, 3000)


def test_bytes_and_description_of_another_server_are_a_mounts() -> None:
    with relaying(plays(ICY)) as (stage, _):
        mount = stage.mount
        assert comes(lambda: mount.ring.head > 60 * 417)
        assert_run_of(mount.ring.read(0, mount.ring.head), SENT)
        described = mount.description
        assert (described.info.name, described.ip, described.format) == ("Far away", "127.0.0.1", "mpeg")
        assert stage.relay.state is RelayState.ON_AIR
        counters = stage.context.counters
        assert (counters.source_relay_connections, counters.source_client_connections) == (1, 0)


@pytest.mark.usefixtures("quick")
def test_listeners_stay_while_an_upstream_comes_back() -> None:
    with relaying(plays()) as (stage, [server]):
        mount = stage.mount
        stage.listen(mount)
        for _ in range(2):
            server.hang_up()
            assert comes(lambda: mount.state is MountState.WAITING)
            assert comes(lambda: mount.state is MountState.LIVE)
        assert stage.grows() and len(mount.fanout) == 1
        counters = stage.context.counters
        assert (counters.relay_failures, counters.relay_retries, counters.source_relay_connections) == (2, 2, 3)


@pytest.mark.usefixtures("quick")
def test_upstream_that_is_frozen_is_left_and_a_slow_one_is_not() -> None:
    with relaying(plays(), toml="source_timeout = 0.2\n") as (stage, [server]):
        assert stage.grows()
        server.play = plays(step_s=0.1)
        server.hang_up()
        assert comes(lambda: len(server.heads) == 2) and stage.grows()
        gevent.sleep(0.3)
        assert len(server.heads) == 2
        server.play = answers(HTTP, frames(0, 40), then_s=60)
        server.hang_up()
        assert comes(lambda: len(server.heads) > 3)  # it was asked again


@pytest.mark.usefixtures("quick")
def test_second_upstream_plays_at_once_and_the_best_is_returned_to_without_a_gap() -> None:
    down = answers(b"HTTP/1.0 404 Not Found\r\n")
    with relaying(down, plays(first=1000)) as (stage, [best, second]):
        mount = stage.mount
        listener = stage.listen(mount)
        states: list[MountState] = []
        stage.context.mounts._events.mount_state_changed.subscribe(lambda event: states.append(event.state))
        assert mount.ring.read(0, 417) == frames(1000, 1)
        best.play = plays(first=2000)
        assert comes(lambda: second.connections == 0 and best.connections == 1)
        assert stage.grows() and frames(2000, 3) in mount.ring.read(mount.ring.oldest, mount.ring.head)
        assert MountState.WAITING not in states and len(mount.fanout) == 1
        assert comes(lambda: frames(2000, 1) in bytes(listener.got))


@pytest.mark.usefixtures("quick")
def test_stream_that_has_not_made_way_in_time_is_ended_and_not_left_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ADMIT_S", 0.1)
    begin = StreamRun.begin

    def begin_or_hang(self: StreamRun, *args: Any) -> None:
        if self.index:
            begin(self, *args)
        else:  # as when the claim of a mount hangs
            assert self._stream is not None
            connection = self._stream.connection
            self._task = stage.context.group.spawn("hangs", gevent.sleep, 60)
            self._task.rawlink(lambda _: connection.close())

    with relaying(answers(b"HTTP/1.0 404 Not Found\r\n"), plays()) as (stage, [best, second]):
        assert stage.grows()
        monkeypatch.setattr(StreamRun, "begin", begin_or_hang)
        best.play = plays()
        assert comes(lambda: len(best.heads) > 1 and second.connections == 0)


def test_best_upstream_that_is_not_back_disturbs_nobody(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    with relaying(answers(b"HTTP/1.0 404 No\r\n"), plays()) as (stage, [best, second]):
        assert comes(lambda: len(best.heads) >= 3)
        assert stage.is_live and len(second.heads) == 1
    assert sum("cannot be relayed" in line for line in caplog.messages) == 1


def test_line_says_what_the_relay_does(quick: None) -> None:
    with relaying(answers(b"HTTP/1.0 404 Gone Fishing\r\n"), plays(), run_on=5.0) as (stage, [_, second]):
        assert comes(lambda: stage.relay.line().state == "on_air")
        line = stage.relay.line()
        assert (line.mount, line.is_enabled, line.on_demand, line.from_master) == (MOUNT, True, False, False)
        assert [one.is_active for one in line.upstreams] == [False, True] and line.upstreams[1].port == second.port
        assert line.for_s > 0 and not line.retry_in_s and not line.trouble
        second.play = answers(b"HTTP/1.0 403 Forbidden\r\n")
        second.hang_up()
        assert comes(lambda: stage.relay.line().state == "failing")
        line = stage.relay.line()
        assert "it answers 40" in line.trouble and not line.for_s
        assert not any(one.is_active for one in line.upstreams)
        assert comes(lambda: stage.relay.line().retry_in_s > 0)


def test_relay_that_is_switched_off_asks_nobody_until_it_is_switched_on(quick: None) -> None:
    with relaying(plays()) as (stage, [server]):
        mount = stage.mount
        stage.listen(mount)
        stage.relay.obey("disable")
        assert comes(lambda: stage.relay.line().state == "off" and mount.state is MountState.WAITING)
        gevent.sleep(0.1)
        assert len(server.heads) == 1 and not stage.relay.line().is_enabled
        stage.relay.obey("enable")
        assert comes(lambda: stage.is_live) and len(mount.fanout) == 1
        assert stage.context.counters.relay_failures == 0


def test_relay_on_demand_that_is_switched_off_keeps_nobody_waiting(quick: None) -> None:
    with relaying(plays(), on_demand=True) as (stage, [server]):
        stage.relay.obey("disable")
        assert comes(lambda: stage.relay.line().state == "off")
        with gevent.Timeout(5):
            stage.on_demand.start(MOUNT)
        assert not server.heads and not stage.is_live


def test_restart_begins_at_the_best_upstream_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams_module, "FIRST_PAUSE_S", 60.0)
    with relaying(answers(b"HTTP/1.0 404 No\r\n"), plays(first=1000)) as (stage, [best, second]):
        mount = stage.mount
        stage.listen(mount)
        best.play = plays(first=2000)
        stage.relay.obey("restart")
        assert comes(lambda: second.connections == 0 and best.connections == 1)
        assert comes(lambda: stage.is_live) and len(mount.fanout) == 1
        assert stage.relay.line().upstreams[0].is_active
        best.play = second.play = answers(b"HTTP/1.0 404 No\r\n")
        best.hang_up()
        assert comes(lambda: stage.relay.state is RelayState.FAILING)
        best.play = plays()
        stage.relay.obey("restart")  # not in a minute
        assert comes(lambda: stage.is_live)


def test_failure_is_logged_once_and_counted_each_time(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    with relaying(answers(b"HTTP/1.0 403 Forbidden\r\n")) as (stage, [server]):
        assert comes(lambda: stage.context.counters.relay_failures == 3)
        assert stage.relay.state is RelayState.FAILING
        assert stage.context.counters.relay_retries >= 2
        server.play = plays()
        assert stage.is_live or comes(lambda: stage.is_live)
    [said] = [
        record for record in caplog.records if record.name == "pycast.relay.relay" and record.levelno == logging.WARNING
    ]
    assert f"http://127.0.0.1:{server.port}/live.mp3: it answers 403 Forbidden" in said.getMessage()


def test_changed_answer_of_a_name_server_is_followed(quick: None) -> None:
    asked: list[str] = []
    with relaying(plays(), plays(first=500)) as (one, servers):
        one.task.kill()
        ports = [server.port for server in servers]

        def resolve(host: str, port: int) -> list[Any]:
            asked.append(host)
            return [(socket.AF_INET, ("127.0.0.1", ports[0]))]

        with relaying(resolve=resolve) as (stage, _):
            stage.relay.change(RelaySpec(MOUNT, (Place("radio.example", 8000, "/x"),)))
            before = len(servers[0].heads)
            assert comes(lambda: stage.is_live) and len(servers[0].heads) == before + 1
            ports.reverse()
            servers[0].hang_up()
            assert comes(lambda: servers[1].heads) and comes(lambda: stage.is_live)
            assert b"Host: radio.example:8000\r\n" in servers[1].heads[0]
    assert set(asked) == {"radio.example"} and len(asked) >= 2


def test_titles_in_the_audio_are_the_mounts_in_their_charset() -> None:
    titles = ["Björk - Jóga"]
    toml = f'[[mount]]\nmount_name = "{MOUNT}"\ncharset = "ISO-8859-1"\n'
    with relaying(plays_titles(lambda: titles[0], "ISO-8859-1"), toml=toml) as (stage, _):
        mount = stage.mount
        assert comes(lambda: mount.timeline.title is not None and mount.timeline.title.text == "Björk - Jóga")
        titles[0] = "Next"
        assert comes(lambda: mount.timeline.title is not None and mount.timeline.title.text == "Next")
        assert comes(lambda: mount.ring.head > 50 * 417)
        assert_run_of(mount.ring.read(0, 50 * 417), SENT)


def test_title_is_kept_over_a_gap(quick: None) -> None:
    with relaying(plays_titles(lambda: "Song")) as (stage, [server]):
        mount = stage.mount
        assert comes(lambda: mount.timeline.title is not None and mount.timeline.title.text == "Song")
        server.play = plays(ICY)
        server.hang_up()
        assert comes(lambda: mount.state is MountState.WAITING) and comes(lambda: stage.is_live)
        assert mount.timeline.title is not None and mount.timeline.title.text == "Song"


def test_relay_waits_for_a_source_that_has_its_mount(quick: None) -> None:
    with relaying() as (stage, _), relaying(plays()) as (other, [server]):
        other.task.kill()
        source = FakeSource()
        stage.context.ownership.admit(MOUNT, source)
        stage.relay.change(RelaySpec(MOUNT, (server.place(),)))
        assert comes(lambda: stage.relay.state is RelayState.WAITING)
        before = len(server.heads)
        gevent.sleep(0.1)
        assert len(server.heads) == before and stage.is_live
        stage.context.ownership.remove(MOUNT, source)
        assert comes(lambda: stage.relay.state is RelayState.ON_AIR) and stage.grows()


def test_encoder_may_take_over_and_the_relay_goes_on_with_its_title(quick: None) -> None:
    titles = ["Before"]
    toml = f'[[mount]]\nmount_name = "{MOUNT}"\non_conflict = "take_over"\n'
    with relaying(plays_titles(lambda: titles[0]), toml=toml) as (stage, [server]):
        mount, source = stage.mount, FakeSource()
        stage.context.ownership.admit(MOUNT, source)
        held = stage.relay._run
        assert held is not None and held.state is SourceState.STANDBY
        source.output.set_title("", "Live show")
        titles[0] = "Meanwhile"
        gevent.sleep(0.1)
        assert mount.timeline.title is not None and mount.timeline.title.text == "Live show"
        stage.context.ownership.remove(MOUNT, source)
        assert comes(lambda: mount.timeline.title is not None and mount.timeline.title.text == "Meanwhile")
        assert stage.grows() and len(server.heads) == 1


def test_limit_of_sources_holds_for_relays(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    with relaying(plays(), toml="sources = 0\n") as (stage, [server]):
        assert comes(lambda: len(server.heads) >= 2)
        assert not stage.is_live and stage.relay.state is RelayState.FAILING
    assert sum("sources are connected" in line for line in caplog.messages) == 1


def test_relay_on_demand_begins_with_the_first_listener_and_ends_after_the_last(quick: None) -> None:
    with relaying(plays(), on_demand=True, run_on=0.1) as (stage, [server]):
        assert comes(lambda: stage.relay.state is RelayState.IDLE)
        gevent.sleep(0.1)
        assert not server.heads
        for number in (1, 2):
            stage.on_demand.start(MOUNT)  # as a listener's request does
            assert stage.is_live and len(server.heads) == number
            listener = stage.listen(stage.mount)
            gevent.sleep(0.2)
            assert stage.is_live
            stage.mount.fanout.drop_all(Reason.KILLED)
            assert comes(lambda: server.connections == 0) and stage.relay.state is RelayState.IDLE
            assert listener.got
        assert stage.context.counters.relay_failures == 0


def test_who_asks_for_a_relay_that_fails_waits_for_one_try_only(quick: None) -> None:
    with relaying(answers(b"HTTP/1.0 404 No\r\n"), on_demand=True, run_on=30.0) as (stage, [server]):
        for _ in range(5):
            with gevent.Timeout(3):
                stage.on_demand.start(MOUNT)
        assert 1 <= len(server.heads) <= 5 and not stage.is_live


@pytest.mark.parametrize("override", ["own", "none"])
def test_who_hears_the_fallback_of_a_relay_on_demand_gets_its_stream_when_it_is_there(
    quick: None, override: str
) -> None:
    toml = f'[[mount]]\nmount_name = "{MOUNT}"\nfallback_mount = "silence"\nfallback_override = "{override}"\n'
    no = answers(b"HTTP/1.0 404 No\r\n")
    with relaying(no, toml=toml, on_demand=True, run_on=0.1) as (stage, [server]):
        stage.on_demand.start(MOUNT)
        silence = stage.context.finder.find(MOUNT)
        assert silence is not None and silence.name.startswith("silence:")
        listener = stage.listen(silence)
        for one in silence.fanout:
            one.requested_mount = MOUNT
        if override == "none":
            assert comes(lambda: stage.relay.state is RelayState.IDLE)
            return
        tries = len(server.heads)
        assert comes(lambda: len(server.heads) > tries + 2)  # longer than `run_on`
        server.play = plays()
        assert len(stage.mount.fanout) == 1 or comes(lambda: len(stage.mount.fanout) == 1)
        assert listener.got


def test_other_nodes_that_have_it_from_here_are_listeners_too(quick: None) -> None:
    with relaying(plays(), on_demand=True, run_on=0.05) as (stage, [server]):
        stage.children = 1
        stage.relay._wake.set()
        assert comes(lambda: stage.is_live)
        gevent.sleep(0.15)
        assert stage.is_live
        stage.children = 0
        assert comes(lambda: server.connections == 0)


def test_change_takes_effect_when_the_new_stream_is_there(quick: None) -> None:
    with relaying(plays()) as (stage, [old]), relaying(plays(first=700)) as (other, [new]):
        other.task.kill()
        mount, place = stage.mount, new.place()
        wrong = place._replace(port=1)
        stage.relay.change(RelaySpec(MOUNT, (wrong,)))
        gevent.sleep(0.15)
        assert stage.grows() and old.connections == 1  # nothing better is there
        assert 0 < stage.relay.line().for_s < 60
        stage.relay.change(RelaySpec(MOUNT, (place,)))
        assert comes(lambda: old.connections == 0)
        assert comes(lambda: frames(700, 1) in mount.ring.read(0, mount.ring.head)) and stage.is_live


def test_change_that_leaves_the_upstream_leaves_the_stream() -> None:
    with relaying(plays()) as (stage, [server]):
        assert stage.mount.name == MOUNT
        stage.relay.change(stage.relay.spec._replace(on_demand=True, run_on=60.0))
        assert MOUNT in stage.on_demand and stage.grows() and len(server.heads) == 1
        stage.relay.change(stage.relay.spec._replace(on_demand=False))
        assert MOUNT not in stage.on_demand


def test_relay_that_is_stopped_leaves_its_mount_to_the_grace() -> None:
    with relaying(plays()) as (stage, [server]):
        mount = stage.mount
        stage.listen(mount)
        stage.task.kill()
        assert comes(lambda: server.connections == 0)
        assert mount.state is MountState.WAITING and len(mount.fanout) == 1


def test_retired_relay_goes_on_while_it_has_its_stream(quick: None) -> None:
    with relaying(plays()) as (stage, [server]):
        assert stage.mount.name == MOUNT
        stage.relay.retire()
        assert stage.grows() and not stage.task.ready()
        server.hang_up()
        assert comes(stage.task.ready)
