"""A wait ends when it is so, at its deadline, and at once when the answer is known. (With a server: test_server.py.)"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pycast.testing import ServerDied, ServerRefused, ServerTimeout
from pycast.testing.refusals import LISTENER, SOURCE, TITLE, Refusal
from pycast.testing.waits import Awaited, listeners_on, polls, source_on, stands_still, title_on
from tests.e2e.deadline import until

MOUNT = "/live.mp3"


class Known:
    """What a server would tell."""

    def has_source(self, mount: str) -> bool:
        return mount == MOUNT

    def listeners(self, mount: str) -> int:
        return 2 if mount == MOUNT else 0

    def titles(self, mount: str) -> list[str]:
        return ["One"] if mount == MOUNT else []


def waiting(
    awaited: Awaited, *refused: Refusal, timeout: float = 60.0, dead: Exception | None = None
) -> Iterator[None]:
    def check() -> None:
        if dead:
            raise dead

    return polls(awaited, timeout, check_alive=check, news=lambda: list(refused), describe=lambda: "its log ends: x")


def refusal(kind: str, mount: str = MOUNT) -> Refusal:
    return Refusal(kind, mount, "401 wrong", f"PUT {mount}")


@pytest.mark.parametrize(
    ("awaited", "is_so"),
    [
        (source_on(Known(), MOUNT), True),
        (source_on(Known(), "/other"), False),
        (listeners_on(Known(), MOUNT, 2), True),
        (listeners_on(Known(), MOUNT, 1), False),
        (title_on(Known(), MOUNT, "One"), True),
        (title_on(Known(), MOUNT, "Two"), False),
    ],
)
def test_a_wait_is_over_when_it_is_so(awaited: Awaited, is_so: bool) -> None:
    assert next(waiting(awaited), "over") == ("over" if is_so else None)


def test_its_deadline_says_what_was_waited_for() -> None:
    with pytest.raises(ServerTimeout, match=r"waited 0 s for a source on /none; its log ends: x"):
        list(waiting(source_on(Known(), "/none"), timeout=0))


@pytest.mark.parametrize(
    ("awaited", "kind"),
    [
        (source_on(Known(), "/none"), SOURCE),
        (listeners_on(Known(), "/none", 1), LISTENER),
        (title_on(Known(), "/none", "One"), TITLE),
    ],
)
def test_a_refusal_of_it_ends_it_at_once_and_says_why(awaited: Awaited, kind: str) -> None:
    others = [refusal(kind), *(refusal(one, "/none") for one in (SOURCE, LISTENER, TITLE) if one != kind)]
    assert next(waiting(awaited, *others), "over") is None
    with pytest.raises(ServerRefused, match=rf"refused {awaited.what}: 401 wrong \(PUT /none\)(?s:.*)its log ends: x"):
        next(waiting(awaited, refusal(kind, "/none")))


def test_what_is_so_in_spite_of_a_refusal_is_so() -> None:
    assert next(waiting(source_on(Known(), MOUNT), refusal(SOURCE)), "over") == "over"


def test_who_waits_for_no_listeners_minds_no_refusal() -> None:
    assert next(waiting(listeners_on(Known(), MOUNT, 0), refusal(LISTENER)), "over") is None


def test_a_dead_server_ends_it() -> None:
    with pytest.raises(ServerDied):
        next(waiting(source_on(Known(), "/none"), dead=ServerDied("status 1")))


BUSY = """
import threading
def run():
    while True: pass
threading.Thread(target=run, daemon=True).start()
print(flush=True)
run()
"""


def test_a_process_stands_still_when_all_its_threads_are_stopped_or_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None and busy.stdout.readline() == b"\n"
        assert not stands_still(busy.pid) and not stands_still(os.getpid())
        busy.send_signal(signal.SIGSTOP)
        until(lambda: stands_still(busy.pid), "it to stand still")
        busy.send_signal(signal.SIGCONT)
        until(lambda: not stands_still(busy.pid), "it to go on")
        busy.kill()
        until(lambda: stands_still(busy.pid), "its end")
    assert stands_still(busy.pid), "its parent has seen its end"
