"""The line for HAProxy's agent-check, word by word. What HAProxy makes of it: tests/balancer/test_agent.py."""

import pytest

from pycast.balance.haproxy_agent import Standing, agent_reply

WORDS = {"up", "ready", "drain", "down"}


def test_lb_14_a_node_that_serves_sends_its_weight_its_room_and_undoes_earlier_states() -> None:
    assert agent_reply(Standing.SERVES, 73, 10_064) == b"73% maxconn:10064 up ready\n"


def test_lb_14_a_full_node_is_neither_down_nor_draining() -> None:
    assert agent_reply(Standing.SERVES, 0, 10_064) == b"0% maxconn:10064 up ready\n"


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("percent", [-1, 0, 1, 100, 250])
def test_lb_14_every_word_is_one_that_haproxy_knows(standing: Standing, percent: int) -> None:
    line = agent_reply(standing, percent, 0).decode("ascii")
    assert line.endswith("\n") and line.count("\n") == 1
    words, _, _ = line.rstrip("\n").partition(" #")
    for word in words.split(" "):
        name, colon, number = word.partition(":")
        if colon:
            assert name == "maxconn" and int(number) > 0
        elif word.endswith("%"):
            assert 0 <= int(word[:-1]) <= 100
        else:
            assert word in WORDS
