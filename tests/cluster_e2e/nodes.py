"""Questions of the failure tests to nodes, and checks that many of them share.

Nodes are asked as by an operator, through their metrics. The proxies between the nodes show where bytes go.
"""

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from benchmarks.frames import BYTES_PER_S
from pycast.testing import Cluster, Server
from tests.cluster_e2e.chaos import Chaos
from tests.cluster_e2e.encoder import Address, Encoder
from tests.cluster_e2e.hearing import Report

MOUNT = "/live.mp3"

# What was handed to a node so long before its death has reached the others. A busy machine takes most of it.
LAST_WORDS_S = 0.3

STEAL_S = 1.5
"""From an encoder's authentication to its first byte on every node."""
SUSPECT_S = 3.0
"""After this long a silent node is no longer waited for."""
LEADER_S = 20.0
"""Several times as long as a mirror keeps a parent that is not the best."""
RESUME_S = 0.5
"""How long a mirror takes to resume from another parent."""

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def at(*servers: Server) -> list[Address]:
    """Returns the nodes' addresses for encoders and listeners."""
    return [(server.host, server.port) for server in servers]


def metric(server: Server, name: str, **labels: str) -> float:
    """Returns the sum of the samples of `name` with these labels. Fails if there is no such metric."""
    _, body = server.get("/metrics", admin=True)
    text = body.decode()
    assert f"# TYPE {name} " in text, f"no metric {name}"
    samples = (match for match in _SAMPLE.finditer(text) if match[1] == name)
    return sum(float(one[3]) for one in samples if labels.items() <= dict(_LABEL.findall(one[2] or "")).items())


@contextlib.contextmanager
def behind_proxies(size: int, **settings: Any) -> Iterator[tuple[Cluster, dict[str, Chaos]]]:
    """Yields a cluster with a proxy in front of each node, through which the others reach it."""
    proxies: dict[str, Chaos] = {}
    with ExitStack() as stack:

        def advertise(name: str, address: str) -> str:
            if name not in proxies:
                proxies[name] = stack.enter_context(Chaos())
            return proxies[name].aim(address)

        yield stack.enter_context(Cluster(size, advertise=advertise, **settings)), proxies


def busiest(proxies: Mapping[str, Chaos], encoder: Encoder, names: Iterable[str]) -> str:
    """Returns the node among these that passes the audio on to another one, once there is one: nodes that start on a
    busy machine may first ask others. Fails if there is none.
    """
    deadline = time.monotonic() + LEADER_S
    while True:
        before = {name: proxies[name].passed("down") for name in names}
        encoder.wait_sent(1.0)
        passed = {name: proxies[name].passed("down") - before[name] for name in before}
        busy = max(passed, key=passed.__getitem__)
        if passed[busy] > BYTES_PER_S / 2:
            return busy
        assert time.monotonic() < deadline, f"no audio passes through these nodes: {passed}"


def assert_sockets_kept(reports: Iterable[Report]) -> None:
    """Checks that each listener still has its first connection, and received whole frames, none of them twice."""
    for report in reports:
        assert not report.disconnects and len(report.connections) == 1, report.connections
        assert not report.damage and not report.bad_blocks and not report.repeats, report


def assert_same_ending(reports: Iterable[Report]) -> None:
    """Checks that all received the same last frame before the one gap or switch, and the same first one after it."""
    endings = {
        tuple((jump.seq, jump.frames) for jump in report.gaps)
        + tuple((switch.before, switch.last, switch.after, switch.seq) for switch in report.switches)
        for report in reports
    }
    assert len(endings) == 1, f"nodes disagree on where it ended or went on: {endings}"
