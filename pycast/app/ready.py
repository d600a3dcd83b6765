"""The line of JSON that a server writes when it accepts connections (`--ready-file`)."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from pycast.config.schema import Config


class ReadyInfo(NamedTuple):
    """The ports of a running node as they are bound, in the order of the configuration."""

    port: int
    ports: tuple[tuple[int, bool, bool], ...]
    """(port, uses TLS, is for SHOUTcast sources)"""


def write_ready(path: str, config: Config, ready: ReadyInfo) -> None:
    """Writes the line to stdout ("-") or a file.

    The file is written under another name and then renamed, so that a reader never gets half a line.
    """
    line = _line(config, ready)
    if path == "-":
        os.write(1, f"{line}\n".encode())
        return
    unfinished = Path(f"{path}.{os.getpid()}")
    unfinished.touch(mode=0o600)  # it holds the passwords
    unfinished.write_text(f"{line}\n")
    unfinished.replace(path)


def _line(config: Config, ready: ReadyInfo) -> str:
    login, listen = config.authentication, config.listen[0]
    host = "127.0.0.1" if listen.bind_address in ("0.0.0.0", "::") else listen.bind_address
    url = f"{'https' if listen.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{ready.port}"
    return json.dumps(
        {
            "pid": os.getpid(),
            "port": ready.port,
            "ports": [{"port": port, "tls": tls, "shoutcast": shoutcast} for port, tls, shoutcast in ready.ports],
            "source_user": login.source_user,
            "source_password": login.source_password,
            "admin_user": login.admin_user,
            "admin_password": login.admin_password,
            "relay_user": login.relay_user,
            "relay_password": login.relay_password,
            "urls": {"status": f"{url}/", "status_json": f"{url}/status-json.xsl", "admin": f"{url}/admin/"},
        }
    )
