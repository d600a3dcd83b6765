"""HAProxy in front of the nodes of `pycast cluster up`: the path of its program, and its configuration.

Does not start or stop it. Intervals are shorter than in conf/haproxy.cfg, so that a demonstration is quick.
"""

import os
import shutil
from collections.abc import Iterable

from pycast.app.local_node import HOST, LocalNode
from pycast.errors import ExternalError

CONFIG = """defaults
    timeout connect 2s
    timeout client 1h
    timeout server 1h
listen radio
    mode tcp
    bind {host}:{port}
    balance leastconn
    option redispatch
    retries 3
    option httpchk GET /readyz
{servers}
"""

SERVER = (
    "    server {name} {host}:{port} send-proxy-v2 check check-send-proxy inter 500ms fall 2 rise 1 "
    "agent-check agent-port {agent_port} agent-inter 1s weight 100"
)


def find_haproxy() -> str:
    """Returns the path of the program. Raises ExternalError if it is not installed."""
    # Debian has servers in /usr/sbin, which a user's PATH lacks.
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise ExternalError("haproxy is not installed: apt-get install haproxy, or leave out --haproxy")
    return program


def haproxy_config(port: int, nodes: Iterable[LocalNode]) -> str:
    """Returns the configuration of an HAProxy that listens on `port`."""
    servers = (SERVER.format(name=node.name, host=HOST, port=node.port, agent_port=node.agent_port) for node in nodes)
    return CONFIG.format(host=HOST, port=port, servers="\n".join(servers))
