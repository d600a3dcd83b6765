"""A stream of another server is described by its answer, and keeps nothing of its first bytes."""

import sys
import time

import pytest

from pycast.relay.dial import Dialler
from pycast.relay.run import StreamRun, describe_stream
from pycast.server.sources import LONGEST_RELAY_WAIT_S
from pycast.stream.source import SourceState
from tests.relay.stage import numbers
from tests.relay.upstream import Upstream, comes, plays
from tests.server.contexts import make_bench

HEAD = (
    b"HTTP/1.0 200 OK\r\nContent-Type: audio/ogg\r\nServer: Icecast 2.4.4\r\nSet-Cookie: a=b\r\nicy-name:Name\r\n"
    b"ice-audio-info: bitrate=96;samplerate=44100\r\nicy-genre:Jazz\r\nicy-relay-path:aa/x\r\n"
)


def test_description_is_from_the_answer_and_the_format_from_the_bytes(caplog: pytest.LogCaptureFixture) -> None:
    server = Upstream(plays(HEAD))
    try:
        stream = Dialler(numbers, "me").stream(server.place(), "/x", "")
        stream.connection.close()
    finally:
        server.close()
    described = describe_stream("/x", stream, 5.0)
    assert (described.info.name, described.info.genre, described.started) == ("Name", "Jazz", 5.0)
    assert (described.content_type, described.format) == ("audio/mpeg", "mpeg")
    assert described.info.audio_stats == {"bitrate": "96", "samplerate": "44100"}
    assert dict(described.headers).keys() == {
        "content-type", "icy-name", "ice-audio-info", "icy-genre", "icy-relay-path",
    }  # fmt: skip
    assert "announced audio/ogg, but its stream is mpeg" in caplog.text


def test_stream_that_is_on_the_air_has_given_its_first_bytes_away() -> None:
    server, bench = Upstream(plays()), make_bench()
    stream = Dialler(numbers, "me").stream(server.place(), "/x", "")
    first, over = stream.first, []
    run = StreamRun(0, stream, time.monotonic())
    del stream
    run.begin(bench.context, "/x", ("relay", "x"), lambda: over.append(1))
    assert (run.state, run.refusal, over) == (SourceState.ON_AIR, "", [])
    assert comes(lambda: sys.getrefcount(first) <= 3)  # this test's own
    run.end("enough")
    run.wait()
    assert run.is_over and run.is_ended and comes(lambda: over == [1]) and run.state is SourceState.OUT
    server.close()
    bench.close()


def test_stream_that_is_refused_says_why() -> None:
    server, bench = Upstream(plays()), make_bench("sources = 0\n")
    run = StreamRun(0, Dialler(numbers, "me").stream(server.place(), "/x", ""), time.monotonic())
    run.begin(bench.context, "/x", ("relay", "x"), lambda: None)
    run.wait()
    assert run.is_over and "sources are connected" in run.refusal
    server.close()
    bench.close()


def test_many_relays_are_read_less_often_each(monkeypatch: pytest.MonkeyPatch) -> None:
    server, bench = Upstream(plays()), make_bench()
    run = StreamRun(0, Dialler(numbers, "me").stream(server.place(), "/x", ""), time.monotonic())
    run.begin(bench.context, "/x", ("relay", "x"), lambda: None)
    assert run.source is not None and run.source._pause(100) == bench.context.pacer.read_wait
    monkeypatch.setattr(type(bench.context.mounts), "sources", 240)
    assert run.source._pause(100) == 0.4
    monkeypatch.setattr(type(bench.context.mounts), "sources", 9000)
    assert run.source._pause(100) == LONGEST_RELAY_WAIT_S
    run.end("enough")
    run.wait()
    server.close()
    bench.close()
