"""The half of `Server` that uses it: what it makes has the server's address and passwords."""

import subprocess
import sys

from pycast.testing import Server


def test_what_is_ordered_uses_the_servers_port_and_password() -> None:
    with Server(source_password="other") as server, server.stream("/live.mp3") as stream:
        assert server.address() == server.address(server.port) == (server.host, server.port, False)
        with server.listen("/live.mp3") as heard:
            heard.wait_for_frames(1)
        assert stream.is_connected


def test_another_port_can_be_named_and_takes_tls_if_the_server_does_there() -> None:
    with Server(listen=[{}, {}]) as server:
        second = int(server.ready["ports"][1]["port"])
        assert server.address(second) == (server.host, second, False)
        with server.stream("/live.mp3", port=second), server.listen("/live.mp3", port=second) as heard:
            heard.wait_for_frames(1)


def test_it_costs_nothing_before_it_is_ordered() -> None:
    script = "import sys, pycast.testing.orders\nprint(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pycast.testing.heard", "pycast.testing.numbered", "ssl"} & set(modules)
