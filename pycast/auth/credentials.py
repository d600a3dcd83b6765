"""Checks the credentials of sources, relays and the admin against the configuration.

A comparison takes the same time wherever the texts differ, so that a password cannot be found letter by letter.
"""

from hmac import compare_digest

from pycast.config.schema import Config

Credentials = tuple[str, str]
"""User and password."""


def is_admin(config: Config, given: Credentials | None) -> bool:
    """Whether these are the admin's credentials."""
    known = config.authentication
    return _match(given, (known.admin_user, known.admin_password))


def is_relay(config: Config, given: Credentials | None) -> bool:
    """Whether these are another server's credentials."""
    known = config.authentication
    return _match(given, (known.relay_user, known.relay_password))


def is_source(config: Config, mount: str, given: Credentials | None) -> bool:
    """Whether these are the credentials of the mount's source."""
    settings = config.for_mount(mount)
    return _match(given, (settings.username, settings.password))


def _match(given: Credentials | None, wanted: Credentials) -> bool:
    # If no password is configured, no credentials match, as in Icecast.
    if given is None or not wanted[1]:
        return False
    user = compare_digest(given[0].encode(), wanted[0].encode())
    password = compare_digest(given[1].encode(), wanted[1].encode())
    return user and password
