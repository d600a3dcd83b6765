"""`pycast.testing.Server`: starts, tells, waits, fails usefully, and leaves nothing behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pycast.testing import Server, ServerDied, ServerRefused, ServerTimeout
from tests.e2e.wire import basic, frames, get, listen, source

MOUNT = "/live.mp3"


def test_server_runs_inside_the_block_and_is_gone_after_it() -> None:
    with Server() as server:
        directory, pid = server.directory, server.pid
        assert get(server.port, "/livez").status == 200
        assert server.url == f"http://127.0.0.1:{server.port}"
        os.kill(pid, 0)
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_two_servers_do_not_meet() -> None:
    with Server() as first, Server() as second:
        assert first.port != second.port
        source(first.port, MOUNT, first.source_password).close()
        assert second.get(MOUNT)[0] == 404


def test_received_titles_and_listeners_tell_what_happened() -> None:
    with Server() as server, source(server.port, MOUNT, server.source_password) as feed:
        server.wait_for_source(MOUNT)
        feed.send(frames(0, 50))
        for title in ("One", "Two"):
            get(server.port, f"/admin/metadata?mode=updinfo&mount={MOUNT}&song={title}", basic("admin", "adminpass"))
        server.wait_for_title(MOUNT, "Two")
        assert server.titles(MOUNT) == ["One", "Two"]
        assert server.titles("/other.mp3") == []
        listener, _ = listen(server.port, MOUNT)
        server.wait_for_listeners(MOUNT, 1)
        listener.close()
        server.wait_for_listeners(MOUNT, 0)
        server.wait_until(lambda: server.received(MOUNT) == frames(0, 50), 5, "the bytes")
        assert server.received("/other.mp3") == b""


def test_mounts_in_folders_are_kept_apart() -> None:
    with Server() as server, source(server.port, "/a/b.mp3", "sourcepass") as feed:
        feed.send(frames(0, 5))
        server.wait_for_bytes("/a/b.mp3", len(frames(0, 5)))
        assert server.received("/a/b.mp3") == frames(0, 5)
        with pytest.raises(ServerTimeout, match=r"5000 bytes from sources on /a/b\.mp3"):
            server.wait_for_bytes("/a/b.mp3", 5000, timeout=0.05)
        assert server.received("/b.mp3") == b""


def test_wait_that_is_in_vain_says_for_what() -> None:
    with Server() as server, pytest.raises(ServerTimeout, match=r"a source on /none\.mp3"):
        server.wait_for_source("/none.mp3", timeout=0.1)


def test_waits_for_what_was_refused_end_at_once_with_the_reason() -> None:
    with Server() as server:
        for password in ("wrong", "wrong too"):  # the second one is news again
            assert get(server.port, MOUNT, basic("source", password), method="PUT").status == 401
            with pytest.raises(ServerRefused, match=r"a source on /live\.mp3: 401 wrong source credentials"):
                server.wait_for_source(MOUNT, timeout=60)
        assert get(server.port, MOUNT).status == 404
        with pytest.raises(ServerRefused, match=r"1 listeners on /live\.mp3: 404"):
            server.wait_for_listeners(MOUNT, 1, timeout=60)
        assert get(server.port, f"/admin/metadata?mode=updinfo&mount={MOUNT}&song=x", basic("a", "b")).status == 401
        with pytest.raises(ServerRefused, match=r"the title 'x' on /live\.mp3: 401"):
            server.wait_for_title(MOUNT, "x", timeout=60)
        assert get(server.port, MOUNT, basic("source", "wrong"), method="PUT").status == 401
        with pytest.raises(ServerTimeout, match=f"its mounts: none(?s:.*){MOUNT}") as caught:
            server.wait_for_source(MOUNT, timeout=0.1, despite_refusals=True)
        assert not isinstance(caught.value, ServerRefused)
        with source(server.port, MOUNT, server.source_password):
            server.wait_for_source(MOUNT)
    assert "wrong source credentials" in server.log()


def test_config_that_is_refused_is_told_at_the_start() -> None:
    with pytest.raises(ServerDied, match="queue_size"):
        Server(queue_size="much").start()
    with pytest.raises(ServerDied, match=r"limits\.cliants = 10: unknown key; did you mean clients\?"):
        Server(limits={"cliants": 10}).start()


def test_server_that_dies_is_told_where_one_waits() -> None:
    server = Server().start()
    try:
        os.kill(server.pid, 9)
        began = time.monotonic()
        with pytest.raises(ServerDied, match="status -9"):
            server.wait_until(lambda: False, 20, "nothing")
        assert time.monotonic() - began < 5
    finally:
        server.stop()


def test_stop_may_be_called_twice_and_before_the_start() -> None:
    server = Server()
    server.stop()
    server.start()
    server.stop()
    server.stop()
    with pytest.raises(RuntimeError):
        server.start()


def test_settings_of_the_environment_do_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCAST_AUTHENTICATION__SOURCE_PASSWORD", "other")
    with Server() as server:
        source(server.port, MOUNT, "sourcepass").close()


def test_mount_section_of_the_test_keeps_the_dump() -> None:
    with Server(mount=[{"mount_name": MOUNT, "password": "own"}]) as server, source(server.port, MOUNT, "own") as feed:
        feed.send(frames(0, 5))
        server.wait_until(lambda: server.received(MOUNT) == frames(0, 5), 5, "the bytes")


def test_forgotten_server_ends_with_the_process(tmp_path: Path) -> None:
    script = "from pycast.testing import Server\nserver = Server().start()\nprint(server.pid, server.directory)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    pid, directory = done.stdout.split()
    assert not Path(directory).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_importing_it_loads_neither_the_server_nor_gevent() -> None:
    script = "import sys, pycast.testing, pycast.testing.plugin\nprint(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"gevent", "jinja2", "http.client", "ssl", "pycast.config", "pycast.app"} & set(modules)


def test_who_fails_beside_a_running_server_is_shown_its_log() -> None:
    with pytest.raises(ZeroDivisionError) as caught, Server():
        _ = 1 / 0
    (note,) = caught.value.__notes__
    assert "is ready at" in note
