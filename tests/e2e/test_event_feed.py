"""A reader of Icecast 2.5's events, curl, hears of all workers, and goes on where it was at whichever it comes back."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from pycast.testing import Server
from tests.e2e.deadline import until
from tests.e2e.wire import basic, get

MOUNT = "/live.mp3"
EVENTS = re.compile(r"id: (\S+)\r\ndata: (\{.*\})\r\n\r\n")


@contextmanager
def reading(server: Server, file: Path, *options: str) -> Iterator[None]:
    """Has curl write the feed to a file."""
    url = f"http://127.0.0.1:{server.port}/admin/eventfeed?mount={MOUNT}"
    login = ("-u", f"admin:{server.admin_password}")
    with file.open("wb") as out, subprocess.Popen(("curl", "-sN", *login, *options, url), stdout=out) as reader:
        try:
            until(lambda: file.stat().st_size, "the feed to begin")
            yield
        finally:
            reader.kill()


def told(file: Path) -> list[tuple[str, str, str]]:
    """The events in a file: id, trigger and count of listeners."""
    found = []
    for id, data in EVENTS.findall(file.read_bytes().decode()):
        event = json.loads(data)
        assert event["type"] == "event" and event["mount"] == event["crude"]["uri"] == MOUNT
        found.append((id, event["crude"]["trigger"], event["crude"]["source-listener-count"]))
    return found


@pytest.mark.pycast(workers=2)
def test_log_that_is_no_file_is_shown_with_the_lines_of_all_workers(pycast_server: Server) -> None:
    login = basic("admin", pycast_server.admin_password)
    for number in range(20):  # that all go to one of two workers does not happen
        assert get(pycast_server.port, f"/none/{number}").status == 404

    def shown() -> str:
        return get(pycast_server.port, "/admin/showlog.txt?log=error", login).body.decode()

    def has_all() -> bool:
        lines = shown()
        places = [lines.find(f"GET /none/{number}:") for number in range(20)]
        return places == sorted(places) and -1 not in places

    until(has_all, "the lines of both workers in order")


@pytest.mark.pycast(workers=2, source_grace=0)
def test_events_of_all_workers_reach_a_reader_once(pycast_server: Server, tmp_path: Path) -> None:
    server, first = pycast_server, tmp_path / "first"

    def has(*events: tuple[str, str]) -> bool:
        return set(events) <= {(trigger, count) for _, trigger, count in told(first)}

    with reading(server, first), ExitStack() as listeners:
        with server.stream(MOUNT, speed=0) as stream:
            stream.send(40)
            server.wait_for_source(MOUNT)
            until(partial(has, ("source-connect", "0")), "the source")
            # Whichever worker each of them is at, all of them count.
            for count in ("1", "2", "3", "4"):
                listener = listeners.enter_context(server.listen(MOUNT))
                until(partial(has, ("source-listener-attach", count)), f"listener {count}")
            until(lambda: told(first)[-1][1:] == ("source-listeners-changed", "4"), "the count")
            mark = told(first)[-1][0]
            listener.leave()
            until(lambda: told(first)[-1][1:] == ("source-listeners-changed", "3"), "the end of a listener")
            stream.title = "A"
            until(partial(has, ("format-metadata-changed", "3")), "the title")
        ends = {"source-disconnect", "source-listeners-is-zero"}
        until(lambda: ends <= {trigger for _, trigger, _ in told(first)}, "the end of all")
        ids = [id for id, _, _ in told(first)]
    for number in range(3):  # at either worker
        file = tmp_path / str(number)
        with reading(server, file, "-H", f"Last-Event-ID: {mark}"):
            until(partial(_has_last, file, ids[-1]), "what has happened since")
            triggers = [trigger for _, trigger, _ in told(file)]
        assert triggers.count("format-metadata-changed") == triggers.count("source-disconnect") == 1
        assert "source-listener-attach" not in triggers


def _has_last(file: Path, id: str) -> bool:
    return any(found == id for found, _, _ in told(file))
