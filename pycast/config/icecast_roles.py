"""Reads the roles of Icecast 2.5 that are logins for the whole server: of an admin, of other servers, of sources.

Such a role (`type="static"`, with a user and a password) holds for who gives that user; all others go on to the next
role, and in the end to one for everybody. So it keeps no listener out, as other roles may (icecast_protection.py).

Pure: nodes in, values and notes out. The one invariant: a login can do here at most what it can do there, and is in no
note.
"""

import re

from pycast.config.icecast_settings import SettingReader
from pycast.config.toml_table import TomlTable
from pycast.config.xml_tree import XmlNode
from pycast.patterns import pattern

# Attributes that do not say for what a role holds. One with others, such as match-origin, holds for some only.
_KNOWN = {
    *("type", "name", "id", "management-url", "connections-per-user"),
    *(f"{verb}-{what}" for verb in ("allow", "deny") for what in ("all", "admin", "method", "web")),
}
_HASH = pattern(r"\$.*|[0-9a-fA-F]{32}", re.DOTALL)


def is_login(role: XmlNode) -> bool:
    """Whether a role holds only for who gives its user and password."""
    given = {option.peek("name") for option in role.all("option") if option.peek("value")}
    return role.attribute("type").strip() == "static" and {"username", "password"} <= given


def read_logins(settings: SettingReader, table: TomlTable, block: XmlNode) -> None:
    """Reads the logins in an <authentication> into the table of [authentication]."""
    for role in filter(is_login, block.all("role")):
        role.done()
        options = {option.peek("name"): option.peek("value") for option in role.all("option")}
        who = _who(role)
        try:
            user, password = settings.filled(options["username"]), settings.filled(options["password"])
        except ValueError as error:
            settings.leave_out(role, str(error))
            continue
        if not who:
            settings.leave_out(role, "its login is none of an admin, of other servers, or of sources alone")
        elif _HASH.fullmatch(password):
            settings.leave_out(role, "its password is kept as a hash, and pycast needs the password")
        elif f"{who}_password" in table.values:
            settings.leave_out(role, f"there is one login of this kind, and the file has another {who}_password")
        else:
            table.set(f"{who}_user", user, line=role.line)
            table.set(f"{who}_password", password, line=role.line)


def _who(role: XmlNode) -> str:
    """Returns whose login it is: "admin", "relay", "source"; empty if it is none of them, or of some only."""
    if not {child.name for child in role.children if child.is_attribute} <= _KNOWN:
        return ""
    allowed = {what: _words(role, f"allow-{what}") for what in ("all", "admin", "method")}
    denied = {what: _words(role, f"deny-{what}") - {"*"} for what in ("all", "admin", "method")}
    if any(denied.values()):  # something in particular
        return ""
    # Beside `allow-all`, what is denied as a whole stays denied where nothing of its kind is allowed again.
    if allowed["all"] and any(_words(role, f"deny-{what}") and not allowed[what] for what in ("admin", "method")):
        return ""
    if "*" in allowed["all"] | allowed["admin"]:
        # A source's login of Icecast's own may use the commands of its mounts, and no page.
        return "source" if "*" in _words(role, "deny-web") and "source" in allowed["method"] else "admin"
    if "streamlist.txt" in allowed["admin"]:
        return "relay"
    return "source" if "source" in allowed["method"] else ""


def _words(role: XmlNode, name: str) -> set[str]:
    return {word.strip().lower() for word in role.attribute(name).split(",") if word.strip()}
