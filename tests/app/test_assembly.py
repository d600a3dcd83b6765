"""The wiring plan holds: who hears what of the data path, what a node alone has, and what a cluster adds to it."""

import ast
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints
from unittest.mock import Mock

import pytest

from pycast.app.assembly import NodeParts, assemble
from pycast.cluster.etcd.etcd_registry import EtcdRegistry
from pycast.cluster.link.message_kinds import Question, answer_type
from pycast.cluster.link.questions import WIRE_NAMES
from pycast.cluster.mesh.mesh_registry import MeshRegistry
from pycast.cluster.registry.records import NodeState
from pycast.config.load import loads
from pycast.control.cluster_control import ClusterControl
from pycast.stream.fanout import Reason
from pycast.stream.timeline import MOST_MARKS
from tests.conftest import WaitUntil
from tests.control.stage import StageSource
from tests.stream.memory import WHO, MemoryTransport

PACKAGE = Path(__file__).resolve().parents[2] / "pycast"
ALONE = "[limits]\nsource_grace = 0\n"
CLUSTER = ALONE + '[cluster]\nsecret = "secret"\nnode = "a"\n'
ETCD = CLUSTER + 'registry = "etcd"\netcd = ["http://127.0.0.1:1"]\n'

Make = Callable[..., NodeParts]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[NodeParts] = []

    def assembled(toml: str = ALONE, name: str = "playlist") -> NodeParts:
        logging = f'[logging]\naccess_log = "{tmp_path}/access"\nplaylist_log = "{tmp_path / name}"\n'
        made.append(assemble(loads(toml + logging, {}, "test"), 10_000))
        return made[-1]

    yield assembled
    for parts in made:
        parts.context.mounts.stop()
        parts.context.group.kill()
        parts.programs.kill()
        parts.context.hangups.close()
        parts.context.answers.close()
        parts.logs.close()


def begin(parts: NodeParts, name: str = "/x", content_type: str = "text/plain") -> StageSource:
    source = StageSource(content_type)
    parts.context.ownership.admit(name, source)
    return source


def listen(parts: NodeParts, name: str = "/x") -> MemoryTransport:
    mount, transport = parts.context.mounts.get(name), MemoryTransport()
    assert mount is not None
    parts.context.admission.enter()
    mount.join(parts.context.next_listener_id(), transport, WHO, b"", 0, time.monotonic())
    return transport


def test_a_title_reaches_the_playlist_log_with_the_number_of_listeners(make: Make, tmp_path: Path) -> None:
    parts = make()
    begin(parts)
    listen(parts)
    assert parts.context.site.local.set_title("/x", "Artist", "Song", "")
    parts.logs.close()
    assert (tmp_path / "playlist").read_text().endswith("|/x|1|Artist - Song\n")


def test_a_listener_that_leaves_gives_its_slot_back_and_is_in_the_access_log(make: Make, tmp_path: Path) -> None:
    parts = make()
    begin(parts)
    transport = listen(parts)
    mount = parts.context.mounts.get("/x")
    assert mount is not None and parts.context.admission.open == 1
    mount.fanout.drop_all(Reason.SLOW)
    assert transport.closed
    assert (parts.context.admission.open, parts.context.counters.slow_listeners) == (0, 1)
    parts.logs.close()
    assert '"GET /x HTTP/1.1" 200' in (tmp_path / "access").read_text()


def test_the_totals_of_a_mount_that_is_over_stay_and_count_once(make: Make, wait_until: WaitUntil) -> None:
    parts = make()
    counters, mounts = parts.context.counters, parts.context.mounts
    source, heard = begin(parts), listen(parts)
    source.output.feed(b"a" * 1000)
    parts.context.ownership.remove("/x", source)
    wait_until(lambda: not mounts.ending and mounts.get("/x") is None, "the end of the mount")
    assert (counters.bytes_read, counters.bytes_sent) == (1000, len(heard.got)) == (1000, 1000)
    begin(parts)
    assert (counters.bytes_read, counters.bytes_sent) == (1000, 1000)


def test_what_was_dropped_of_a_mount_that_is_over_stays_counted(make: Make, wait_until: WaitUntil) -> None:
    parts = make()
    source = begin(parts, "/x", "application/ogg")
    source.output.feed(b"junk" * 10 + b"OggS")
    assert parts.context.site.local.snapshot().counters.bytes_dropped == 40
    parts.context.ownership.remove("/x", source)
    wait_until(
        lambda: not parts.context.mounts.ending and parts.context.mounts.get("/x") is None, "the end of the mount"
    )
    assert parts.context.site.local.snapshot().counters.bytes_dropped == parts.context.counters.bytes_dropped == 40


