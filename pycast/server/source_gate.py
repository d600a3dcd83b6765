"""The checks that a source passes before it may ask for its mount, over HTTP or SHOUTcast.

First its credentials, then the mount's name, as in Icecast, then whether this node takes sources now. If a former
source of the mount is just ending, the new one waits until the mount is free. Which source gets the mount is decided in
`cluster/ownership.py`.
"""

from pycast.auth.credentials import Credentials
from pycast.auth.source_logins import NO_LOGIN
from pycast.balance.admission import Slot
from pycast.errors import HandshakeError, Refused
from pycast.http.headers import basic_credentials
from pycast.http.mount_names import why_no_mount
from pycast.http.request import Request
from pycast.server.context import ServerContext
from pycast.server.reserve import RETRY_AFTER, check_room


def check_credentials(context: ServerContext, ip: str, request: Request) -> tuple[Credentials, bool]:
    """Returns the credentials of a source's request, empty ones if it has none, and whether it takes over the mount
    with them. Raises Refused if they are not those of its mount. May switch.
    """
    given = basic_credentials(request.headers)
    found = context.site.sources.look(request.path, given, ip)
    # One without credentials guesses none. Only a server that is asked can let it in.
    is_right = found.is_right if given is None else context.site.logins.check(ip, given, found.is_right)
    if not is_right:
        what = "wrong source credentials" if request.headers.get("authorization") else "no credentials were sent"
        raise Refused("You need to authenticate", status=401, cause=f"{what} for {request.path}")
    return given or NO_LOGIN, found.takes_over


def check_password(context: ServerContext, ip: str, slot: Slot, mount: str, password: str) -> Credentials:
    """Returns the credentials of a SHOUTcast source, which sends a password alone. Raises HandshakeError if it is
    wrong, Refused if the node is full. (A source over HTTP is refused by `handler.py` then.) May switch.
    """
    config = context.settings.now
    right = context.site.sources.shoutcast(mount, password, ip)
    given = right or (config.for_mount(mount).username, password)
    if not context.site.logins.check(ip, given, right is not None):
        raise HandshakeError("invalid password", cause=f"wrong password for {mount}")
    check_room(context.counters, slot)
    return given


def pass_gate(context: ServerContext, mount: str) -> None:
    """Waits until a source with the right credentials may ask for its mount. Raises Refused. May switch."""
    if why := why_no_mount(mount):
        raise Refused(f"This name cannot be a mount: {why}", cause=f"source for {mount}: {why}")
    check_drain(context)
    context.mounts.wait_for_ending(mount)


def check_drain(context: ServerContext) -> None:
    """Raises Refused if this node stops, or drains and there is another one, to which the drain would move the source
    again.
    """
    has_others = context.cluster is not None and bool(context.cluster.others())
    if context.site.readiness.is_stopping or (context.drain.is_draining and has_others):
        raise Refused("This server is about to stop", status=503, cause="it drains or stops", headers=(RETRY_AFTER,))
