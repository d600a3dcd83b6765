"""The server can run in a Python of its own, and the kit needs nothing but the standard library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pycast import launch
from pycast.testing import Server, ServerDied
from pycast.testing.server_program import PROGRAM, PYTHON, ServerProgram, the_program

HOME = Path(__file__).parents[2]

# Without the module `site` there are no packages but those of the standard library.
BARE = """
import sys
try:
    import gevent
except ImportError:
    from pycast.testing import Cluster, Server
else:
    raise AssertionError("there are packages")

from pycast.testing.forked import ForkedProcess

with Server(tls=True, burst_size=0, limits={"clients": 50}) as server, server.stream("/live.mp3"):
    server.wait_for_source("/live.mp3")
    assert type(server._process) is ForkedProcess
with Cluster(2) as cluster:
    assert cluster["a"].get("/livez") == cluster["b"].get("/livez")
print(*{name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names)
"""


def test_this_environments_pycast_is_run_unless_another_is_named() -> None:
    assert the_program({}) == ServerProgram(launch.PROGRAM, launch.clean_environment())
    python = the_program({PYTHON: "/opt/radio/bin/python"})
    assert (python.command, python.named_by) == (("/opt/radio/bin/python", "-P", "-m", "pycast"), PYTHON)
    program = the_program({PROGRAM: "python3.12 '/opt/a b/pycast.pyz'"})
    assert (program.command, program.named_by) == (("python3.12", "/opt/a b/pycast.pyz"), PROGRAM)
    for one in (python, program):
        assert one.environment["PATH"] == os.environ["PATH"]
        assert not {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"} & set(one.environment)


def test_the_kit_needs_only_the_standard_library_when_the_server_has_a_python_of_its_own(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{HOME}" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-S", "-c", BARE],
        env=os.environ | {"PYTHONPATH": str(HOME), PYTHON: str(python)},
        capture_output=True,
        text=True,
        timeout=85,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"pycast", "__main__"}


def test_a_python_that_is_not_there_or_has_no_pycast_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(PYTHON, str(tmp_path / "python"))
    server = Server()
    with pytest.raises(FileNotFoundError) as caught:
        server.start()
    assert not server.directory.exists()
    assert caught.value.__notes__ == ["PYCAST_TEST_PYTHON names this program."]
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(ServerDied, match="No module named pycast"):
        Server().start()
