"""Requests of a server's pages, by the test kit itself: for its waits, and for tests that only look.

The one invariant: a connection is for one request, and is closed after it.
"""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def get_page(
    host: str,
    port: int,
    path: str,
    *,
    login: tuple[str, str] | None = None,
    context: "ssl.SSLContext | None" = None,
    timeout: float = 10.0,
) -> tuple[int, bytes]:
    """Returns status and body of a GET, over TLS if there is a `context`. Raises OSError: also for no proper answer."""
    import http.client

    from pycast.testing.wire_heads import as_target

    connection = (
        http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        if context
        else http.client.HTTPConnection(host, port, timeout=timeout)
    )
    try:
        connection.request("GET", as_target(path), headers=_headers(login))
        reply = connection.getresponse()
        return reply.status, reply.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"no answer, or none that is HTTP: {error}") from error
    finally:
        connection.close()


def mounts_in(page: bytes) -> dict[str, tuple[int, bool]]:
    """Returns, for each mount of the page /admin/listmounts, how many listeners it has and whether it has a source."""
    from xml.etree import ElementTree

    return {
        source.get("mount", ""): (int(source.findtext("listeners") or 0), source.find("content-type") is not None)
        for source in ElementTree.fromstring(page).iter("source")
    }


def _headers(login: tuple[str, str] | None) -> Mapping[str, str]:
    if login is None:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"}
