"""A stop in the worst moment is as clean as any."""

import os
import signal
import threading
from contextlib import ExitStack, suppress

from pycast.testing import Server
from tests.e2e.wire import Wire, frames, source


def test_a_stop_in_a_storm_of_players_and_sources_is_clean(pycast_server: Server) -> None:
    port, password = pycast_server.port, pycast_server.source_password
    is_over = threading.Event()

    def storm(number: int) -> None:
        with ExitStack() as stack, suppress(OSError, AssertionError):
            while not is_over.is_set():
                wire = stack.enter_context(Wire(port))
                wire.send(f"GET /live{number % 2} HTTP/1.0\r\nIcy-MetaData: 1\r\n\r\n")
                if number == 0:
                    stack.enter_context(source(port, "/short", password)).hang_up()

    threads = [threading.Thread(target=storm, args=(number,)) for number in range(6)]
    with source(port, "/live0", password) as first, source(port, "/live1", password) as second:
        for feed in (first, second):
            feed.send(frames(0, 200))
        for thread in threads:
            thread.start()
        pycast_server.wait_until(lambda: pycast_server.listeners("/live0") > 50, 10, "the storm")
        os.kill(pycast_server.pid, signal.SIGTERM)
        with suppress(ProcessLookupError):  # on a busy machine it may have stopped by now
            os.kill(pycast_server.pid, signal.SIGTERM)
        assert pycast_server._process is not None
        assert pycast_server._process.wait(5) == 0
    is_over.set()
    for thread in threads:
        thread.join(10)
    assert "Traceback" not in pycast_server.log()
