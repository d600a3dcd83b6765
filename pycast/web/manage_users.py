"""`/admin/manageauth`: the users of a mount's password file, listed, added and deleted, as in Icecast 2.4.

The texts are Icecast's. It sends the hashes too; here they stay in the file.
"""

from pycast.errors import Refused
from pycast.stats.xml import user_list
from pycast.web.route import Call


def manage_users(call: Call) -> bytes:
    """Returns the answer to `/admin/manageauth?mount=/x[&action=list|add|delete&username=…&password=…]`. Raises
    Refused. May switch.
    """
    mount, action = call.text("mount"), call.text("action") or "list"
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
