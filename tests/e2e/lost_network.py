"""Run inside a new network namespace by test_lost_network.py: a server, a listener on this host, one on another.

The other host is a second namespace behind a veth pair whose link is taken down in mid-stream: no FIN, no reset, just
nothing, as when a set-top box loses its power. Prints one JSON object: the seconds until its slot was free, and
whether the listener on this host missed a byte.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable

from pycast.testing import Server
from tests.e2e.steady import SteadyStream

NEAR, FAR = "10.77.0.1", "10.77.0.2"
LIMIT_S = 40.0

PLAYER = f"""
import socket
sock = socket.create_connection(("{NEAR}", PORT), 5)
sock.sendall(b"GET /steady.mp3 HTTP/1.0\\r\\n\\r\\n")
while sock.recv(65536): pass
"""


def main() -> int:
    """Plays it through."""
    run("ip", "link", "set", "lo", "up")
    far = subprocess.Popen(["unshare", "--net", "sleep", "120"])
    try:
        connect_hosts(far.pid)
        with (
            Server(listen=[{"bind_address": "0.0.0.0", "port": 0}]) as server,
            SteadyStream(server.port, server.source_password) as stream,
        ):
            print(json.dumps({"seconds": lose_player(server, far.pid)}))
            stream.verify()
    finally:
        far.kill()
        far.wait()
    return 0


def connect_hosts(pid: int) -> None:
    """A veth pair from this namespace to that of process `pid`."""
    wait_until(lambda: subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "true"]).returncode == 0)
    run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(pid))
    run("ip", "address", "add", f"{NEAR}/24", "dev", "near")
    run("ip", "link", "set", "near", "up")
    for command in (("address", "add", f"{FAR}/24", "dev", "far"), ("link", "set", "far", "up")):
        run(*inside(pid), "ip", *command)


def lose_player(server: Server, pid: int) -> float:
    """Connects a player on the far host, takes its link down, and gives the seconds until its slot is free."""
    player = subprocess.Popen([*inside(pid), sys.executable, "-c", PLAYER.replace("PORT", str(server.port))])
    try:
        wait_until(lambda: server.listeners("/steady.mp3") == 2)
        run(*inside(pid), "ip", "link", "set", "far", "down")
        began = time.monotonic()
        wait_until(lambda: server.listeners("/steady.mp3") == 1)
        return time.monotonic() - began
    finally:
        player.kill()
        player.wait()


def inside(pid: int) -> list[str]:
    """What goes before a command that is to run in the network of process `pid`."""
    return ["nsenter", f"--net=/proc/{pid}/ns/net"]


def run(*command: str) -> None:
    """Runs it; a failure ends the script with its message."""
    subprocess.run(command, check=True)


def wait_until(holds: Callable[[], bool]) -> None:
    """Polls `holds` up to the limit."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
