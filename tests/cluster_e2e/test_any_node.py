"""Any node answers for any mount: sources, listeners, titles, statistics and orders, on nodes that are processes."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from xml.etree import ElementTree

import pytest

from pycast.testing import Cluster, Server
from pycast.testing.numbered_stream import NumberedStream
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.nodes import MOUNT, at, metric
from tests.e2e.deadline import until
from tests.e2e.programs import ENCODINGS, Target, ffmpeg_source
from tests.e2e.stopwatch import Stopwatch
from tests.e2e.wire import Wire, ask, basic, get, listen

VISIBLE_S = 1.0
OTHER = "/other.mp3"


def admin(node: Server, path: str) -> ElementTree.Element:
    status, body = node.get(f"/admin/{path}", admin=True)
    assert status == 200, body
    return ElementTree.fromstring(body)


def listeners_of(node: Server, query: str = "") -> list[str]:
    """Returns the ids of the listeners of MOUNT that a node reports."""
    return [found.findtext("ID", "") for found in admin(node, f"listclients?mount={MOUNT}{query}").iter("listener")]


def is_served(node: Server) -> bool:
    return get(node.port, MOUNT, method="HEAD").status == 200


def shows(node: Server, text: bytes) -> bool:
    """Whether the statistics have that text, other than in the history of titles."""
    return text in re.sub(rb'"history":\[[^]]*\]', b"", node.get("/status-json.xsl")[1])


def shows_no(node: Server, text: bytes) -> bool:
    return not shows(node, text)


def counts(node: Server, listeners: str) -> bool:
    return admin(node, "stats").findtext("source/listeners") == listeners


def have_ended(crowd: Crowd, ids: list[int]) -> bool:
    return all(one.disconnects for one in crowd.reports(ids))


def mirrors_one_mount(node: Server) -> bool:
    return metric(node, "pycast_mirrors") == 1


def has_read(node: Server, size: int) -> bool:
    return metric(node, "pycast_received_bytes_total") == size


@pytest.fixture
def stream(pycast_cluster: Cluster) -> Iterator[NumberedStream]:
    """Yields a source on node a that all nodes know of, with 300 frames sent and read."""
    with pycast_cluster[0].stream(MOUNT, speed=0) as stream:
        stream.send(300)
        pycast_cluster.wait_for_mount(MOUNT)
        until(partial(has_read, pycast_cluster[0], stream.size), "node a to read it all")
        yield stream


def first_status(server: Server) -> int:
    """Returns the status that the first listener gets whom a node accepts."""
    deadline = time.monotonic() + 30
    while True:
        assert time.monotonic() < deadline, "nobody was accepted"
        with suppress(ConnectionRefusedError), Wire(server.port) as wire:
            wire.send(f"GET {MOUNT} HTTP/1.0\r\n\r\n")
            return wire.read_head().status


def test_a_node_that_starts_refuses_nobody_before_it_knows_the_mounts_of_the_others(pycast_cluster: Cluster) -> None:
    a, b, _ = pycast_cluster
    with Encoder(at(a), MOUNT, retry_s=None), ThreadPoolExecutor() as pool:
        pycast_cluster.wait_for_mount(MOUNT)
        pycast_cluster.pause("c")  # so that it takes a while
        b.kill()
        listener, restarted = pool.submit(first_status, b), pool.submit(b.restart)
        with Encoder(at(b), OTHER, retry_s=0.01) as encoder:
            assert listener.result(20) == 200
            restarted.result(20)
        assert {session.status for session in encoder.sessions} <= {0, 200}


@pytest.mark.parametrize("node", ["a", "b", "c"])
@pytest.mark.parametrize("method", ["SOURCE", "PUT"])
def test_lb_19_a_source_on_any_node_is_served_by_every_node_within_a_second(
    pycast_cluster: Cluster, node: str, method: str
) -> None:
    with Encoder(at(pycast_cluster[node]), MOUNT, method=method, retry_s=None):  # type: ignore[arg-type]
        with Stopwatch(*(server.pid for server in pycast_cluster)) as watch:
            for server in pycast_cluster:
                until(partial(is_served, server), "the mount")
        assert watch.seconds < VISIBLE_S
        for server in pycast_cluster:
            with server.listen(MOUNT) as heard:
                assert heard.status == 200
                heard.wait_for_bytes(16_000)


def test_listeners_of_every_node_get_the_same_burst_and_the_same_bytes(
    pycast_cluster: Cluster, stream: NumberedStream
) -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(server.listen(MOUNT)) for server in pycast_cluster]
        stream.send(50)
        for heard in listeners:
            heard.wait_for_frame(349)
    assert all(heard.frames.is_whole for heard in listeners), [heard.frames for heard in listeners]
    assert len({heard.frames.numbers[0] for heard in listeners}) == 1, [heard.frames for heard in listeners]
    assert listeners[0].size > 64_000


def test_titles_reach_listeners_of_every_node_whichever_node_they_are_set_on(
    pycast_cluster: Cluster, stream: NumberedStream
) -> None:
    with ExitStack() as stack:
        ears = [stack.enter_context(server.listen(MOUNT)) for server in pycast_cluster]
        for count, server in enumerate(pycast_cluster):
            answer = admin(server, f"metadata?mount={MOUNT}&mode=updinfo&song=Song+{count}")
            assert answer.findtext("message") == "Metadata update successful"
            stream.send(80)
            for ear in ears:
                ear.wait_for_title(f"Song {count}")
        for server in pycast_cluster:
            until(partial(shows, server, b'"title":"Song 2"'), f"the title on {server.url}")


@pytest.mark.parametrize("name", ["vorbis", "opus", "flac", "webm", "aac"])
def test_a_mirror_gives_a_new_listener_what_its_decoder_needs_first(pycast_cluster: Cluster, name: str) -> None:
    """The other nodes' listeners start with the codec headers, as on the node of the source."""
    encoding = next(one for one in ENCODINGS if one.name == name)
    first, *others = pycast_cluster
    with ffmpeg_source(Target(first.port, first.source_password), MOUNT, encoding):
        pycast_cluster.wait_for_mount(MOUNT)
        until(lambda: len(first.received(MOUNT)) > 20_000, "some audio")
        begins = {"webm": b"\x1aE\xdf\xa3", "aac": b"\xff\xf1"}.get(name, b"OggS\0\x02")
        for server in (first, *others):
            with server.listen(MOUNT) as heard:
                heard.wait_for_bytes(8_000)
                assert heard.bytes.startswith(begins), f"node {server.url}"


