"""The encoder and the listeners of the failure tests, against a single server: their reports are right."""

import os
import time
from collections.abc import Iterator

import pytest

from pycast.testing import Server
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Address, Encoder, Method
from tests.cluster_e2e.netns import Network
from tests.e2e.deadline import until
from tests.e2e.stopwatch import ProcessorWaits

MOUNT = "/live.mp3"
FRAMES_A_SECOND = 38.28


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with Crowd() as listeners:
        yield listeners


def at(*servers: Server) -> list[Address]:
    return [(server.host, server.port) for server in servers]


@pytest.mark.parametrize("method", ["SOURCE", "PUT", "PUT chunked"])
def test_listeners_of_a_healthy_server_hear_every_frame_once(
    pycast_server: Server, crowd: Crowd, method: Method
) -> None:
    pids = (os.getpid(), pycast_server.pid, crowd.pid)
    with ProcessorWaits(pids) as waits, Encoder(at(pycast_server), MOUNT, method=method) as encoder:
        encoder.wait_sent(0.3)
        ids = crowd.add(at(pycast_server), MOUNT, 3) + crowd.add(at(pycast_server), MOUNT, icy=True)
        crowd.wait_playing(4)
        encoder.wait_sent(1.0)
        crowd.wait_heard(ids, 0, encoder.sessions[0].after_last - 5)
        # One that has stood still on a busy machine makes up for it at once.
        until(lambda: abs(frames_due(encoder) - encoder.count_sent()) < 5, "the encoder to keep its pace")
    reports = crowd.reports(ids)
    assert all(report.is_flawless for report in reports), reports
    assert reports[3].blocks > 0
    assert max(report.longest_silence_ms for report in reports) / 1000 - waits.seconds < 0.5


def frames_due(encoder: Encoder) -> float:
    return (time.monotonic() - encoder.sessions[0].accepted) * FRAMES_A_SECOND


def test_frames_that_the_server_received_are_those_that_were_sent(pycast_server: Server) -> None:
    with Encoder(at(pycast_server), MOUNT) as encoder:
        encoder.wait_sent(0.5)
    (session,) = encoder.sessions
    first, count = session.first, session.after_last - session.first
    assert (encoder.sent(first, count), encoder.sent(first + 2, 3), encoder.sent(0, first)) == (count, 3, 0)
    assert encoder.sent(first, count, before=session.handed[4]) == 4
    pycast_server.wait_until(lambda: len(pycast_server.received(MOUNT)) >= count * 417, 5, "all frames")


def test_listener_and_encoder_come_back_after_a_crash_and_report_the_loss(crowd: Crowd) -> None:
    with Server(flush_interval=0.02) as server, Encoder(at(server), MOUNT, retry_s=0.1) as encoder:
        (which,) = crowd.add(at(server), MOUNT, reconnect_s=0.1)
        crowd.wait_playing(1)
        encoder.wait_sent(0.5)
        server.kill()
        crashed = time.monotonic()
        until(lambda: not encoder.is_on_air, "the encoder to notice")
        server.restart()
        back = encoder.wait_on_air()
        crowd.wait_heard([which], 0, back.first + 10)
        report = crowd.report(which)
    assert not report.gaps and not report.repeats and not report.damage
    (missed,) = report.missed
    assert missed.seq + missed.frames == back.first
    # Of the frames it missed, the server had only those on their way to the listener.
    assert encoder.sent(missed.seq, missed.frames) <= 10
    assert missed.ms == pytest.approx((back.accepted - crashed) * 1000, abs=400)
    assert report.longest_silence_ms == pytest.approx(missed.ms, abs=400)
    assert report.disconnects >= 1 and report.connections[-1].status == 200


def test_listeners_and_encoder_take_the_next_address(crowd: Crowd) -> None:
    with Server() as first, Server() as second, Encoder(at(first, second), MOUNT, retry_s=0.1) as encoder:
        (which,) = crowd.add(at(first, second), MOUNT, reconnect_s=0.2)
        crowd.wait_playing(1)
        first.kill()
        until(lambda: not encoder.is_on_air, "the encoder to notice")
        session = encoder.wait_on_air()
        crowd.wait_heard([which], 0, session.first)
    assert session.address == at(second)[0]
    assert [connection.address for connection in crowd.report(which).connections][:2] == [
        f"127.0.0.1:{server.port}" for server in (first, second)
    ]


