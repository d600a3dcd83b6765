"""A node that cannot be reached is named with what to change; the servers are real."""

from collections.abc import Iterator

import pytest

from pycast.cluster.link.dial_errors import why, why_refused
from pycast.cluster.link.link import DialFailed
from pycast.testing import Server
from tests.cluster.hosts import Host
from tests.net.test_certificate_files import make


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """Two ports of a server: the first without TLS, the second with it."""
    certificate, key = make(tmp_path_factory.mktemp("tls"), "radio.example")
    with Server(listen=[{}, {"tls": True}], tls={"certificate": certificate, "private_key": key}) as server:
        yield [int(one["port"]) for one in server.ready["ports"]]


@pytest.fixture
def caller() -> Iterator[Host]:
    made = Host()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("has_tls", "port", "said"),
    [
        (True, 0, "does not use TLS, and cluster.tls is true here: set cluster.tls = true on that node too"),
        (False, 1, "takes TLS only, and cluster.tls is false here: set cluster.tls = true on all nodes"),
        (True, 1, r"cannot be trusted \(self-signed certificate\): cluster.tls_ca must name the authority"),
    ],
)
def test_tls_at_one_end_only_is_said_with_the_node_and_the_setting(
    has_tls: bool, port: int, said: str, ports: list[int], caller: Host
) -> None:
    caller.configure(tls=has_tls)
    with pytest.raises(DialFailed, match=f"^cannot reach the node at 127.0.0.1:{ports[port]}: .*{said}") as caught:
        caller.connector.dial(f"127.0.0.1:{ports[port]}")
    assert "_ssl.c" not in str(caught.value)


def test_other_errors_keep_their_words() -> None:
    assert why(ConnectionRefusedError("refused")) == "refused"
    assert why_refused(404, b"TLS") == "it answered 404: is it a node of this cluster?"
    assert "cluster.secret" in why_refused(403, b"")
    assert "see its log" in why_refused(503, b"")
