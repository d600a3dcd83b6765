"""The examples of docs/testing.md work as they stand."""

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
TEXT = (HOME / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def run_pytest(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process of its own, as in somebody else's project: only pycast's plugin is there."""
    is_installed = any(entry.name == "pycast" for entry in entry_points(group="pytest11"))
    plugin = [] if is_installed else ["-p", "pycast.testing.plugin"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *plugin, *options, str(file)],
        cwd=file.parent,
        env=os.environ | {"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_python_examples_pass(tmp_path: Path) -> None:
    assert len(BLOCKS) >= 6
    for number, block in enumerate(BLOCKS):
        (tmp_path / f"test_example_{number}.py").write_text(block)
    done = run_pytest(tmp_path / ".", "--strict-markers")
    assert done.returncode == 0, done.stdout + done.stderr


def test_shell_example_passes(tmp_path: Path) -> None:
    script = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)[-1]
    (tmp_path / "pycast").write_text(f'#!/bin/sh\nexec {sys.executable} -m pycast "$@"\n')
    (tmp_path / "pycast").chmod(0o755)
    done = subprocess.run(
        ["bash", "-euc", f"set -m\n{script}\nwait"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HOME), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert re.search(r"^\d+ \S+$", done.stdout, re.MULTILINE), done.stdout + done.stderr


@pytest.mark.parametrize("name", ["wait_for_source", "received", "titles", "listeners", "ready", "wait_until"])
def test_table_names_what_there_is(name: str) -> None:
    from pycast.testing import Server

    assert f"`{name}" in TEXT
    assert hasattr(Server(), name)