def test_listener_that_does_not_come_back_reports_why_it_ended(pycast_server: Server, crowd: Crowd) -> None:
    with Encoder(at(pycast_server), MOUNT):
        stays, leaves, none = (crowd.add(at(pycast_server), mount)[0] for mount in (MOUNT, MOUNT, "/none.mp3"))
        crowd.wait_playing(2)
        crowd.hang_up([leaves])
        pycast_server.wait_for_listeners(MOUNT, 1)
        pycast_server.kill()
        until(lambda: crowd.report(stays).disconnects, "the listener to notice")
    reasons = [crowd.report(which).connections[-1].reason for which in (stays, leaves, none)]
    assert reasons[0] in ("closed", "ConnectionResetError") and reasons[1:] == ["hung up", "status 404"]


def test_next_source_is_one_switch_and_icy_blocks_stay_in_phase(pycast_server: Server, crowd: Crowd) -> None:
    with Encoder(at(pycast_server), MOUNT, programme=1) as first:
        ids = crowd.add(at(pycast_server), MOUNT, 2) + crowd.add(at(pycast_server), MOUNT, 2, icy=True)
        crowd.wait_playing(4)
        first.wait_sent(0.5)
    with Encoder(at(pycast_server), MOUNT, programme=2, retry_s=0.1) as second:
        crowd.wait_heard(ids, 2, second.wait_on_air().first + 20)
    for report in crowd.reports(ids):
        assert [(switch.before, switch.after) for switch in report.switches] == [(1, 2)]
        assert not (report.damage or report.bad_blocks or report.gaps or report.repeats or report.disconnects)


def test_suspended_server_is_reported_as_silence(crowd: Crowd) -> None:
    with Server() as server, Encoder(at(server), MOUNT) as encoder:
        patient, hasty = (crowd.add(at(server), MOUNT, silence_s=silence_s)[0] for silence_s in (None, 0.5))
        crowd.wait_playing(2)
        encoder.wait_sent(0.5)
        server.pause()
        until(lambda: crowd.report(hasty).disconnects, "the hasty one to leave")
        until(lambda: crowd.report(patient).longest_silence_ms > 1000, "a second of silence")
        server.resume()
        until(lambda: crowd.report(patient).silences, "the silence to end")
        encoder.wait_sent(0.5)
        report = crowd.report(patient)
    assert crowd.report(hasty).connections[0].reason == "silence"
    assert report.is_flawless, report
    assert report.silences[0].ms >= 1000


def test_refused_encoder_reports_it_and_tries_again(pycast_server: Server) -> None:
    encoder = Encoder(at(pycast_server), MOUNT, password="wrong", retry_s=0.05)
    encoder.start()
    until(lambda: len(encoder.sessions) >= 3, "two more tries")
    encoder.stop()
    assert encoder.sessions[0].status == 401 and not encoder.is_on_air
    assert encoder.count_sent() == 0


def test_encoder_and_listeners_may_be_on_hosts_of_a_network() -> None:
    with (
        Network("node", "studio") as net,
        net.server("node", {"listen": [{"bind_address": net["node"].address}]}) as server,
        Encoder(at(server), MOUNT, place=net["studio"].inside) as encoder,
    ):
        with net["node"].inside():
            crowd = Crowd()
        with crowd:
            (which,) = crowd.add(at(server), MOUNT)
            crowd.wait_playing(1)
            net["studio"].link_down()
            until(lambda: crowd.report(which).longest_silence_ms > 500, "silence")
            net["studio"].link_up()
            encoder.wait_sent(0.5)
            crowd.wait_heard([which], 0, encoder.sessions[0].after_last - 5)
            assert crowd.report(which).is_flawless


@pytest.mark.timeout(240)
@pytest.mark.pycast(clients=2100, queue_size="8m")
def test_two_thousand_listeners_are_all_checked(pycast_server: Server, crowd: Crowd) -> None:
    with Encoder(at(pycast_server), MOUNT) as encoder:
        encoder.wait_sent(0.5)
        # A machine that is busy with other things lets them connect, and reads what they get, when it can.
        ids = crowd.add(at(pycast_server), MOUNT, 2000, connect_s=90.0)
        crowd.wait_heard(ids, 0, timeout=90)
        encoder.wait_sent(2.0)
        crowd.wait_heard(ids, 0, encoder.sessions[0].after_last - 40, timeout=90)
    reports = crowd.reports()
    assert len(reports) == 2000
    assert all(report.is_flawless for report in reports)
