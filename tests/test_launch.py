"""Tests of pycast.launch: servers that are ready, late or dead; small programs take the place of a server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pycast import launch
from tests.e2e.processes import suspend

ROOT = Path(__file__).resolve().parents[1]
LONG = "import time; time.sleep(60)"
READY = """import sys, time; print('{"port": 1}', flush=True); time.sleep(60)"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY


@contextmanager
def running(script: str, *options: str, **more: object) -> Iterator[launch.Process]:
    process = launch.start(*options, program=(sys.executable, "-c", script), **more)  # type: ignore[arg-type]
    try:
        yield process
    finally:
        launch.kill(process)


def output(script: str, *options: str, **more: object) -> str:
    with running(script, *options, **more) as process:
        assert process.stdout is not None
        return process.stdout.read().decode()


def is_there(process: launch.Process) -> bool:
    return Path(f"/proc/{process.pid}").exists()


def test_the_command_is_serve_with_the_options_and_a_ready_line_on_stdout() -> None:
    words = output("import sys; print(*sys.argv[1:])", "--port", "0").split()
    assert words == ["serve", "--ready-file", "-", "--port", "0"]


def test_a_real_server_announces_its_port_and_ends_on_sigterm(tmp_path: Path) -> None:
    settings = tmp_path / "pycast.toml"
    settings.write_text('[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n')
    process = launch.start("--config", str(settings), stderr=subprocess.DEVNULL)
    ready = launch.wait_until_ready(process, 20)
    assert ready is not None and ready["pid"] == process.pid
    assert launch.end([process], 10)
    assert process.returncode == 0 and process.stdout is not None and process.stdout.closed


def test_a_ready_line_may_come_in_pieces() -> None:
    script = """import time
for piece in ('{"po', 'rt": ', '8000}', chr(10)):
    print(piece, end='', flush=True); time.sleep(0.05)
time.sleep(60)"""
    with running(script) as process:
        assert launch.wait_until_ready(process, 10) == {"port": 8000}


@pytest.mark.parametrize("printed", ["", "{", '{"port": 1}'])
def test_a_server_that_ends_before_it_is_ready_gives_none_at_once(printed: str) -> None:
    with running(f"print({printed!r}, end=''); raise SystemExit(3)") as process:
        began = time.monotonic()
        assert launch.wait_until_ready(process, 30) is None
        assert time.monotonic() - began < 10
        assert launch.describe_end(process.wait()) == "status 3"


@pytest.mark.parametrize("script", [LONG, f"import os; os.close(1); {LONG}"], ids=["silent", "closed"])
def test_a_server_without_a_ready_line_is_waited_for_no_longer_than_asked(script: str) -> None:
    with running(script) as process:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            launch.wait_until_ready(process, 0.5)
        assert 0.4 < time.monotonic() - began < 10
        assert process.poll() is None


def test_settings_of_the_caller_do_not_leak_in_and_this_copy_of_pycast_is_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYCAST_LIMITS__CLIENTS", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    script = "import os; print(os.environ.get('PYCAST_LIMITS__CLIENTS'), os.environ['PYTHONPATH'])"
    assert output(script).split() == ["None", f"{ROOT}{os.pathsep}/elsewhere"]
    assert output(script, environment=os.environ).split() == ["1", "/elsewhere"]


def test_ctrl_c_in_the_terminal_reaches_only_those_without_a_group_of_their_own() -> None:
    script = "import os; print(os.getpgrp() == os.getpid())"
    assert (output(script), output(script, own_group=True)) == ("False\n", "True\n")


@pytest.mark.parametrize(
    ("status", "words"), [(0, "status 0"), (1, "status 1"), (-9, "SIGKILL"), (-15, "SIGTERM"), (-99, "signal 99")]
)
def test_how_a_process_ended_is_described_in_words(status: int, words: str) -> None:
    assert launch.describe_end(status) == words


def test_processes_that_do_not_end_in_time_are_killed_and_that_is_reported() -> None:
    with running(STUBBORN) as stubborn, running(READY) as other:
        for process in (stubborn, other):
            launch.wait_until_ready(process, 10)
        assert not launch.end([stubborn, other], 0.3)
        assert (stubborn.poll(), other.poll()) == (-signal.SIGKILL, -signal.SIGTERM)
        assert not is_there(stubborn) and not is_there(other)


def test_all_of_them_share_the_patience() -> None:
    with running(STUBBORN) as first, running(STUBBORN) as second, running(STUBBORN) as third:
        for process in (first, second, third):
            launch.wait_until_ready(process, 10)
        began = time.monotonic()
        assert not launch.end([first, second, third], 1.0)
        assert time.monotonic() - began < 2.5


def test_a_stopped_process_gets_the_signal_to_end() -> None:
    with running(READY) as process:
        launch.wait_until_ready(process, 10)
        suspend(process.pid)
        assert launch.end([process], 5)


def test_ending_and_killing_may_be_called_again() -> None:
    with running(READY, stdin=subprocess.PIPE) as process:
        launch.kill(process)
        launch.kill(process)
        assert launch.end([process], 1)
        assert process.stdin is not None and process.stdin.closed
    assert launch.end([], 1)


def test_without_setpriv_a_command_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None)
    assert launch.ends_with_us() == []


def test_a_command_bound_to_a_process_ends_with_it_even_if_that_is_killed() -> None:
    assert launch.ends_with_us(), "setpriv is not installed: apt-get install util-linux"
    script = f"""import sys, time
from pycast import launch
program = (*launch.ends_with_us(), sys.executable, "-c", {READY!r})
child = launch.start(program=program)
launch.wait_until_ready(child, 20)
print('{{"pid": %d}}' % child.pid, flush=True)
time.sleep(60)"""
    with running(script) as parent:
        ready = launch.wait_until_ready(parent, 20)
        assert ready is not None
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10
        while (state := _state(ready["pid"])) not in ("", "Z"):
            assert time.monotonic() < deadline, state
            time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.parametrize("wait", ["launch.wait_until_ready(process)", "launch.end([process], 5)"])
def test_in_a_patched_process_a_wait_lets_other_greenlets_run(wait: str) -> None:
    child = "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(0.5), sys.exit())); time.sleep(0.5); "
    child += "print('{}', flush=True); time.sleep(60)"
    script = f"""from gevent import monkey; monkey.patch_all()
import sys, gevent
from pycast import launch
ticks = 0
def tick():
    global ticks
    while True:
        gevent.sleep(0.02); ticks += 1
gevent.spawn(tick)
process = launch.start(program=(sys.executable, "-c", {child!r}))
if "end" in {wait!r}:
    launch.wait_until_ready(process)
    ticks = 0
result = {wait}
print(ticks, result, flush=True)
launch.kill(process)"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    ticks, _, result = done.stdout.partition(" ")
    assert int(ticks) >= 5
    assert result.strip() in ("{}", "True")
