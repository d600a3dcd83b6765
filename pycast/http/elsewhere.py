"""The addresses to which listeners are sent who are not served here.

Pure. The one invariant: an address is one line, whatever a client has sent.
"""

from urllib.parse import quote

_IN_PATH = "/:@!$&'()*+,;=~"
_IN_QUERY = _IN_PATH + "?%"

MOUNT = "${mount}"


def on_other_server(host: str, port: int, path: str, query: str, login: tuple[str, str] | None) -> str:
    """Returns the address of a mount on another server, as icecast-kh writes it: with the query, and with the login, as
    players send none to a server that has not asked for it.
    """
    name = f"[{host}]" if ":" in host else host
    user = f"{quote(login[0], safe='')}:{quote(login[1], safe='')}@" if login and all(login) else ""
    return f"http://{user}{name}:{port}{quote(path, safe=_IN_PATH)}{_query(query)}"


def by_pattern(pattern: str, path: str, query: str) -> str:
    """Returns an address in which the mount's name, without its slash, stands for `MOUNT`."""
    address = pattern.replace(MOUNT, quote(path.removeprefix("/"), safe=_IN_PATH))
    return address if "?" in address else address + _query(query)


def _query(query: str) -> str:
    return f"?{quote(query, safe=_IN_QUERY)}" if query else ""
