"""Tests of pycast.server.source_gate: the checks that a source passes, and their order."""

from collections.abc import Iterator

import pytest

from pycast.balance.admission import Slot
from pycast.errors import HandshakeError, Refused
from pycast.http.mount_names import why_no_mount
from pycast.server.source_gate import check_credentials, check_password, pass_gate
from pycast.web.routes import ROUTES
from tests.server.contexts import Bench, FakeSource, make_bench
from tests.web.sites import SOURCE, make_request

IP = "127.0.0.1"

# A source on "/" is heard by players; browsers get the page.
ROUTE_PATHS = [route.path for route in ROUTES if route.path != "/"]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = make_bench("[[mount]]\nmount_name = '/own'\nusername = 'me'\npassword = 'mine'\n")
    yield made
    made.close()


def refusal(bench: Bench, mount: str) -> Refused:
    with pytest.raises(Refused) as refused:
        pass_gate(bench.context, mount)
    return refused.value


def test_the_credentials_of_the_mount_are_returned(bench: Bench) -> None:
    request = make_request("/x", method="SOURCE", authorization=SOURCE)
    assert check_credentials(bench.context, IP, request) == (("source", "hackme"), False)
    request = make_request("/own", method="SOURCE", authorization="Basic bWU6bWluZQ==")
    assert check_credentials(bench.context, IP, request) == (("me", "mine"), False)


@pytest.mark.parametrize("authorization", ["", SOURCE, "Basic bWU6", "Basic x", "Bearer x"])
def test_all_others_are_refused_with_401(bench: Bench, authorization: str) -> None:
    with pytest.raises(Refused) as refused:
        check_credentials(bench.context, IP, make_request("/own", method="SOURCE", authorization=authorization))
    assert (refused.value.status, refused.value.public) == (401, "You need to authenticate")


def test_a_shoutcast_password_stands_for_the_credentials_of_its_mount(bench: Bench) -> None:
    assert check_password(bench.context, IP, Slot.CLIENT, "/own", "mine") == ("me", "mine")
    for slot in Slot:
        with pytest.raises(HandshakeError):
            check_password(bench.context, IP, slot, "/own", "hackme")
    with pytest.raises(Refused) as refused:
        check_password(bench.context, IP, Slot.RESERVED, "/own", "mine")
    assert refused.value.status == 503


@pytest.mark.parametrize(
    "mount",
    ["", "x", "/admin", "/admin/", "/admin.cgi", "/admin/x", *ROUTE_PATHS, "/live.mp3.m3u", "/sw.js"],
)
def test_names_that_cannot_be_mounts_are_refused(bench: Bench, mount: str) -> None:
    refused = refusal(bench, mount)
    assert refused.status == 403
    assert refused.public == f"This name cannot be a mount: {why_no_mount(mount)}"


def test_a_node_that_drains_refuses_sources_if_there_are_other_nodes() -> None:
    bench = make_bench(others=1)
    pass_gate(bench.context, "/x")
    bench.context.drain.begin()
    refused = refusal(bench, "/x")
    assert (refused.status, refused.headers) == (503, (("Retry-After", "5"),))
    assert refusal(bench, "/livez").status == 403, "the name comes first"
    bench.close()


@pytest.mark.parametrize("others", [None, 0])
def test_a_node_that_drains_takes_sources_if_it_is_alone(others: int | None) -> None:
    bench = make_bench(others=others)
    bench.context.drain.begin()
    pass_gate(bench.context, "/x")
    bench.close()


def test_the_gate_waits_for_a_former_source_that_is_ending(bench: Bench) -> None:
    former = FakeSource()
    bench.context.mounts.attach_source("/x", former)
    pass_gate(bench.context, "/x")
    assert former.waits == 1
