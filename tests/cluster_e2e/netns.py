"""A network of a test's own: hosts in network namespaces, whose links are taken down and up again.

This is for failures that no process can fake: a host that vanishes without a FIN, a partition in which the kernel
retransmits. All hosts are connected to one bridge, which is in a namespace too: the machine's own network does not see
any of this, and no packet gets out. A thread enters a namespace, and the sockets and processes that it makes there are
of that host. Needs root (or CAP_SYS_ADMIN and CAP_NET_ADMIN). Invariant: `close` removes all that was made, and so does
the end of the process; if that was a SIGKILL, the next network does.
"""

import ctypes
import itertools
import os
import re
import shutil
import subprocess
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pycast.testing import Server

CLONE_NEWNET = 0x40000000
SUBNET = "10.77.0"
MOST_HOSTS = 40
_numbers = itertools.count()


class NoNamespaces(RuntimeError):
    """The error of a kernel, or missing privileges, that do not allow network namespaces."""


class Host:
    """One machine of the network, with one address. Other hosts reach it through the bridge."""

    def __init__(self, namespace: str, address: str, *, hub: str, port: str) -> None:
        self.namespace = namespace
        self.address = address
        self._hub = hub
        self._port = port

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Puts the calling thread on this host: sockets and processes that it makes belong to the host for ever."""
        with open("/proc/thread-self/ns/net") as requested_mount, open(f"/run/netns/{self.namespace}") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(requested_mount.fileno())

    def link_down(self) -> None:
        """Takes the link down at the far end: the host does not notice, packets are lost in both directions."""
        self._set_port("down")

    def link_up(self) -> None:
        """Takes the link up again; packets pass when this returns."""
        self._set_port("up")

    def _set_port(self, state: str) -> None:
        _ip("-n", self._hub, "link", "set", self._port, state)


class Network:
    """`with Network("a", "b", "clients") as net:`; `net["a"]` is a host."""

    def __init__(self, *names: str) -> None:
        if len(names) > MOST_HOSTS:
            raise ValueError(f"no more than {MOST_HOSTS} hosts")
        # Unlike those of other test processes, and of other networks of this one.
        self._stem = f"pycast-{os.getpid()}-{next(_numbers)}"
        self._hosts: dict[str, Host] = {}
        made: list[str] = []
        self._clean_up = weakref.finalize(self, _remove, made)
        for namespace in _forgotten():
            with suppress(NoNamespaces):  # another test process was faster
                _remove([namespace])
        try:
            self._make(names, made)
        except BaseException:
            self._clean_up()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._hosts)

    def close(self) -> None:
        """Removes the namespaces, and with them links and bridge. Processes on the hosts must have ended."""
        self._clean_up()

    def addresses(self, names: Sequence[str]) -> list[str]:
        """Returns the addresses of these hosts for `Cluster(hosts=…)`."""
        return [self[name].address for name in names]

    def server(self, name: str, settings: Mapping[str, Any]) -> Server:
        """Returns a server on the host `name`, not started yet, for `Cluster(build=net.server)`."""
        return HostServer(self[name], **settings)

    def _make(self, names: Sequence[str], made: list[str]) -> None:
        hub = self._add_namespace("hub", made)
        _ip("-n", hub, "link", "add", "bridge", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        _ip("-n", hub, "link", "set", "bridge", "up")
        for number, name in enumerate(names, 1):
            namespace = self._add_namespace(name, made)
            port, address = f"port{number}", f"{SUBNET}.{number}"
            _ip("-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("-n", hub, "link", "set", port, "master", "bridge", "up")
            _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", namespace, "link", "set", "eth0", "up")
            self._hosts[name] = Host(namespace, address, hub=hub, port=port)

    def _add_namespace(self, name: str, made: list[str]) -> str:
        namespace = f"{self._stem}-{name}"
        _ip("netns", "add", namespace)
        made.append(namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")
        return namespace


class HostServer(Server):
    """A server that runs on a host of the network. What is asked of it is asked on that host, so it works with the
    link down, too.
    """

    def __init__(self, host: Host, **settings: Any) -> None:
        super().__init__(**settings)
        self._on = host
        self.host = host.address

    def start(self) -> Self:
        with self._on.inside():
            return super().start()

    def restart(self) -> None:
        with self._on.inside():
            super().restart()

    def get(self, path: str, *, admin: bool = False, timeout: float = 10.0) -> tuple[int, bytes]:
        with self._on.inside():
            return super().get(path, admin=admin, timeout=timeout)


def _enter(handle: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET):
        raise NoNamespaces(f"cannot enter a network namespace: {os.strerror(ctypes.get_errno())}")


def _ip(*arguments: str) -> None:
    program = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert program, "the command `ip` is not installed: apt-get install iproute2"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise NoNamespaces(
            f"`ip {' '.join(arguments)}` says: {done.stderr.strip()}. These tests make network namespaces: they need "
            "root, and a kernel (or a container, with CAP_SYS_ADMIN and CAP_NET_ADMIN) that allows them."
        )


def _forgotten() -> list[str]:
    """Returns the namespaces of test processes that have ended."""
    found = (re.fullmatch(r"pycast-(\d+)-.*", path.name) for path in Path("/run/netns").glob("pycast-*"))
    return [match[0] for match in found if match and not Path(f"/proc/{match[1]}").exists()]


def _remove(made: list[str]) -> None:
    while made:
        _ip("netns", "del", made.pop())
