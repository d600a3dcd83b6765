"""The line of JSON that a server writes when it accepts connections (`--ready-file`)."""

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from pycast.config.schema import Config
from pycast.config.serving import first_serving
from pycast.disk.calls import off_hub
from pycast.disk.whole_file import replace_file

WHO = ("source", "admin", "relay")


class ReadyInfo(NamedTuple):
    """The ports of a running node as they are bound, in the order of the configuration."""

    port: int
    ports: tuple[tuple[int, bool, bool], ...]
    """(port, uses TLS, is for SHOUTcast sources)"""

    @property
    def listening(self) -> tuple[int, ...]:
        """The ports of the [[listen]] sections, without those that only SHOUTcast sources use."""
        return tuple(port for port, _, is_shoutcast in self.ports if not is_shoutcast)


def write_ready(path: str, config: Config, ready: ReadyInfo, made_up: Collection[str] = ()) -> None:
    """Writes the line to stdout ("-") or a file, of which a reader never gets half a line. It has the passwords that
    were made up at this start, by the keys of [authentication] in `made_up`; who set the others knows them. Raises
    OSError, DiskStalled. May switch.
    """
    line = f"{_line(config, ready, made_up)}\n".encode()
    if path == "-":
        off_hub(os.write, 1, line)
    else:
        off_hub(replace_file, Path(path), line)


def _line(config: Config, ready: ReadyInfo, made_up: Collection[str]) -> str:
    login = config.authentication
    listeners, admin = _url(config, ready, "listeners"), _url(config, ready, "admin")
    return json.dumps(
        {
            "pid": os.getpid(),
            "port": ready.port,
            "ports": [{"port": port, "tls": tls, "shoutcast": shoutcast} for port, tls, shoutcast in ready.ports],
            **{f"{who}_user": getattr(login, f"{who}_user") for who in WHO},
            **{key: getattr(login, key) if key in made_up else None for key in (f"{who}_password" for who in WHO)},
            "urls": {
                "status": f"{listeners}/",
                "status_json": f"{listeners}/status-json.xsl",
                "admin": f"{admin}/admin/",
            },
        }
    )


def _url(config: Config, ready: ReadyInfo, kind: str) -> str:
    """Returns `http://host:port` of a port that serves `kind`, as a program on this machine can open it."""
    index = first_serving(config, kind)
    listen = config.listen[index]
    host = "127.0.0.1" if listen.bind_address in ("0.0.0.0", "::") else listen.bind_address
    scheme = "https" if listen.is_tls_only else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{ready.listening[index]}"
