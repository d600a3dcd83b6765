"""Listeners that come back, and what they note: each gap and repeat in frames, who lost a connection, and when."""

import random
import socket
import time
from contextlib import suppress
from threading import Thread

import pytest

from benchmarks.audience import Audience, Ear, last_frame
from benchmarks.frames import frame

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n"


def frames(first: int, count: int) -> bytes:
    return b"".join(frame(seq, 0, 1_000 + seq) for seq in range(first, first + count))


def heard(data: bytes, cuts: list[int]) -> Ear:
    ear, at = Ear(), 0
    for size in cuts:
        ear.feed(data[at : at + size], 1.0)
        at += size
    return ear


def test_the_last_whole_number_is_found() -> None:
    data = frames(7, 3)
    found = last_frame(data)
    assert found is not None and found[1:] == (9, 1_009)
    cut = last_frame(data[: found[0] + 20])
    assert cut is not None and cut[1] == 8
    assert last_frame(data[:30]) is None


@pytest.mark.parametrize("seed", range(5))
def test_gaps_and_repeats_are_counted_in_frames_however_the_stream_is_cut(seed: int) -> None:
    rng = random.Random(seed)
    parts = [frames(100, 40), frames(145, 40), frames(180, 40)]  # five are missing, then five come twice
    data = frames(100, 5)[300:] + b"".join([frames(105, 35), *parts[1:]])
    cuts = [rng.randrange(1, 3_000) for _ in range(len(data))]
    assert [jump.frames for jump in heard(data, cuts).jumps] == [5, -5]


def test_an_undisturbed_stream_has_no_jumps_byte_by_byte() -> None:
    data = frames(3, 20)
    assert heard(data, [1] * len(data)).jumps == []


def serve(server: socket.socket, streams: list[bytes]) -> None:
    """Answers one connection after the other: a stream, and then the end."""
    for stream in streams:
        sock = server.accept()[0]
        sock.recv(4096)
        sock.sendall(stream)
        if stream is streams[-1]:
            sock.settimeout(5)
            with suppress(ConnectionResetError):
                sock.recv(4096)  # until it hangs up
        sock.close()


def test_a_listener_that_is_cut_off_or_refused_comes_back_and_its_times_are_noted() -> None:
    streams = [HEAD + frames(1, 4), b"HTTP/1.0 404 Not Found\r\n\r\n", HEAD + frame(90, 0, time.monotonic_ns() + 10**9)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve, args=(server, streams), daemon=True)
        thread.start()
        audience = Audience(server.getsockname()[1], "/live.mp3", 1)
        audience.connect(5.0)
        began = audience.mark(0.0)
        audience.run(5.0, until_fresh=True)
        (one,) = audience.listeners
        audience.close()
        thread.join(5)
    assert one.reasons == ["closed", "status 404"]
    assert len(one.lost_at) == len(one.heard_at) == 1
    assert one.heard_at[0] - one.lost_at[0] >= 0.9  # the second error costs a second
    assert one.fresh_at == one.heard_at[0] > began
    assert audience.attempts == 2
