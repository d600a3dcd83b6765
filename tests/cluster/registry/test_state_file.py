"""The last known state of the cluster, on disk."""

import json
import logging
from pathlib import Path

import pytest

from pycast.cluster.registry.cluster_state import ClusterState, Status
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.state_file import Position, StateFile
from pycast.net.group import Group

A, B = (NodeRecord(name, f"{name}1", f"{name}.example:8000") for name in "ab")
LIVE = OriginRecord("/live.mp3", "a", "a1", Epoch(2, 30, 0, "a"), 0, True)
OWN = OriginRecord("/own.mp3", "b", "b0", Epoch(2, 31, 0, "b"), 0, True)


def file_of(path: Path, state: ClusterState, group: Group) -> StateFile:
    """Returns a file that is notified of every change, as in a server."""
    file = StateFile(str(path), state, group)
    state.node_changed.subscribe(file.on_changed)
    state.origin_changed.subscribe(file.on_changed)
    return file


def written(path: Path) -> Path:
    state, group = ClusterState(), Group()
    file = file_of(path, state, group)
    file.start(lambda: Position(2, 40))
    for node in (A, B):
        state.put_node(node)
    for origin in (LIVE, OWN):
        state.put_origin(origin)
    file.stop()
    group.kill()
    return path


def test_a_node_starts_with_what_was_known_of_others(tmp_path: Path) -> None:
    state = ClusterState()
    file = StateFile(str(written(tmp_path / "state.json")), state, Group())
    assert file.load("b") == Position(2, 40)
    assert [(peer.record, peer.status) for peer in state.peers] == [(A, Status.SUSPECT)]
    assert state.origins == (LIVE,)
    assert state.highest("/own.mp3") == OWN.epoch


def test_changes_are_written_together_and_the_file_is_replaced_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycast.cluster.registry.state_file.INTERVAL_S", 0.01)
    state, group, path = ClusterState(), Group(), tmp_path / "state.json"
    file = file_of(path, state, group)
    file.start()
    state.put_node(A)
    state.put_node(B)
    assert len(group) == 1
    group.join(5)
    assert [node["node"] for node in json.loads(path.read_text())["nodes"]] == ["a", "b"]
    assert list(tmp_path.iterdir()) == [path]
    file.stop()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nodes": [{}]}', '{"nodes": [], "origins": [], "generation": "x"}'])
def test_a_broken_file_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    (path := tmp_path / "state.json").write_text(text)
    state = ClusterState()
    assert StateFile(str(path), state, Group()).load("b") == Position()
    assert state.peers == () and "cannot read" in caplog.text


def test_a_missing_file_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert StateFile(str(tmp_path / "state.json"), ClusterState(), Group()).load("b") == Position()
    assert not caplog.records


def test_a_file_that_cannot_be_written_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    written(tmp_path / "missing" / "state.json")
    assert len(caplog.records) == 1


def test_without_a_path_nothing_happens() -> None:
    state, group = ClusterState(), Group()
    file = StateFile("", state, group)
    assert file.load("b") == Position()
    file.start()
    state.put_node(A)
    file.stop()
    assert len(group) == 0
