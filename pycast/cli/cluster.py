"""`pycast cluster up`: a cluster on this machine that plays a stream, to see what happens when a node is killed.

Prints once where to listen and what to kill, then shows the nodes as they see each other, until Ctrl-C. Leaves nothing
behind.
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
from pycast.http.mount_names import why_no_mount
from pycast.net.group import Group

LOOK_S = 1.0
_TIMEOUT_S = 1.0
_WIDTH = 100


@click.group(short_help="Try a cluster on this machine.")
def command() -> None:
    """Try a cluster on this machine."""


@command.command(short_help="Start a cluster that plays a stream.")
@click.option("-n", "size", type=click.IntRange(1, 9), default=3, show_default=True, help="The number of nodes.")
@click.option("--port", type=click.IntRange(1024, 65000), default=8000, show_default=True, help="The first port.")
@click.option("--haproxy", is_flag=True, help="Put HAProxy in front of the nodes, on that port.")
@click.option("--mount", default="/demo.mp3", show_default=True, help="The stream's mount.")
@click.option("--restart", is_flag=True, help="Restart a killed node after some seconds.")
def up(size: int, port: int, haproxy: bool, mount: str, restart: bool) -> None:
    """Start a cluster on this machine that plays the demo's stream, and show its nodes while you kill some of them.

    Ctrl-C stops everything and removes all files.
    """
    if why := why_no_mount(mount):
        raise click.BadParameter(f"this name cannot be a mount: {why}", param_hint="--mount")
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
        if _is_interactive():
            group.spawn("keys", _start_again_on_enter, cluster)
        _watch(cluster, stop, restarts=restart)
    finally:
        group.kill()
        cluster.stop()
    click.echo("Everything has stopped.", err=True)


def _wait_for_source(cluster: LocalCluster) -> None:
    with gevent.Timeout(10.0, ExternalError("no node accepted the encoder within 10 s")):
        while not any(node.sources for node in _nodes(cluster)):
            gevent.sleep(0.1)


def _banner(cluster: LocalCluster) -> Iterator[str]:
    yield ""
    yield f"{click.style(f'{len(cluster.nodes)} nodes are one server.', bold=True)} Listen on any of these:"
    yield ""
    for port in cluster.ports:
        note = "   (HAProxy, in front of all nodes)" if port == cluster.front else ""
        yield f"  mpv http://{HOST}:{port}{cluster.mount}{note}"
    yield ""
    yield "Each node has a status page, and all pages show the same:"
    for node in cluster.nodes:
        yield f"  node {node.name}   http://{HOST}:{node.port}/   pid {node.pid}"
    owner = _owner(cluster, _nodes(cluster)) or cluster.nodes[0]
    yield ""
    yield f"The source is on node {owner.name}. Kill it, and listen whether you notice:"
    yield f"  {click.style(f'kill -9 {owner.pid}', bold=True)}      it crashes"
    yield f"  kill -STOP {owner.pid}   it hangs until kill -CONT {owner.pid}"
    yield ""
    yield f"The admin and source password is {click.style(cluster.password, bold=True)}, for example for"
    yield f"  http://{HOST}:{cluster.ports[0]}/admin/nodes"
    yield "Ctrl-C stops everything."
    yield ""


def _watch(cluster: LocalCluster, stop: Event, *, restarts: bool) -> None:
    """Shows the nodes: in a terminal as a table that is redrawn, else as a line for each change."""
    shown: list[str] = []
    gone: dict[str, int] = {}
    while not stop.wait(LOOK_S):
        for node in cluster.nodes if restarts else ():
            gone[node.name] = 0 if node.is_running else gone.get(node.name, 0) + 1
            if gone[node.name] > 5:
                node.start()
        nodes = _nodes(cluster)
        shown = _redraw(cluster, nodes, shown) if sys.stdout.isatty() else _print_change(cluster, nodes, shown)


def _redraw(cluster: LocalCluster, nodes: tuple[NodeRow, ...], shown: list[str]) -> list[str]:
    """Draws the table over the lines in `shown`; returns its lines."""
    width = shutil.get_terminal_size((_WIDTH, 24)).columns
    lines = [*render_nodes(nodes, width), "", *(cut(hint, width) for hint in _hints(cluster, nodes))]
    # Moves up and writes over the old table, then clears the rest of the screen: this does not flicker.
    up = f"\x1b[{len(shown)}A" if shown else ""
    click.echo(up + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J", nl=False)
    return lines


def _print_change(cluster: LocalCluster, nodes: tuple[NodeRow, ...], shown: list[str]) -> list[str]:
    """Prints the state of the nodes if it differs from `shown`; returns its lines."""
    lines = ["  ".join(_state(node) for node in nodes), *_hints(cluster, nodes)]
    if lines != shown:
        click.echo("\n".join(lines))
        sys.stdout.flush()
    return lines


def _start_again_on_enter(cluster: LocalCluster) -> None:
    """Starts the dead nodes whenever Enter is pressed. May switch."""
    while True:
        socket.wait_read(sys.stdin.fileno())
        if not os.read(sys.stdin.fileno(), 1024):
            return
        click.echo("\x1b[A", nl=False)  # back to the line that Enter ended
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
    if _is_interactive() and not all(node.is_running for node in cluster.nodes):
        yield "  Enter restarts the dead nodes."


def _nodes(cluster: LocalCluster) -> tuple[NodeRow, ...]:
    """Returns the nodes as the first one that answers sees them."""
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
    """Returns the node that has the source, if it is running."""
    names = {node.name for node in nodes if cluster.mount in node.sources and node.condition == "up"}
    return next((node for node in cluster.nodes if node.name in names and node.is_running), None)


def _is_interactive() -> bool:
    """Whether both ends are a terminal, where a user can press a key."""
    return sys.stdin.isatty() and sys.stdout.isatty()
