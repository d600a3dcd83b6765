"""The examples of docs/testing.md work as they stand."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from pycast.auth.known_passwords import password_advice
from pycast.config.load import load
from pycast.testing import Server
from tests.e2e.programs import require

HOME = Path(__file__).parents[2]
TEXT = (HOME / "docs" / "testing.md").read_text()
OTHERS = (HOME / "docs" / "testing-other-languages.md").read_text()
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


def with_pycast(folder: Path) -> dict[str, str]:
    """An environment in which `pycast` is this one, by a program in `folder`."""
    (folder / "pycast").write_text(f'#!/bin/sh\nexec {sys.executable} -m pycast "$@"\n')
    (folder / "pycast").chmod(0o755)
    return os.environ | {"PYTHONPATH": str(HOME), "PATH": f"{folder}:{os.environ['PATH']}"}


def test_shell_example_passes(tmp_path: Path) -> None:
    script = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)[-1]
    done = subprocess.run(
        ["bash", "-euc", f"set -m\n{script}\nwait"],
        cwd=tmp_path,
        env=with_pycast(tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert re.search(r"^\d+ \S+$", done.stdout, re.MULTILINE), done.stdout + done.stderr


# Jest's own names, for node's own runner: Debian has the one and not the other.
JEST = """
const test = require("node:test");
const assert = require("node:assert");
const expect = (value) => ({
  toBe: (expected) => assert.strictEqual(value, expected),
  rejects: {
    toThrow: async (text) => {
      const error = await value.then(() => assert.fail("it did not throw"), (thrown) => thrown);
      assert.ok(error.message.includes(text), error.message);
    },
  },
});
Object.assign(globalThis, { test, expect, beforeAll: test.before, afterAll: test.after });
"""


def test_jest_examples_pass(tmp_path: Path) -> None:
    server, radio = re.findall(r"```js\n(.*?)```", OTHERS, re.DOTALL)[:2]
    for name, text in (("pycast-server.js", server), ("radio.test.js", radio), ("jest.js", JEST)):
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [require("node"), "--require", "./jest.js", "--test", "radio.test.js"],
        cwd=tmp_path,
        env=with_pycast(tmp_path),
        capture_output=True,
        text=True,
        timeout=85,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^# tests [134]$", done.stdout, re.MULTILINE), done.stdout


def test_image_copies_and_sets_what_there_is() -> None:
    (dockerfile,) = re.findall(r"```dockerfile\n(.*?)```", OTHERS, re.DOTALL)
    copied = [name for names in re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE) for name in names.split()]
    assert all((HOME / name).exists() for name in copied)
    built = tomllib.loads((HOME / "pyproject.toml").read_text())
    wheel, hooks = built["tool"]["hatch"]["build"]["targets"]["wheel"], built["tool"]["hatch"]["metadata"]["hooks"]
    readme = [part["path"] for part in hooks["fancy-pypi-readme"]["fragments"]]
    needed = [*wheel["packages"], *wheel["force-include"], *built["project"]["license-files"], *readme]
    assert {"pyproject.toml", *needed} <= set(copied)
    config = load(None, dict(re.findall(r"(PYCAST_\w+)=(\S+)", dockerfile)))
    assert f"EXPOSE {config.listen[0].port}\n" in dockerfile
    assert not list(password_advice(config))


def test_the_ready_line_has_what_the_page_says(pycast_shared_server: Server) -> None:
    rows = re.findall(r"^\| (`.+`) \| ", OTHERS.partition("| in that line |")[2].partition("## Jest")[0], re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == pycast_shared_server.ready.keys()


@pytest.mark.parametrize("name", ["wait_for_source", "received", "titles", "listeners", "ready", "wait_until"])
def test_table_names_what_there_is(name: str) -> None:
    from pycast.testing import Server

    assert f"`{name}" in TEXT
    assert hasattr(Server(), name)