def test_statistics_are_the_clusters_and_a_nodes_own_if_asked(pycast_cluster: Cluster, stream: NumberedStream) -> None:
    a, b, c = pycast_cluster
    with ExitStack() as stack:
        for server, count in ((a, 1), (b, 2), (c, 3)):
            for _ in range(count):
                stack.enter_context(server.listen(MOUNT))
        for server in pycast_cluster:
            until(partial(counts, server, "6"), "all six listeners")
            stats = admin(server, f"stats?mount={MOUNT}")
            assert stats.findtext("sources") == "1"
            assert stats.findtext("source/source_ip") == "127.0.0.1"
            page = json.loads(server.get("/status-json.xsl")[1])["icestats"]["source"]
            assert page["listeners"] == 6
            assert page["listenurl"].endswith(MOUNT)
        own = [admin(server, "stats?scope=node").findtext("source/listeners") for server in pycast_cluster]
        assert own == ["1", "2", "3"]
        assert [len(listeners_of(server)) for server in pycast_cluster] == [6, 6, 6]
        assert [len(listeners_of(server, "&scope=node")) for server in pycast_cluster] == [1, 2, 3]
        assert len(set(listeners_of(a))) == 6, "two nodes give the same id"


def test_any_node_ends_a_listener_and_a_source_of_another(pycast_cluster: Cluster, stream: NumberedStream) -> None:
    a, b, c = pycast_cluster
    with b.listen(MOUNT) as heard:
        (id,) = listeners_of(c)
        assert admin(c, f"killclient?mount={MOUNT}&id={id}").findtext("message") == f"Client {id} removed"
        heard.wait_for_end()
    assert admin(c, f"killclient?mount={MOUNT}&id={id}").findtext("message") == f"Client {id} not found"
    assert admin(c, f"killsource?mount={MOUNT}").findtext("message") == "Source Removed"
    assert stream.wait_for_disconnect() == "the server closed the connection"
    until(lambda: not any(get(server.port, MOUNT).status == 200 for server in (a, b, c)), "the mount to end", 10)


