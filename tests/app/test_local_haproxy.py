"""Tests of pycast.app.local_haproxy: the program is found, and takes its configuration."""

import subprocess
from pathlib import Path

import pytest

from pycast.app.local_haproxy import find_haproxy, haproxy_config
from pycast.app.local_node import LocalNode
from pycast.errors import ExternalError


def test_without_haproxy_on_the_machine_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program, path=None: None)
    with pytest.raises(ExternalError, match="apt-get install haproxy"):
        find_haproxy()


def test_haproxy_takes_the_configuration_and_has_every_node(tmp_path: Path) -> None:
    nodes = [LocalNode(name, port, port + 100, tmp_path) for name, port in (("a", 18_001), ("b", 18_002))]
    text = haproxy_config(18_000, nodes)
    assert [line.split()[1:3] for line in text.splitlines() if line.split()[:1] == ["server"]] == [
        ["a", "127.0.0.1:18001"],
        ["b", "127.0.0.1:18002"],
    ]
    path = tmp_path / "haproxy.cfg"
    path.write_text(text)
    done = subprocess.run([find_haproxy(), "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
