"""Tests of pycast.demo_stream: the tune goes round at the pace of a clock. That it is whole frames: test_project.py."""

import pytest

from pycast.demo_stream import BITRATE, Playback, demo_mp3, offset_at

TUNE = bytes(range(250)) * 100
ROUND_S = len(TUNE) * 8 / BITRATE


def sent(playback: Playback, now: float) -> bytes:
    """Returns all that is due at that time, in as many pieces as it takes."""
    data = b""
    while piece := playback.due(now):
        data += piece
        playback.advance(len(piece))
    return data


def test_the_pace_is_the_tunes_own() -> None:
    playback = Playback(TUNE, 1000.0)
    assert sent(playback, 1000.0) == b""
    assert len(sent(playback, 1001.0)) == BITRATE // 8
    assert len(sent(playback, 1001.5)) == BITRATE // 16


@pytest.mark.parametrize("step_s", [0.013, 0.1, 7.0])
def test_rounds_follow_each_other_without_a_seam(step_s: float) -> None:
    playback, data, now = Playback(TUNE, 0.0), b"", 0.0
    while len(data) < 3 * len(TUNE):
        now += step_s
        data += sent(playback, now)
    assert data == (TUNE * 20)[: len(data)]
    assert playback.offset == len(data) == offset_at(now)


def test_a_piece_ends_with_its_round_so_that_each_round_can_be_announced() -> None:
    playback, rounds = Playback(TUNE, 0.0), []
    while piece := playback.due(2.5 * ROUND_S):
        if playback.is_at_start:
            rounds.append(playback.round)
        playback.advance(len(piece))
    assert rounds == [1, 2, 3]


def test_what_was_not_sent_stays_due() -> None:
    playback = Playback(TUNE, 0.0)
    first = playback.due(1.0)
    assert playback.due(1.2)[: len(first)] == first


def test_nothing_is_due_before_its_time() -> None:
    assert Playback(TUNE, 0.0, offset_at(0.5)).due(0.4) == b""


def test_it_may_begin_anywhere() -> None:
    assert sent(Playback(TUNE, 0.0, len(TUNE) + 10), ROUND_S + 0.1)[:3] == TUNE[10:13]


def test_the_demo_lasts_as_long_as_its_bytes() -> None:
    assert offset_at(len(demo_mp3()) * 8 / BITRATE) == len(demo_mp3())
