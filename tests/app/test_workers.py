"""The parent of several workers: what it takes of a new configuration, and what it says of one that needs a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pycast.app.workers import Parent
from pycast.config.load import load

TOML = '[server]\nworkers = 2\n[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pycast.toml"
    path.write_text(TOML)
    return path


@pytest.fixture
def parent(file: Path) -> Iterator[Parent]:
    parent = Parent(load(file, {}), 2, TOML, file, None)
    yield parent
    parent.close()


def test_reload_takes_what_the_file_says_now(parent: Parent, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write_text(TOML + "[drain]\ndeadline = 7\n")
    parent.reload()
    assert parent.config.drain.deadline == 7
    assert "restart" not in caplog.text


def test_reload_says_once_which_changes_need_a_restart(
    parent: Parent, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(TOML.replace("workers = 2", "workers = 3") + "[cluster]\nlink_port = 7000\n")
    parent.reload()
    assert caplog.messages == ["changes that need a restart: server.workers, cluster.link_port"]


def test_file_with_errors_leaves_the_old_configuration(parent: Parent, file: Path) -> None:
    before = parent.config
    file.write_text("[server]\nworkers = 'many'\n")
    parent.reload()
    assert parent.config is before
