"""What in an icecast.xml keeps listeners or sources out by means that pycast does not have: such a mount, or the whole
server, is closed in the result.

Pure: nodes of the file in, reasons out. The one invariant: what is protected in the file by something that is not
known here by name counts as protected.
"""

from collections.abc import Callable, Iterator, Sequence

from pycast.config.icecast_authentication import applies, is_convertible
from pycast.config.icecast_roles import is_login
from pycast.config.import_notes import described
from pycast.config.xml_tree import XmlNode

_LISTENER_OPTIONS = ("listener_add", "client_add")
_SOURCE_OPTIONS = ("stream_auth",)

DENY_LISTS = ("deny-ip", "banfile", "ban-file", "deny-agents")
ALLOW_LISTS = ("allow-ip",)


class Lock:
    """One reason why a mount is closed: the line and what stands there."""

    def __init__(self, node: XmlNode) -> None:
        self.line = node.line
        self.text = described(node)


def checks_listeners(authentication: XmlNode) -> bool:
    """Whether an <authentication> of a mount or a socket decides who may listen. Icecast asks a URL only if it has
    one for that.
    """
    inside = {child.name for child in authentication.children}
    if authentication.attribute("type") == "url" and inside <= {"type", "option"}:
        return not _options(authentication).isdisjoint(_LISTENER_OPTIONS)
    return bool(inside) or bool(authentication.text.strip())


def checks_sources(authentication: XmlNode) -> bool:
    """Whether an <authentication> decides who may send, instead of a password."""
    return not _options(authentication).isdisjoint(_SOURCE_OPTIONS) or bool(authentication.all("role"))


def listener_lock(mount: XmlNode) -> Lock | None:
    """Returns what keeps listeners out of a mount by means that pycast does not have, None if nothing does."""
    for child in mount.children:
        if child.name == "authentication" and checks_listeners(child) and not is_convertible(child):
            return Lock(child)
    return None


def server_locks(root: XmlNode, is_known: Callable[[XmlNode], bool]) -> Iterator[XmlNode]:
    """Yields what keeps listeners out of all mounts: an included file, whose settings are not known, a list of
    addresses or players unless its file `is_known`, and roles that are not only logins.
    """
    for block in root.children:
        if block.name == "include":
            yield block
        if block.name == "paths":
            lists = (child for child in block.children if child.name in (*DENY_LISTS, *ALLOW_LISTS))
            yield from (child for child in lists if not is_known(child))
        if block.name == "authentication":
            yield from (role for role in block.all("role") if not is_login(role))


class MountLocks:
    """The locks of all mounts of a file, in its order."""

    def __init__(self, mounts: Sequence[XmlNode]) -> None:
        self._locked = [(mount, lock) for mount in mounts if (lock := listener_lock(mount))]

    def of(self, mount: XmlNode) -> Lock | None:
        """Returns what locks a mount: its own section, another one of its name, a pattern that Icecast 2.4 finds
        before it, or a default section, whose authentication holds for all mounts in Icecast 2.5.
        """
        return next((lock for locked, lock in self._locked if applies(locked, mount)), None)


def _options(authentication: XmlNode) -> set[str]:
    return {option.peek("name") for option in authentication.all("option") if option.peek("value")}