def test_marks_that_were_too_many_are_counted_and_logged_once(
    make: Make, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    parts = make()
    source, mounts, local = begin(parts), parts.context.mounts, parts.context.site.local
    for number in range(MOST_MARKS + 20):
        source.output.feed(b"a")
        source.output.set_title("", f"song {number}")
    assert local.snapshot().counters.marks_dropped == 20
    for _ in range(2):
        mounts._expire()
    assert caplog.text.count("mount /x: its source sends more titles") == 1
    parts.context.ownership.remove("/x", source)
    wait_until(lambda: not mounts.ending and mounts.get("/x") is None, "the end of the mount")
    assert local.snapshot().counters.marks_dropped == parts.context.counters.marks_dropped == 20


def test_statistics_tell_the_fallback_that_an_admin_has_ordered(make: Make) -> None:
    parts = make()
    begin(parts)
    local = parts.context.site.local
    before = [mount.fallback for mount in local.snapshot().mounts]
    local.set_fallback("/x", "/ordered")
    assert [before, [mount.fallback for mount in local.snapshot().mounts]] == [[""], ["/ordered"]]


def test_listeners_go_to_the_fallback_when_their_source_ends(make: Make, wait_until: WaitUntil) -> None:
    parts = make('[limits]\nsource_grace = 60\n[[mount]]\nmount_name = "/x"\nfallback_mount = "/f"\n')
    source = begin(parts)
    begin(parts, "/f")
    listen(parts)
    parts.context.ownership.remove("/x", source)
    fallback = parts.context.mounts.get("/f")
    wait_until(lambda: fallback is not None and len(fallback.fanout) == 1, "the fallback")


def test_a_node_alone_has_no_cluster_and_answers_for_all_by_itself(make: Make) -> None:
    context = make().context
    assert context.cluster is None
    assert context.site.cluster_wide is context.site.local
    assert context.site.drain is context.drain
    assert context.next_listener_id() == 1


def test_in_a_cluster_the_whole_is_more_than_the_node(make: Make) -> None:
    context = make(CLUSTER).context
    assert context.cluster is not None
    assert isinstance(context.site.cluster_wide, ClusterControl)
    assert context.site.cluster_wide is not context.site.local


@pytest.mark.parametrize(("toml", "kind"), [(CLUSTER, MeshRegistry), (ETCD, EtcdRegistry)])
def test_the_registry_is_the_one_that_the_configuration_names(make: Make, toml: str, kind: type) -> None:
    cluster = make(toml).context.cluster
    assert cluster is not None and type(cluster.registry) is kind


def handlers(parts: NodeParts) -> dict[str, Any]:
    assert parts.context.cluster is not None
    return parts.context.cluster._rpc_server._handlers


def test_each_question_of_another_node_is_answered_with_its_answer(make: Make) -> None:
    found = handlers(make(CLUSTER))
    assert {name: one.kind for name, one in found.items()} == {name: kind for kind, name in WIRE_NAMES.items()}
    for one in found.values():
        *taken, given = get_type_hints(one.handle).values()
        assert taken == [one.kind]
        assert given is (answer_type(one.kind) if issubclass(one.kind, Question) else type(None))


def test_a_node_of_an_etcd_answers_the_same_without_the_meshs_own(make: Make) -> None:
    assert set(handlers(make(ETCD))) == {name for name in WIRE_NAMES.values() if not name.startswith("mesh.")}


def test_two_nodes_of_one_process_do_not_hear_each_other(make: Make, tmp_path: Path) -> None:
    one, other = make(ALONE), make(ALONE, "playlist2")
    begin(one)
    one.context.site.local.set_title("/x", "", "Song", "")
    assert other.context.mounts.get("/x") is None
    one.logs.close()
    other.logs.close()
    assert (tmp_path / "playlist2").read_text() == ""
    assert "Song" in (tmp_path / "playlist").read_text()


def test_the_other_nodes_are_told_of_a_drain(make: Make) -> None:
    context = make(CLUSTER).context
    assert context.cluster is not None
    announced = []
    for change in (context.drain.begin, context.drain.cancel):
        change()
        announced.append(context.cluster.me.state)
    assert announced == [NodeState.DRAINING, NodeState.UP]


def test_the_nodes_that_mirror_a_mount_are_told_of_new_audio_and_of_its_end(make: Make) -> None:
    context, child = make(CLUSTER).context, Mock()
    assert context.cluster is not None
    mount = context.mounts.attach_source("/x", StageSource("text/plain"))
    context.cluster._mirror_server._children.add("/x", child)
    child.finish.assert_not_called()
    mount.feed(b"audio")
    child.wake.assert_called()
    context.mounts.close("/x")
    child.finish.assert_called_once()


def test_listeners_numbers_are_unique_in_the_cluster(make: Make) -> None:
    context = make(CLUSTER).context
    first, second = context.next_listener_id(), context.next_listener_id()
    assert second == first + 1
    assert 0 < first < 1 << 53


def test_only_the_two_files_of_the_wiring_plan_subscribe() -> None:
    """So no constructor does, and a part that is made has no effect on another."""
    subscribing = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "subscribe":
                subscribing.add(path.relative_to(PACKAGE).as_posix())
    # node.py: `run`, which has the notifier, reports a drain to the service manager.
    assert subscribing == {"app/assembly.py", "app/cluster_assembly.py", "app/node.py"}
