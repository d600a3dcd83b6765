"""A real dnsmasq on loopback with the settings of conf/dns/dnsmasq.conf, and a client that asks it."""

import os
import pwd
import re
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.message
import dns.query
import dns.rdatatype

from tests.conf.examples import CONF
from tests.e2e.programs import Program

NAME = "radio.example.org"
DNS_S = 5.0


class NameServer:
    """dnsmasq with the example's settings; only where it listens and where its list of nodes is are the test's own."""

    def __init__(self, folder: Path, addresses: Sequence[str]) -> None:
        self._hosts, self._pid_file = folder / "nodes.hosts", folder / "dnsmasq.pid"
        # An address of this process alone: between 127.0.0.1's other users no port stays free for long.
        self.address = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
        self.port = _free_port(self.address)
        settings = folder / "dnsmasq.conf"
        example = (CONF / "dns" / "dnsmasq.conf").read_text()
        settings.write_text(example.replace("/etc/pycast/nodes.hosts", str(self._hosts)))
        self._write(addresses)
        self._program = Program(
            [
                "dnsmasq", "--keep-in-foreground", "--log-facility=-", f"--conf-file={settings}", "--no-resolv",
                f"--listen-address={self.address}", "--bind-interfaces", f"--port={self.port}",
                f"--pid-file={self._pid_file}", f"--user={pwd.getpwuid(os.getuid()).pw_name}",
            ]
        )  # fmt: skip
        self._reads = 1

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._program)
            self._wait_until_read()
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.__exit__(kind, error, trace)

    def set_nodes(self, addresses: Sequence[str]) -> None:
        """As an operator's script does it: writes the list anew and sends SIGHUP. Back when dnsmasq has read it."""
        self._write(addresses)
        self._reads += 1
        os.kill(int(self._pid_file.read_text()), signal.SIGHUP)
        self._wait_until_read()

    def ask(self, name: str = NAME) -> tuple[list[str], int]:
        """The addresses, in the answer's order, and how many seconds they may be kept."""
        answer = dns.query.udp(dns.message.make_query(name, "A"), self.address, port=self.port, timeout=DNS_S)
        records = [one for one in answer.answer if one.rdtype == dns.rdatatype.A]
        return [address.to_text() for one in records for address in one], min((one.ttl for one in records), default=0)

    def _write(self, addresses: Sequence[str]) -> None:
        self._hosts.write_text("".join(f"{address} {NAME}\n" for address in addresses))

    def _wait_until_read(self) -> None:
        self._program.wait_for_output(rf"(?s)(?:read {re.escape(str(self._hosts))} - .*?){{{self._reads}}}")


def _free_port(address: str) -> int:
    """One for TCP, which dnsmasq listens on too; nobody has the same number of UDP at this address."""
    with socket.create_server((address, 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
