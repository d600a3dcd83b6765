"""No password reaches a log, wherever a client puts it and whatever becomes of the request.

One node with the finest log level gets right and wrong passwords in every place that a client has for one. Then neither
log and no output may have any of them.
"""

import base64
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from pycast.logs.setup import LogFileHandler, setup_logging
from tests.conftest import WaitUntil

# Right ones, and one that is wrong because its user mistyped it. No one is a part of another.
RIGHT = {"source": "Sonne-471", "admin": "Mond-582", "relay": "Stern-693", "mount": "Wolke-704"}
WRONG = "Sonen-471"
SECRETS = (*RIGHT.values(), WRONG)

TOML = f"""
[[listen]]
bind_address = "127.0.0.1"
port = 0
shoutcast_mount = "/sc"
[authentication]
source_password = "{RIGHT["source"]}"
admin_password = "{RIGHT["admin"]}"
relay_password = "{RIGHT["relay"]}"
[[mount]]
mount_name = "/own"
password = "{RIGHT["mount"]}"
[limits]
header_timeout = 0.3
client_timeout = 0.3
"""


def login(user: str, secret: str) -> str:
    return base64.b64encode(f"{user}:{secret}".encode()).decode()


def attempts(secret: str) -> Iterator[bytes]:
    """Each place for a password that a client has, on the HTTP port."""
    own = login("source", secret)
    for target in (
        f"/admin.cgi?pass={secret}",
        f"/admin.cgi?pass={secret}&mode=updinfo&song=a",
        f"/admin.cgi?pass={secret}&mode=nonsense",
        f"/admin.cgi?mode=updinfo&pass=/own:{secret}",
        f"/admin.cgi?mode=updinfo&song=a;pass={secret}",
        f"/admin.cgi?p%61ss={secret}&mode=updinfo",
        f"/admin/metadata?password={secret}",
        f"/admin/stats?mount=/x&token={secret}",
        f"/none?{secret}",
        f"/none#{secret}?pass={secret}",
        f"http://user:{secret}@127.0.0.1/none",
        f"http://user:a/{secret}@127.0.0.1/none",
        f"http://user:{secret}@127.0.0.1/%zz",
        f"http://user:{secret}@127.0.0.1//",
        f"//user:{secret}@127.0.0.1/",
        f"ftp://user:{secret}@127.0.0.1/",
        secret,
    ):
        yield f"GET {target} HTTP/1.0\r\n\r\n".encode()
    yield f"GET /none HTTP/1.0\r\nReferer: http://user:{secret}@host/x?pass={secret}\r\n\r\n".encode()
    yield f"GET /none HTTP/1.0\r\nUser-Agent: bot (password={secret})\r\n\r\n".encode()
    for name in ("Authorization", "Proxy-Authorization", "Cookie", "X-Token"):
        yield f"GET /admin/stats HTTP/1.0\r\n{name}: Basic {own}\r\n\r\n".encode()
        yield f"SOURCE /x HTTP/1.0\r\n{name}: Basic {own}\r\n\r\n".encode()
        yield f"SOURCE /x HTTP/1.0\r\n{name}: {secret}\r\nContent-Length: x\r\n\r\n".encode()
    # A SHOUTcast source on the wrong port, also with a password of several words.
    yield f"{secret}\r\nicy-name: x\r\n\r\n".encode()
    yield f"my {secret} word\r\nicy-name: x\r\n\r\n".encode()
    yield f"one two {secret} four\r\nicy-name: x\r\n\r\n".encode()
    yield f"GET {secret} HTTP/9.9.9\r\n\r\n".encode()
    yield f"POST /admin/metadata HTTP/1.0\r\nContent-Length: {len(secret) + 5}\r\n\r\npass={secret}".encode()
    yield f"POST /admin.cgi HTTP/1.0\r\nContent-Length: 9999\r\n\r\npass={secret}".encode()


def handshakes(secret: str) -> Iterator[bytes]:
    """Each place for a password on the port of SHOUTcast sources."""
    for line in (secret, f"/own:{secret}", f"own:{secret}", f"/..:{secret}", f"GET {secret}"):
        yield f"{line}\r\nicy-name: x\r\n\r\n".encode()
        yield f"{line}\r\nno header\r\n\0\r\n\r\n".encode()
    yield secret.encode()


def send(port: int, data: bytes) -> None:
    """Sends `data` and waits until the server has closed."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        try:
            while sock.recv(65_536):
                pass
        except ConnectionResetError:
            return


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    level = root.level
    setup_logging(loads(f'[logging]\nlog_level = "debug"\nerror_log = "{tmp_path}/error.log"', {}, "test"))
    yield tmp_path
    for handler in [one for one in root.handlers if isinstance(one, LogFileHandler)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_no_password_reaches_a_log(logs: Path, wait_until: WaitUntil, capfd: pytest.CaptureFixture[str]) -> None:
    toml = TOML + f'[logging]\naccess_log = "{logs}/access.log"\nplaylist_log = "{logs}/playlist.log"\n'
    node = Node(loads(toml, {}, "test"), None, None, 1000)
    ready = node.start()
    count = 0
    for secret in SECRETS:
        for data in attempts(secret):
            send(ready.port, data)
            count += 1
        for data in handshakes(secret):
            send(ready.ports[1][0], data)
            count += 1
    wait_until(lambda: node.parts.context.admission.open == 0, "the end of all connections")
    node.stop()
    for handler in logging.getLogger().handlers:
        handler.flush()
    assert count > 200
    out, err = capfd.readouterr()
    texts = {path.name: path.read_text() for path in logs.iterdir()} | {"stdout": out, "stderr": err}
    assert len(texts["error.log"].splitlines()) > 100 and len(texts["access.log"].splitlines()) > 100
    encoded = [login("source", secret) for secret in SECRETS]
    left = [
        f"{name}: {line}"
        for name, text in texts.items()
        for line in text.splitlines()
        if any(secret in line for secret in (*SECRETS, *encoded))
    ]
    assert left == []
