"""What a source must pass before its stream begins, over HTTP and SHOUTcast alike, in Icecast's order.

Credentials first, then the mount's name, then whether this node takes sources now. A former connection of the same
source that has just ended is waited for: its mount is free a moment later. Whether the mount is free is not asked here:
that is the business of `cluster/ownership.py`.
"""

from pycast.auth.credentials import Credentials, is_source
from pycast.errors import Refused
from pycast.http.headers import basic_credentials
from pycast.http.request import Request
from pycast.server.context import ServerContext
from pycast.server.reserve import RETRY_AFTER
from pycast.web.routes import may_be_mount


def check_credentials(context: ServerContext, request: Request) -> Credentials:
    """Returns the credentials of a source's request. Raises Refused if they are not those of its mount."""
    given = basic_credentials(request.headers)
    if given is None or not is_source(context.settings.now, request.path, given):
        raise Refused("You need to authenticate", status=401, cause=f"wrong source credentials for {request.path}")
    return given


def pass_gate(context: ServerContext, mount: str) -> None:
    """Returns when a source with the right credentials may ask for its mount. Raises Refused. May switch."""
    if not may_be_mount(mount):
        raise Refused("This name cannot be a mount", cause=f"source for {mount}")
    _check_drain(context)
    context.mounts.wait_for_ending(mount)


def _check_drain(context: ServerContext) -> None:
    """Raises Refused if this node drains and another one could take the source: it would be sent away again."""
    if context.drain.is_draining and context.cluster and context.cluster.others():
        raise Refused("This server is about to stop", status=503, cause="the node drains", headers=(RETRY_AFTER,))
