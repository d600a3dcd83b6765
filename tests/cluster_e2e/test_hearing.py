"""The check of a listener: what counts as a gap, a repeat, a change of programme, and damage."""

import json
import random

import pytest

from benchmarks.frames import frame, offset_of
from tests.cluster_e2e.hearing import Hearing, Jump, Report, Switch, parse

METAINT = 1000


def run(first: int, after_last: int, programme: int = 0) -> bytes:
    return b"".join(frame(seq, programme, 7) for seq in range(first, after_last))


def reported(*parts: bytes, seed: int | None = None, metaint: int = 0) -> Report:
    """Returns the report of the parts, which arrive whole, or cut anywhere."""
    ear = Hearing()
    ear.connected("here", 1.0)
    ear.accepted(200, metaint)
    data = b"".join(parts)
    rng = random.Random(seed)
    while data:
        size = len(data) if seed is None else rng.randint(1, 900)
        ear.feed(data[:size], 1.0)
        data = data[size:]
    return ear.report(1.0)


def icy(audio: bytes, title: bytes = b"StreamTitle='x';") -> bytes:
    """Returns `audio` with a title in every block."""
    block = bytes([(len(title) + 15) // 16]) + title + bytes(-len(title) % 16)
    return b"".join(
        part + (block if len(part) == METAINT else b"")
        for part in (audio[at : at + METAINT] for at in range(0, len(audio), METAINT))
    )


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_every_frame_once_and_in_order_is_flawless(seed: int | None) -> None:
    report = reported(run(5, 200), seed=seed)
    assert report.is_flawless
    assert (report.frames, report.last_seq) == (195, 199)


@pytest.mark.parametrize("seed", [None, 3])
def test_gap_and_repeat_are_reported_with_number_bytes_and_time(seed: int | None) -> None:
    report = reported(run(0, 50), run(60, 80), run(70, 100), seed=seed)
    assert report.gaps == [Jump(0, 50, 10, offset_of(60) - offset_of(50), 261.2, 1.0)]
    assert report.repeats == [Jump(0, 70, 10, offset_of(80) - offset_of(70), 261.2, 1.0)]
    assert not report.damage and not report.is_flawless


def test_splice_is_one_switch_and_a_mix_is_many() -> None:
    splice = reported(run(0, 10), run(500, 520, programme=1))
    assert splice.switches == [Switch(0, 9, 1, 500, 1.0)]
    mix = reported(*(run(seq, seq + 2, programme=seq % 4 // 2) for seq in range(0, 40, 2)))
    assert len(mix.switches) == 19


@pytest.mark.parametrize("seed", [None, 4])
def test_bytes_of_no_whole_frame_are_damage(seed: int | None) -> None:
    whole = run(0, 40)
    cut = reported(whole[: offset_of(20) + 100], run(21, 40), seed=seed)
    assert cut.damage == 100 and [gap.frames for gap in cut.gaps] == [1]
    flipped = bytearray(whole)
    flipped[offset_of(20) + 300] ^= 1
    assert reported(bytes(flipped), seed=seed).damage == offset_of(21) - offset_of(20)


def test_changed_frame_is_no_frame() -> None:
    good = frame(77, 3, 9)
    assert parse(good) == (77, 3)
    assert parse(good[:-1]) is None and parse(good + b"0") is None
    assert parse(good.replace(b"frame 0000004d", b"frame 0000004e")) is None


def test_new_connection_is_counted_by_itself() -> None:
    ear = Hearing()
    for number, part in enumerate((run(0, 10), run(5, 20), run(30, 41))):
        ear.connected(f"node {number}", number)
        ear.accepted(200)
        ear.feed(part, number + 0.5)
        ear.disconnected("closed", number + 0.9)
    report = ear.report(9.0)
    assert not report.gaps and not report.repeats and not report.damage
    assert [(jump.seq, jump.frames) for jump in report.heard_again] == [(5, 5)]
    assert [(jump.seq, jump.frames) for jump in report.missed] == [(20, 10)]
    assert [connection.address for connection in report.connections] == ["node 0", "node 1", "node 2"]
    assert report.disconnects == 3


def test_silence_is_counted_from_the_last_audio_and_while_it_lasts() -> None:
    ear = Hearing()
    ear.connected("here", 0.0)
    ear.accepted(200)
    for number, now in enumerate((10.0, 10.5, 12.0)):
        ear.feed(run(number, number + 1), now)
    assert [(one.ms, one.at, one.after) for one in ear.report(12.0).silences] == [(1500.0, 12.0, 1)]
    assert ear.report(12.0).longest_silence_ms == 1500.0
    assert ear.report(15.0).longest_silence_ms == 3000.0


@pytest.mark.parametrize("seed", [None, 5])
def test_icy_blocks_in_phase_are_taken_out(seed: int | None) -> None:
    report = reported(icy(run(0, 50)), seed=seed, metaint=METAINT)
    assert report.is_flawless and report.blocks == offset_of(50) // METAINT
    assert set(report.titles) == {"StreamTitle='x';"}


def test_icy_blocks_out_of_phase_are_seen() -> None:
    stream = icy(run(0, 100))
    report = reported(stream[:7000], stream[7100:], metaint=METAINT)
    assert report.damage and (report.bad_blocks or report.damage > 1000)


def test_report_is_read_as_it_was_written() -> None:
    report = reported(run(0, 50), run(60, 80), run(70, 100), run(0, 9, programme=2))
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report
