"""Reads the <authentication> of a mount of an icecast.xml: Icecast 2.4's and icecast-kh's options, and the roles of 2.5
as far as pycast has the same.

Pure: nodes in, values of [mount.authentication] out. What cannot be read raises ValueError, and the mount stays closed.
The one invariant: the result lets in nobody whom Icecast would keep out.
"""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pycast.config.icecast_values import is_yes, with_scheme
from pycast.config.import_notes import name_of
from pycast.config.mount_authentication import MountAuthentication
from pycast.config.xml_tree import XmlNode

Filled = Callable[[str], str]
"""Returns a text with the values of its ${VAR}. Raises ValueError."""

_OPTIONS = {
    **{name: name for name in ("filename", "allow_duplicate_users", "listener_add", "listener_remove", "stream_auth")},
    **{name: name for name in ("mount_add", "mount_remove", "username", "password", "auth_header", "timelimit_header")},
    **{name: name for name in ("headers", "header_prefix", "timeout")},
    # Icecast 2.5.
    "client_add": "listener_add",
    "client_remove": "listener_remove",
    "header_timelimit": "timelimit_header",
}
# icecast-kh's and 2.5's that change nothing here, with the reason.
_NOT_NEEDED = {
    "handlers": "pycast makes several calls at the same time",
    "on_error_wait": "pycast asks again after some seconds",
    "redirect_limit": "pycast follows no redirect of the server that it asks; it passes it on",
    "header_auth": "pycast understands x-icecast-auth-result besides auth_header",
    "header_alter_action": "pycast understands x-icecast-auth-alter-action",
    "header_alter_argument": "pycast understands x-icecast-auth-alter-argument",
    "header_message": "pycast understands x-icecast-auth-message and icecast-auth-message",
}
_ADDRESSES = ("listener_add", "listener_remove", "stream_auth", "mount_add", "mount_remove")
_TYPES = ("htpasswd", "url")
_OF_HTPASSWD = ("filename", "allow_duplicate_users")
# Attributes of a role that keep nobody out, or only sources, who have the mount's password here.
_HARMLESS = ("type", "name", "id", "match-method", "connections-per-user", "management-url")

Left = tuple[XmlNode, str]
"""A node that means nothing here, and why."""


def converted(authentication: XmlNode, filled: Filled = str) -> tuple[dict[str, Any], list[Left]]:
    """Returns the values of an <authentication>, and what of it is left out. Raises ValueError with the reason if it
    cannot be had here.
    """
    if roles := authentication.all("role"):
        node, values = _the_one_role(authentication, roles)
    else:
        node, values = authentication, {}
        if any(child.name not in ("type", "option") for child in node.children) or node.text.strip():
            raise ValueError("it has something that is not known")
    kind = node.attribute("type").strip()
    if kind not in _TYPES:
        raise ValueError(f"its type is {kind[:40]!r}")
    values["type"] = kind
    left: list[Left] = []
    for option in node.all("option"):
        _read_option(option, kind, values, left, filled)
    section = MountAuthentication(**values)
    if kind == "htpasswd" and not section.filename:
        raise ValueError("it has no filename")
    if kind == "url" and not any(map(section.url_of, _ADDRESSES)):
        raise ValueError("it has no URL")
    return values, left


def is_convertible(authentication: XmlNode) -> bool:
    """Whether pycast has the same, whatever the values of ${VAR} are."""
    try:
        converted(authentication)
    except ValueError as error:
        return "${" in str(error)
    return True


def authentication_of(mount: XmlNode, mounts: Sequence[XmlNode]) -> XmlNode | None:
    """Returns the <authentication> that holds for a mount: of its own section, another one of its name, a pattern that
    Icecast 2.4 finds before it, or a default section.
    """
    blocks = (block for block in (mount, *mounts) if applies(block, mount))
    found = [node for block in blocks for node in block.all("authentication") if node.children or node.text.strip()]
    return next((node for node in found if _asks_listeners(node)), found[0] if found else None)


def _asks_listeners(authentication: XmlNode) -> bool:
    try:
        return MountAuthentication(**converted(authentication)[0]).asks_listeners
    except ValueError:
        return True


def applies(section: XmlNode, mount: XmlNode) -> bool:
    """Whether Icecast would protect `mount` by what is in another section."""
    pattern, name = name_of(section), name_of(mount)
    if section is mount or (pattern == name and is_default(section) == is_default(mount)):
        return True
    if is_default(mount):
        return False
    return fnmatchcase(name, pattern) if pattern else is_default(section)


def is_default(mount: XmlNode) -> bool:
    """Whether a <mount> gives values to others. The element <type> is something else."""
    return mount.attribute("type") == "default"


def _read_option(option: XmlNode, kind: str, values: dict[str, Any], left: list[Left], filled: Filled) -> None:
    if {child.name for child in option.children} != {"name", "value"}:
        raise ValueError("an option needs a name and a value")
    name, text = option.peek("name"), option.peek("value")
    if name == "presume_innocent":
        values["on_failure"] = "allow" if is_yes(text) else "deny"
        return
    key = _OPTIONS.get(name)
    if key is None or (kind == "htpasswd" and key not in _OF_HTPASSWD):
        left.append((option, _NOT_NEEDED.get(name, "this option is not known")))
        return
    try:
        given: object = filled(text)
        if key == "headers":
            given = [part.strip() for part in str(given).split(",") if part.strip()]
        elif key in _ADDRESSES:
            given = with_scheme(str(given))
        values[key] = MountAuthentication.KEYS[key].read(given)
    except ValueError as error:
        raise ValueError(f"{name}: {error}{' ${' if '${' in text else ''}") from None


def _the_one_role(authentication: XmlNode, roles: Sequence[XmlNode]) -> tuple[XmlNode, dict[str, Any]]:
    """Returns the role that decides, if there is one of the kinds that are here too and all others deny."""
    if any(child.name != "role" for child in authentication.children):
        raise ValueError("it has something beside roles")
    deciding = [role for role in roles if not _denies_all(role)]
    if len(deciding) != 1 or roles[0] is not deciding[0]:
        raise ValueError("its roles are none that pycast has")
    role = deciding[0]
    for attribute in _attributes(role):
        if attribute.name not in _HARMLESS:
            raise ValueError(f"its role has {attribute.name[:40]}")
    methods = role.attribute("match-method").lower().replace(" ", "").split(",")
    if methods != [""] and "*" not in methods and "get" not in methods:
        raise ValueError("its role is not for listeners")
    # Icecast 2.5 has no limit by itself.
    return role, {"allow_duplicate_users": role.attribute("connections-per-user").strip() != "1"}


def _denies_all(role: XmlNode) -> bool:
    names = {one.name for one in _attributes(role)}
    denied = {role.attribute(name).strip() for name in ("deny-all", "deny-method")}
    is_all = role.attribute("deny-all").strip() == "*" or "*" in denied
    return (
        role.attribute("type").strip() == "anonymous"
        and is_all
        and names
        <= {
            *("type", "name", "id", "match-method", "deny-all", "deny-method", "deny-web", "deny-admin"),
        }
    )


def _attributes(role: XmlNode) -> Iterator[XmlNode]:
    return (child for child in role.children if child.is_attribute)
