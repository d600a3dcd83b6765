"""Names are looked up in threads, again each time, and an error is one of the system's."""

import threading
from typing import Any

import pytest
from gevent import socket

from pycast.relay import resolver
from pycast.relay.resolver import Resolver


def test_addresses_are_found_off_the_loop_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []
    answers = iter(["127.0.0.1", "127.0.0.2"])

    def look_up(host: str, port: int) -> list[Any]:
        asked.append((host, threading.get_ident() == main))
        return [(socket.AF_INET, (next(answers), port))]

    main = threading.get_ident()
    monkeypatch.setattr(resolver, "_look_up", look_up)
    resolve = Resolver()
    assert resolve("radio.example", 81) == [(socket.AF_INET, ("127.0.0.1", 81))]
    assert resolve("radio.example", 81) == [(socket.AF_INET, ("127.0.0.2", 81))]
    assert asked == [("radio.example", False)] * 2


def test_numbers_and_local_names_are_addresses() -> None:
    assert (socket.AF_INET, ("127.0.0.1", 81)) in Resolver()("127.0.0.1", 81)
    assert Resolver()("localhost", 81)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70 + ".é.example"])
def test_name_that_is_none_is_an_error_of_the_system(host: str) -> None:
    with pytest.raises(OSError, match=r".+"):
        Resolver()(host, 81)