def test_any_node_moves_the_listeners_of_all_nodes(pycast_cluster: Cluster, stream: NumberedStream) -> None:
    a, b, c = pycast_cluster
    with b.stream(OTHER, speed=0, first=9_000) as other, ExitStack() as stack:
        other.send(300)
        pycast_cluster.wait_for_mount(OTHER)
        listeners = [stack.enter_context(server.listen(MOUNT)) for server in pycast_cluster]
        for heard in listeners:
            heard.wait_for_bytes(4_000)
        answer = admin(c, f"moveclients?mount={MOUNT}&destination={OTHER}")
        assert answer.findtext("message") == f"Clients moved from {MOUNT} to {OTHER}"
        other.send(300)
        for heard in listeners:
            heard.wait_for_frame(9_400)
            assert not heard.frames.foreign, "a frame was cut"
        until(lambda: [len(listeners_of(server)) for server in (a, b, c)] == [0, 0, 0], "nobody on the old mount")


def test_wrong_moves_are_refused_with_icecasts_words(pycast_cluster: Cluster, stream: NumberedStream) -> None:
    login = basic("admin", "adminpass")
    port = pycast_cluster[1].port
    for destination, words in (("/no.mp3", "No such destination"), (MOUNT, "supplied mountpoints are identical")):
        reply = get(port, f"/admin/moveclients?mount={MOUNT}&destination={destination}", login)
        assert (reply.status, words in reply.body.decode()) == (400, True), reply
    offered = admin(pycast_cluster[1], f"moveclients?mount={MOUNT}")
    assert (offered.findtext("current_source"), offered.find("source")) == (MOUNT, None)


def test_a_node_pulls_a_mount_once_whatever_the_number_of_its_listeners(
    pycast_cluster: Cluster, stream: NumberedStream
) -> None:
    _, b, c = pycast_cluster
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(b.listen(MOUNT))
        assert metric(b, "pycast_mirrors") == 1
        assert metric(b, "pycast_mirror_reconnects_total") == 1
        assert metric(c, "pycast_mirrors") == 0, "a node without listeners copies the mount"


@pytest.mark.pycast(mirror="always")
def test_a_node_pulls_at_once_if_it_is_to_mirror_always(pycast_cluster: Cluster, stream: NumberedStream) -> None:
    for server in list(pycast_cluster)[1:]:
        until(partial(mirrors_one_mount, server), "the mirror")


@pytest.mark.pycast(source_grace=0)
def test_a_stream_that_ends_is_heard_to_its_last_frame_on_every_node(pycast_cluster: Cluster, crowd: Crowd) -> None:
    for turn in range(6):
        mount = f"/turn{turn}.mp3"
        with Encoder(at(pycast_cluster[0]), mount, retry_s=None) as encoder:
            pycast_cluster.wait_for_mount(mount)
            ids = crowd.add(at(*pycast_cluster), mount, 6)
            crowd.wait_playing(6)
            encoder.wait_sent(0.3)
        until(partial(have_ended, crowd, ids), "the end")
        last = encoder.sessions[0].after_last - 1
        assert [(one.last_seq, one.gaps) for one in crowd.reports(ids)] == [(last, [])] * 6


@pytest.mark.pycast(on_conflict="reject")
def test_a_second_source_is_refused_on_every_node_if_so_configured(
    pycast_cluster: Cluster, stream: NumberedStream
) -> None:
    for server in pycast_cluster:
        head = f"SOURCE {MOUNT} HTTP/1.0\r\n{basic('source', 'sourcepass')}Content-Type: audio/mpeg\r\n\r\n"
        reply = ask(server.port, head)
        assert (reply.status, b"Mountpoint in use" in reply.body) == (403, True), reply


