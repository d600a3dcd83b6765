"""etcd over HTTP/JSON: messages cut anywhere, transactions, leases, watches, members that fail."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from pathlib import Path
from random import Random

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.etcd.client import (
    BUDGET_S,
    Compacted,
    EtcdClient,
    EtcdError,
    EtcdUnreachable,
    JsonStream,
    LeaseGone,
    WatchBroken,
    absent,
    delete,
    get,
    put,
    unchanged,
)
from tests.cluster.etcd_server import Etcd
from tests.cluster.patched import in_patched_process
from tests.e2e.deadline import quickest_s

MESSAGES = [{"result": {"header": {"revision": str(number)}, "events": [{"x": "é" * number}]}} for number in range(20)]
BYTES = "\n\n".join(json.dumps(one, ensure_ascii=False) for one in MESSAGES).encode() + b"\n"


@contextmanager
def client_of(etcd: Etcd) -> Iterator[EtcdClient]:
    client = EtcdClient(etcd.urls, time.monotonic)
    yield client
    client.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, len(BYTES)])
def test_messages_are_the_same_however_they_are_cut(size: int) -> None:
    stream = JsonStream(10_000)
    found = [one for start in range(0, len(BYTES), size) for one in stream.feed(BYTES[start : start + size])]
    assert found == MESSAGES


def test_messages_are_the_same_at_random_cuts() -> None:
    rng = Random(1)
    for _ in range(50):
        stream = JsonStream(10_000)
        cuts = sorted(rng.randrange(len(BYTES)) for _ in range(9))
        pieces = [BYTES[start:end] for start, end in zip([0, *cuts], [*cuts, len(BYTES)], strict=True)]
        assert [one for piece in pieces for one in stream.feed(piece)] == MESSAGES


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_any_bytes_give_objects_or_a_value_error_within_the_limit(pieces: list[bytes]) -> None:
    stream = JsonStream(100)
    try:
        for piece in pieces:
            assert all(isinstance(one, dict) for one in stream.feed(piece))
    except ValueError:
        return
    assert stream._size <= 100


def test_a_message_without_an_end_is_refused() -> None:
    stream = JsonStream(100)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        for _ in range(101):
            stream.feed(b"x")


@in_patched_process
def test_a_transaction_is_done_if_its_guard_holds_and_else_returns_what_it_found(tmp_path: Path) -> None:
    with Etcd(tmp_path) as etcd, client_of(etcd) as client:
        made = client.txn([absent("/a")], [put("/a", b"1")], [get("/a")])
        assert made.is_done and made.entries == ()
        again = client.txn([absent("/a")], [put("/a", b"2")], [get("/a")])
        assert not again.is_done
        assert [(one.key, one.value, one.revision) for one in again.entries] == [("/a", b"1", made.revision)]
        assert client.txn([unchanged("/a", made.revision)], [put("/a", b"3")]).is_done
        assert not client.txn([unchanged("/a", made.revision)], [delete("/a")]).is_done
        found = client.range("/")
        assert [one.value for one in found.entries] == [b"3"] and found.revision == made.revision + 1


@in_patched_process
def test_a_lease_ends_with_its_keys(tmp_path: Path) -> None:
    with Etcd(tmp_path) as etcd, client_of(etcd) as client:
        lease = client.grant(10)
        client.txn([], [put("/a", b"1", lease), put("/b", b"1")])
        client.keep_alive(lease)
        assert 9 <= client.time_to_live(lease) <= 10
        client.revoke(lease)
        assert [one.key for one in client.range("/").entries] == ["/b"]
        assert client.time_to_live(lease) < 0
        for call in (lambda: client.keep_alive(lease), lambda: client.txn([], [put("/a", b"1", lease)])):
            with pytest.raises(LeaseGone):
                call()


@in_patched_process
def test_a_watch_reports_everything_from_its_revision_on(tmp_path: Path) -> None:
    with Etcd(tmp_path) as etcd, client_of(etcd) as client:
        first = client.txn([], [put("/w/a", b"1")]).revision
        client.txn([], [put("/elsewhere", b"1")])
        client.txn([], [delete("/w/a")])
        with gevent.Timeout(5):
            watch = client.watch("/w/", first)
            opened, past = islice(watch, 2)
            assert opened.events == () and opened.revision == first + 2
            assert [(one.revision, one.entry and one.entry.value) for one in past.events] == [
                (first, b"1"),
                (first + 2, None),
            ]
            client.txn([], [put("/w/b", b"x" * 1_000_000)])
            (live,) = next(watch).events
            assert live.entry is not None and len(live.entry.value) == 1_000_000


@in_patched_process
def test_a_watch_from_a_compacted_revision_raises_compacted(tmp_path: Path) -> None:
    with Etcd(tmp_path) as etcd, client_of(etcd) as client:
        last = max(client.txn([], [put("/w/a", b"1")]).revision for _ in range(5))
        client._call("/v3/kv/compaction", {"revision": str(last), "physical": True}, BUDGET_S, dict)
        with gevent.Timeout(5), pytest.raises(Compacted):
            list(client.watch("/w/", 2))


@in_patched_process
def test_a_watch_on_a_member_without_a_leader_is_ended_by_it(tmp_path: Path) -> None:
    with Etcd(tmp_path, members=2) as etcd, client_of(etcd) as client:
        watch = client.watch("/w/", 1)
        next(watch)
        etcd.kill(1)  # the watch is on the first
        with gevent.Timeout(8), pytest.raises(WatchBroken):
            list(watch)


@in_patched_process
def test_the_next_member_is_asked_when_one_fails_or_is_silent(tmp_path: Path) -> None:
    with Etcd(tmp_path, members=3) as etcd, client_of(etcd) as client:
        client.txn([], [put("/a", b"1")])
        etcd.pause(0)
        begun = time.monotonic()
        # The silent one may have led: then the others elect first.
        while True:
            try:
                assert client.range("/").entries
                break
            except EtcdUnreachable:
                assert time.monotonic() - begun < 8
        assert quickest_s(lambda: client.range("/"), 0.3) < 0.3, "the silent member was asked again"


@in_patched_process
def test_an_etcd_that_is_gone_or_silent_costs_no_more_than_the_budget(tmp_path: Path) -> None:
    with Etcd(tmp_path) as etcd, client_of(etcd) as client:

        def ask() -> None:
            with pytest.raises(EtcdUnreachable):
                client.range("/")

        etcd.pause()
        assert quickest_s(ask, BUDGET_S + 0.2) < BUDGET_S + 0.2
        etcd.kill()
        assert quickest_s(ask, 0.5) < 0.5


@in_patched_process
def test_what_etcd_refuses_is_not_asked_of_the_next_member(tmp_path: Path) -> None:
    with Etcd(tmp_path) as etcd, client_of(etcd) as client:
        with pytest.raises(EtcdError, match="key is not provided") as raised:
            client.txn([], [put("", b"1")])
        assert not isinstance(raised.value, EtcdUnreachable)


class OtherServer(BaseHTTPRequestHandler):
    """Answers everything with JSON, but is no etcd."""

    def do_POST(self) -> None:  # the library's name
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok", "kvs": [{}], "header": {"revision": {}}}')

    def log_message(self, *arguments: object) -> None:
        pass


@in_patched_process
def test_a_server_that_is_no_etcd_is_told_by_name(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), OtherServer) as other:
        thread = threading.Thread(target=other.serve_forever, daemon=True)
        thread.start()
        client = EtcdClient([f"http://127.0.0.1:{other.server_port}"], time.monotonic)
        for ask in (lambda: client.range("/"), lambda: client.txn([], []), lambda: client.grant(10)):
            with pytest.raises(EtcdUnreachable, match=rf"127\.0\.0\.1:{other.server_port}: no answer of etcd's"):
                ask()
        client.close()
        other.shutdown()
        thread.join()
