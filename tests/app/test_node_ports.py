"""Tests of pycast.app.node_ports: all ports of a node are opened, or none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pycast.app.node_ports import NodePorts, open_ports
from pycast.app.passed_sockets import PassedSockets
from pycast.errors import ConfigError
from pycast.net.sockets import bind
from pycast.testing.ports import Ports
from tests.e2e.test_tls import make_certificate
from tests.server.contexts import Bench, make_bench

LOCAL = '[[listen]]\nbind_address = "127.0.0.1"\nport = {}\n'


class Opener:
    """Opens ports for a test, and closes them after it."""

    def __init__(self) -> None:
        self._benches: list[Bench] = []
        self._opened: list[NodePorts] = []

    def open(self, toml: str) -> NodePorts:
        bench = make_bench(toml, limits="")
        self._benches.append(bench)
        self._opened.append(open_ports(bench.context, PassedSockets(), None))
        return self._opened[-1]

    def close(self) -> None:
        for ports in self._opened:
            for acceptor in ports.acceptors:
                acceptor.close()
        for bench in self._benches:
            bench.close()


@pytest.fixture
def opener() -> Iterator[Opener]:
    made = Opener()
    yield made
    made.close()


@pytest.mark.parametrize(("mode", "takes_plain"), [("true", False), ('"auto"', True), ('"auto_no_plain"', False)])
def test_port_takes_tls_as_its_section_says(mode: str, takes_plain: bool, tmp_path: Path, opener: Opener) -> None:
    make_certificate(tmp_path, "localhost")
    tls = f'[tls]\ncertificate = "{tmp_path}/tls.crt"\nprivate_key = "{tmp_path}/tls.key"\n'
    first, second = opener.open(f"{LOCAL.format(0)}tls = {mode}\n{LOCAL.format(0)}{tls}").public
    assert first.endpoint.tls is not None
    assert first.endpoint.tls.takes_plain is takes_plain
    assert first.endpoint.is_tls_only is not takes_plain
    assert second.endpoint.tls is None


def test_certificate_that_cannot_be_used_is_an_error_only_where_plain_is_not_taken(
    opener: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    tls = '[tls]\ncertificate = "/none.crt"\n'
    opener.open(f'{LOCAL.format(0)}tls = "auto"\n{tls}')
    assert "no TLS, as its certificate cannot be used" in caplog.text
    with pytest.raises(ConfigError, match=r"/none\.crt"):
        opener.open(f'{LOCAL.format(0)}tls = "auto"\n{LOCAL.format(0)}tls = true\n{tls}')


def test_if_one_cannot_be_opened_none_is_left_open(opener: Opener) -> None:
    taken = bind("127.0.0.1", 0)
    with Ports() as free:
        port = free.take()
        with pytest.raises(ConfigError, match="in use"):
            opener.open(LOCAL.format(port) + LOCAL.format(taken.getsockname()[1]))
        bind("127.0.0.1", port).close()
    taken.close()
