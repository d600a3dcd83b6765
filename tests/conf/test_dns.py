"""conf/dns/: clients that resolve again find every node, and after a loss the surviving ones; by a real dnsmasq."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dns.zone
import pytest

from pycast.config.load import load
from tests.conf.examples import CLUSTER_ENVIRONMENT, CONF
from tests.conf.name_server import NAME, NameServer
from tests.conf.stack import cfn_lint, template

FOLDER = CONF / "dns"
NODES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
TTL_S = 10


@pytest.fixture
def names(tmp_path: Path) -> Iterator[NameServer]:
    with NameServer(tmp_path, NODES) as server:
        yield server


def example_nodes() -> set[str]:
    lines = (FOLDER / "nodes.hosts").read_text().splitlines()
    pairs = [line.split() for line in lines if not line.startswith("#")]
    assert all(name == NAME for _, name in pairs)
    return {address for address, _ in pairs}


def test_every_answer_has_all_nodes_and_a_short_life(names: NameServer) -> None:
    for _ in range(5):
        addresses, ttl = names.ask()
        assert sorted(addresses) == sorted(NODES)
        assert ttl == TTL_S


def test_each_node_is_first_as_often_as_the_others(names: NameServer) -> None:
    first = [names.ask()[0][0] for _ in range(30)]
    assert {node: first.count(node) for node in NODES} == dict.fromkeys(NODES, 10)


def test_a_node_that_is_taken_out_is_in_no_answer_after_it(names: NameServer) -> None:
    names.set_nodes(NODES[1:])
    assert {tuple(sorted(names.ask()[0])) for _ in range(5)} == {NODES[1:]}
    names.set_nodes(NODES)
    assert sorted(names.ask()[0]) == sorted(NODES)


def test_a_client_that_resolves_again_finds_the_surviving_node(names: NameServer) -> None:
    """The nodes are listening sockets on one port of several loopback addresses; all but one are lost."""
    with ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server((NODES[0], 0)))]
        port = listening[0].getsockname()[1]
        listening += [stack.enter_context(socket.create_server((node, port))) for node in NODES[1:]]
        with socket.create_connection((names.ask()[0][0], port), timeout=5):
            pass
        for lost in listening[:-1]:
            lost.close()
        names.set_nodes(NODES[-1:])
        (address,), _ = names.ask()
        with socket.create_connection((address, port), timeout=5) as connection:
            assert connection.getpeername()[0] == NODES[-1]


def test_without_a_node_the_answer_is_there_at_once_and_empty(names: NameServer) -> None:
    names.set_nodes(())
    assert names.ask() == ([], 0)


def test_nodes_of_the_examples_are_those_of_the_cluster() -> None:
    config = load(CONF / "cluster" / "pycast.toml", CLUSTER_ENVIRONMENT)
    assert {peer.rpartition(":")[0] for peer in config.cluster.peers} == example_nodes()
    # Resolvers have forgotten a node before its first listener is let go.
    assert config.drain.lead > TTL_S


def test_the_zone_says_the_same_as_dnsmasq() -> None:
    zone = dns.zone.from_file(str(FOLDER / "radio.zone"), relativize=False)
    for name in (f"{NAME}.", f"nodes.{NAME}."):
        records = zone.get_rdataset(name, "A")
        assert records is not None and records.ttl == TTL_S
        assert {one.to_text() for one in records} == example_nodes()


def test_route_53_leaves_out_nodes_that_are_not_ready() -> None:
    resources = template(FOLDER / "route53.yaml")["Resources"]
    records = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Route53::RecordSet"]
    assert len({record["SetIdentifier"] for record in records}) == len(records) == 3
    for record in records:
        check = resources[record["HealthCheckId"]["Ref"]]["Properties"]["HealthCheckConfig"]
        assert record["MultiValueAnswer"] is True
        assert record["ResourceRecords"] == [check["IPAddress"]]
        assert check["ResourcePath"] == "/readyz"
        noticed_s = check["RequestInterval"] * check["FailureThreshold"] + int(record["TTL"])
        assert noticed_s < 120, "the drain.lead that the file's head asks for"


def test_cfn_lint_has_nothing_to_say_about_route_53() -> None:
    assert cfn_lint(FOLDER / "route53.yaml") == ""
