"""Passwords that everybody knows: those of manuals, examples and default configurations, and the first guesses.

A guess costs nothing, so such a password protects nothing, however seldom somebody tries. Case, blanks, punctuation and
digits at the end are ignored: "Change me 3!" is as well known as "changeme". What follows from a well-known password is
decided by those who ask.

Invariant: a random password of 16 letters and digits is never taken for a well-known one.
"""

from collections.abc import Iterator

from pycast.config.problems import dotted
from pycast.config.schema import Config
from pycast.config.secret_files import secrets_in

WELL_KNOWN = frozenset(
    {
        # Icecast's, SHOUTcast's and our own examples.
        *("hackme", "changeme", "changemenow", "changeit", "changethis", "replaceme", "setme", "yourpassword"),
        *("icecast", "shoutcast", "pycast", "libretime", "azuracast", "sourcepassword", "adminpassword", "mypassword"),
        # The first guesses.
        *("admin", "administrator", "root", "source", "relay", "dj", "radio", "stream", "test", "guest", "user"),
        *("password", "passwd", "passw0rd", "pass", "secret", "default", "example", "none", "null", "xxx"),
        *("letmein", "welcome", "qwerty", "qwertz", "azerty", "iloveyou", "monkey", "dragon", "abc", "asdf", "asdfgh"),
        *("1234567890", "123456789", "12345678", "1234567", "123456", "12345", "1234", "123", "000000", "111111"),
        *("0000", "1111", "654321", "123123"),
    }
)


SHORTEST = 8
"""Fewer characters can be tried one after the other."""


def is_well_known(password: str, user: str = "") -> bool:
    """Whether everybody can guess the password: it is empty, in the list, or the name of its user."""
    bare = _bare(password)
    known = {bare, bare.rstrip("0123456789")} - {""}
    return not password.strip() or not known.isdisjoint(WELL_KNOWN) or (bool(bare) and bare == _bare(user))


def well_known_keys(config: Config) -> Iterator[str]:
    """Yields each key of the configuration that holds a well-known password, such as `authentication.admin_password`.

    A mount that inherits its password is not named again.
    """
    login = config.authentication
    for role in ("source", "relay", "admin"):
        if is_well_known(getattr(login, f"{role}_password"), getattr(login, f"{role}_user")):
            yield f"authentication.{role}_password"
    for index, mount in enumerate(config.mount):
        if mount.password and is_well_known(mount.password, mount.username or ""):
            yield f"mount[{index}].password"


def password_advice(config: Config) -> Iterator[str]:
    """Yields a line for each password and secret that is well known or short, with what follows from it.

    None of them is shown.
    """
    known = list(well_known_keys(config))
    for path, value in secrets_in(config):
        key = dotted(path)
        if key in known or is_well_known(value):
            so = ", so the admin is accepted from this machine only" if key == "authentication.admin_password" else ""
            yield f"{key} is publicly known{so}: set one that nobody can guess"
        elif len(value) < SHORTEST:
            yield f"{key} has fewer than {SHORTEST} characters: set one that nobody can guess"


def _bare(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
