"""`pycast cluster up`: a cluster on this machine, with a stream on it, and something to kill.

Starts nothing that is left behind. What it prints once says where to listen and what to kill; then it shows the nodes
as they see each other, until Ctrl-C.
"""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, suppress

import click
import gevent
from gevent import socket
from gevent.event import Event

from pycast.app.local_cluster import LocalCluster
from pycast.app.local_encoder import play
from pycast.app.local_node import HOST, LocalNode
from pycast.cli.nodes_view import NodeRow, read_nodes, render_nodes
from pycast.cli.server_client import ServerClient
from pycast.cli.status_view import cut
from pycast.errors import ExternalError
from pycast.net.group import Group

LOOK_S = 1.0
_TIMEOUT_S = 1.0
_WIDTH = 100


@click.group(short_help="A cluster on this machine, to try things out.")
def command() -> None:
    """A cluster on this machine, to try things out."""


@command.command(short_help="Start one, with a stream on it.")
@click.option("-n", "size", type=click.IntRange(1, 9), default=3, show_default=True, help="How many nodes.")
@click.option("--port", type=click.IntRange(1024, 65000), default=8000, show_default=True, help="Where to listen.")
@click.option("--haproxy", is_flag=True, help="Put HAProxy before the nodes, on that port.")
@click.option("--mount", default="/demo.mp3", show_default=True, help="The stream's mount.")
@click.option("--restart", is_flag=True, help="Start a node again that has been killed, after some seconds.")
def up(size: int, port: int, haproxy: bool, mount: str, restart: bool) -> None:
    """Start a cluster of nodes on this machine with the demo's stream on it, and show how it survives what you kill.

    Everything is gone again after Ctrl-C.
    """
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, stop.set)
    click.echo(f"Starting {size} nodes{' and HAProxy' * haproxy} …", err=True)
    cluster, group = LocalCluster(size, port, mount, is_balanced=haproxy), Group()
    try:
        cluster.start()
        group.spawn("encoder", play, cluster.ports, cluster.mount, cluster.password)
        _wait_for_source(cluster)
        click.echo("\n".join(_banner(cluster)))
        if _is_asked():
            group.spawn("keys", _start_again_on_enter, cluster)
        _watch(cluster, stop, restarts=restart)
    finally:
        group.kill()
        cluster.stop()
    click.echo("Everything is stopped.", err=True)


def _wait_for_source(cluster: LocalCluster) -> None:
    with gevent.Timeout(10.0, ExternalError("the encoder was not taken within 10 s")):
        while not any(node.sources for node in _nodes(cluster)):
            gevent.sleep(0.1)


def _banner(cluster: LocalCluster) -> Iterator[str]:
    yield ""
    yield f"{click.style(f'{len(cluster.nodes)} nodes are one server.', bold=True)} Listen on any of these:"
    yield ""
    for port in cluster.ports:
        note = "   (HAProxy, before all nodes)" if port == cluster.front else ""
        yield f"  mpv http://{HOST}:{port}{cluster.mount}{note}"
    yield ""
    yield "Each node has a page, and all of them say the same:"
    for node in cluster.nodes:
        yield f"  node {node.name}   http://{HOST}:{node.port}/   pid {node.pid}"
    owner = _owner(cluster, _nodes(cluster)) or cluster.nodes[0]
    yield ""
    yield f"The source is on node {owner.name}. Kill that, and hear whether you notice:"
    yield f"  {click.style(f'kill -9 {owner.pid}', bold=True)}      it is gone"
    yield f"  kill -STOP {owner.pid}   it hangs, until kill -CONT {owner.pid}"
    yield ""
    yield f"Admin and source have the password {click.style(cluster.password, bold=True)}, for example for"
    yield f"  http://{HOST}:{cluster.ports[0]}/admin/nodes"
    yield "Ctrl-C stops everything."
    yield ""


def _watch(cluster: LocalCluster, stop: Event, *, restarts: bool) -> None:
    """Shows the nodes: in a terminal always at the same place, else a line for each change."""
    shown: list[str] = []
    gone: dict[str, int] = {}
    while not stop.wait(LOOK_S):
        for node in cluster.nodes if restarts else ():
            gone[node.name] = 0 if node.is_running else gone.get(node.name, 0) + 1
            if gone[node.name] > 5:
                node.start()
        nodes = _nodes(cluster)
        shown = _redraw(cluster, nodes, shown) if sys.stdout.isatty() else _tell(cluster, nodes, shown)


def _redraw(cluster: LocalCluster, nodes: tuple[NodeRow, ...], shown: list[str]) -> list[str]:
    """Puts the table in the place of what is shown, and returns it."""
    width = shutil.get_terminal_size((_WIDTH, 24)).columns
    lines = [*render_nodes(nodes, width), "", *(cut(hint, width) for hint in _hints(cluster, nodes))]
    # Up to the old table's first line, over it, and the rest of the screen cleared: no flicker.
    up = f"\x1b[{len(shown)}A" if shown else ""
    click.echo(up + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J", nl=False)
    return lines


def _tell(cluster: LocalCluster, nodes: tuple[NodeRow, ...], told: list[str]) -> list[str]:
    """Prints how the nodes are, if that is news, and returns it."""
    lines = ["  ".join(_state(node) for node in nodes), *_hints(cluster, nodes)]
    if lines != told:
        click.echo("\n".join(lines))
        sys.stdout.flush()
    return lines


def _start_again_on_enter(cluster: LocalCluster) -> None:
    """Starts the nodes that are dead whenever Enter is pressed. May switch."""
    while True:
        socket.wait_read(sys.stdin.fileno())
        if not os.read(sys.stdin.fileno(), 1024):
            return
        click.echo("\x1b[A", nl=False)  # over the line that Enter ended
        for node in cluster.nodes:
            if not node.is_running:
                node.start()


def _state(node: NodeRow) -> str:
    has_source = bool(node.sources) and node.condition == "up"
    return f"{node.name} {node.condition}{' (source)' * has_source}"


def _hints(cluster: LocalCluster, nodes: tuple[NodeRow, ...]) -> Iterator[str]:
    owner = _owner(cluster, nodes)
    if owner is not None:
        yield f"  The source is on node {owner.name}: kill -9 {owner.pid}"
    if _is_asked() and not all(node.is_running for node in cluster.nodes):
        yield "  Enter starts the dead again."


def _nodes(cluster: LocalCluster) -> tuple[NodeRow, ...]:
    """As the first node sees them that answers."""
    for node in cluster.nodes:
        if node.is_running:
            with suppress(ExternalError):
                return _ask(cluster, node)
    return ()


def _ask(cluster: LocalCluster, node: LocalNode) -> tuple[NodeRow, ...]:
    url = f"http://{HOST}:{node.port}"
    with closing(ServerClient(url, "admin", cluster.password, insecure=False, timeout_s=_TIMEOUT_S)) as client:
        return read_nodes(client.get("/admin/cluster"))


def _owner(cluster: LocalCluster, nodes: tuple[NodeRow, ...]) -> LocalNode | None:
    """The node that has the source, if it runs."""
    names = {node.name for node in nodes if cluster.mount in node.sources and node.condition == "up"}
    return next((node for node in cluster.nodes if node.name in names and node.is_running), None)


def _is_asked() -> bool:
    """Whether somebody sits there who can press a key."""
    return sys.stdin.isatty() and sys.stdout.isatty()
