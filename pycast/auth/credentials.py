"""Checks the credentials of sources, relays and the admin against the configuration.

A comparison takes the same time wherever the texts differ, so that a password cannot be found letter by letter.
"""

from pycast.config.schema import Config
from pycast.patterns import pattern

# The number of a stream behind a SHOUTcast 2 password. The port decides here which mount it is.
_STREAM_NUMBER = pattern(r":#[0-9]{1,9}\Z")

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


def opens_something(config: Config, given: Credentials) -> bool:
    """Whether these are the credentials of anybody in the configuration: the admin, another server, any source."""
    if is_admin(config, given) or is_relay(config, given):
        return True
    known = config.authentication
    own = ((one.username or known.source_user, one.password or known.source_password) for one in config.mount)
    return any(_match(given, one) for one in ((known.source_user, known.source_password), *own))


def is_source(config: Config, mount: str, given: Credentials | None) -> bool:
    """Whether these are the credentials of the mount's source, by the configuration alone (see source_logins.py)."""
    settings = config.for_mount(mount)
    if settings.authentication.url_of("stream_auth"):  # a server is asked in place of the password
        return False
    return _match(given, (settings.username, settings.password))


def shoutcast_credentials(config: Config, mount: str, line: str) -> Credentials | None:
    """Returns the credentials in a SHOUTcast source's password line, if they are right for the mount; else None.

    The protocol knows no user. Encoders for SHOUTcast 2 write the name of a DJ before the password and the number of a
    stream behind it, `dj:password:#1`; the password alone decides. It may have colons itself.
    """
    user, plain = config.for_mount(mount).username, _STREAM_NUMBER.sub("", line)
    for password in (line, plain, plain.partition(":")[2]):
        if is_source(config, mount, (user, password)):
            return user, password
    return None


def shoutcast_login(user: str, line: str) -> Credentials:
    """Returns the user and the password in a SHOUTcast source's password line, for a server that is asked about them:
    those of a DJ if the line has both, else `user` and the line.
    """
    plain = _STREAM_NUMBER.sub("", line)
    name, colon, password = plain.partition(":")
    return (name, password) if colon and name else (user, plain)


def _match(given: Credentials | None, wanted: Credentials) -> bool:
    # If no password is configured, no credentials match, as in Icecast.
    if given is None or not wanted[1]:
        return False
    from hmac import compare_digest  # it loads OpenSSL, and the start of the server does without

    user = compare_digest(given[0].encode(), wanted[0].encode())
    password = compare_digest(given[1].encode(), wanted[1].encode())
    return user and password