@pytest.mark.pycast(on_conflict="take_over", burst_size=0)
@pytest.mark.parametrize("node", [0, 1])
def test_the_newest_source_wins_if_so_configured_and_the_old_one_stands_by(pycast_cluster: Cluster, node: int) -> None:
    a, _, c = pycast_cluster
    with ExitStack() as stack:
        first = stack.enter_context(Encoder(at(a), MOUNT, programme=1, retry_s=None))
        pycast_cluster.wait_for_mount(MOUNT)
        wire = stack.enter_context(listen(c.port, MOUNT)[0])
        wire.read_to(b"mount 0001")
        with Encoder(at(pycast_cluster[node]), MOUNT, programme=2, retry_s=None):
            heard = wire.read_to(b"mount 0002") + wire.read(40_000)
            assert b"mount 0001" not in heard[heard.index(b"mount 0002") :], "two programmes are mixed"
            assert first.is_on_air, "the old source was sent away"
        wire.read_to(b"mount 0001")


@pytest.mark.pycast(on_conflict="take_over")
@pytest.mark.parametrize("node", [0, 1])
def test_every_node_shows_each_sources_own_title(pycast_cluster: Cluster, node: int) -> None:
    a, _, c = pycast_cluster
    with Encoder(at(a), MOUNT, programme=1, retry_s=None) as first:
        pycast_cluster.wait_for_mount(MOUNT)
        admin(a, f"metadata?mount={MOUNT}&mode=updinfo&song=First")
        until(partial(shows, c, b'"title":"First"'), "the first one's title")
        with Encoder(at(pycast_cluster[node]), MOUNT, programme=2, retry_s=None):
            for server in pycast_cluster:
                until(partial(is_served, server), "the mount")
                until(partial(shows_no, server, b"First"), "the first one's title to be gone")
            admin(c, f"metadata?mount={MOUNT}&mode=updinfo&song=Second")
            until(partial(shows, a, b'"title":"Second"'), "the second one's title")
        for server in pycast_cluster:
            until(partial(shows, server, b'"title":"First"'), "the first one's title again")
        assert first.is_on_air


def test_a_stranger_on_the_port_gets_nothing_and_changes_nothing(pycast_cluster: Cluster) -> None:
    a = pycast_cluster[0]
    head = "GET /_cluster/v1 HTTP/1.1\r\nHost: x\r\nUpgrade: pycast-cluster/1\r\nConnection: Upgrade\r\n"
    assert get(a.port, "/_cluster/v1").status == 404
    for fields in (f"Pycast-Node: e30=\r\nPycast-Proof: {'0' * 64}\r\n", f"Pycast-Nonce: {'0' * 32}\r\n"):
        with Wire(a.port) as wire:
            answer = wire.send(f"{head}{fields}\r\n".encode() + b"x" * 32 + b"\0\0\0\2\1{}").read_all()
            status, _, rest = answer.partition(b"\r\n")
            assert status in (b"HTTP/1.0 403 Forbidden", b"HTTP/1.0 404 File Not Found")
            assert not re.search(rb"radio|node-|pycast-|secret", rest.lower().replace(b"pycast ", b""))
    until(lambda: metric(a, "pycast_cluster_nodes", status="up") == 3, "all nodes to be up still")
    until(lambda: "a malformed request for a link" in a.log(), "its line in the log")


def test_a_node_with_another_secret_is_none_of_the_cluster(pycast_cluster: Cluster) -> None:
    a = pycast_cluster[0]
    settings = {"secret": "another", "node": "z", "peers": [f"127.0.0.1:{a.port}"]}
    with Server(cluster=settings) as stranger, stranger.stream(MOUNT, speed=0) as stream:
        stream.send(100)
        until(lambda: "cluster.secret the same there?" in stranger.log(), "the stranger to be told why")
        assert metric(stranger, "pycast_cluster_nodes") == 1
        assert get(a.port, MOUNT).status == 404
