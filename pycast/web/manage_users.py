"""`/admin/manageauth`: the users of a mount's password file, listed, added and deleted, as in Icecast 2.4.

The texts are Icecast's. It sends the hashes too; here they stay in the file. Icecast 2.5 names a role by its number
(`id=`) in place of the mount; the numbers that it gives those of a 2.4 file are understood too.
"""

from collections.abc import Iterator

from pycast.config.mount_settings import MountSection
from pycast.config.schema import Config
from pycast.errors import Refused
from pycast.stats.xml import user_list
from pycast.web.route import Call


def manage_users(call: Call) -> bytes:
    """Returns the answer to `/admin/manageauth?mount=/x[&action=list|add|delete&username=…&password=…]`. Raises
    Refused. May switch.
    """
    return _manage(call, call.text("mount"))


def manage_role(call: Call) -> bytes:
    """Returns the answer to `/admin/manageauth?id=…`, which is that for its mount. Raises Refused. May switch."""
    id = call.text("id")
    if not id:
        raise Refused("Unknown admin request", status=400, cause=f"{call.request.path} without mount")
    mount = next((name for number, name in enumerate(_roles(call.config)) if str(number) == id and name), "")
    if not mount:
        raise Refused("Role not found", status=404, cause=f"manageauth: there is no role {id}")
    return _manage(call, mount)


def _roles(config: Config) -> Iterator[str]:
    """Yields for each role, as Icecast 2.5 counts them, the mount whose users can be managed by it, or ""."""
    yield from ("", "", "")  # the admin's, other servers', everybody's
    for section in config.mount:
        yield from _roles_of(section)


def _roles_of(section: MountSection) -> Iterator[str]:
    rules = section.authentication
    if rules and rules.type == "htpasswd":
        yield section.mount_name or ""
        yield ""  # of listeners that are in no file
    elif rules and rules.type == "url":
        asked = (rules.listener_add or rules.listener_remove, rules.stream_auth, rules.listener_add, rules.stream_auth)
        yield from ("" for one in asked if one)
    if section.password:
        yield ""


def _manage(call: Call, mount: str) -> bytes:
    action = call.text("action") or "list"
    if not (call.control.knows(mount) or call.config.names_mount(mount)):
        raise Refused("Source does not exist", status=400, cause=f"no mount {mount}")
    rules = call.config.for_mount(mount).authentication
    if not rules.asks_listeners:
        raise Refused("missing parameter", status=400, cause=f"{mount} has no authentication")
    if rules.type != "htpasswd":
        if action != "list":  # Icecast 2.5's text
            verb = "Deleting users from" if action == "delete" else "Adding users to"
            raise Refused(f"{verb} role not supported by role", status=501, cause=f"{mount}: type = {rules.type}")
        return user_list(mount, ())
    users, message = call.site.guests.file(rules.filename), ""
    if action == "add":
        user, password = _given(call, "username"), _given(call, "password")
        message = users.add(user, password).value
    elif action == "delete":
        message = users.delete(_given(call, "username")).value
    return user_list(mount, users.users(), message)


def _given(call: Call, name: str) -> str:
    text = call.text(name)
    if not text:
        raise Refused("missing parameter", status=400, cause=f"manageauth without {name}")
    return text
