"""Serves a listener: answers its request and hands its socket to the mount's fan-out.

Invariant: after the hand-over no greenlet belongs to the listener.
"""

import time
from functools import lru_cache
from typing import TYPE_CHECKING

from pycast.auth.guests import Guest
from pycast.config.mount_settings import is_local
from pycast.config.status_headers import sent_with
from pycast.errors import Refused
from pycast.formats.content_types import OCTET_STREAM
from pycast.http.forwarded import is_proxied
from pycast.http.headers import Headers
from pycast.http.listener_head import listener_tail, source_block, wants_length, wants_titles
from pycast.http.relay_path import is_server, path_line
from pycast.http.request import Request
from pycast.http.response import render_head
from pycast.net.sockets import detach
from pycast.server.connection import Connection
from pycast.server.context import ServerContext
from pycast.server.player_heads import PlayerHead, Reply
from pycast.server.reserve import RETRY_AFTER
from pycast.stream.listener import Identity, Transport
from pycast.stream.mount import Mount
from pycast.stream.mount_limits import admit

if TYPE_CHECKING:
    from pycast.stream.intro import Intro

# Headers that a script in a browser may read; without this it cannot see `icy-metaint` (icecast-metadata-js).
EXPOSED = (
    "Access-Control-Expose-Headers",
    "Icy-MetaInt, Icy-Br, Icy-Description, Icy-Genre, Icy-Name, Icy-Pub, Icy-Url",
)

# nginx buffers what a slow player does not read, up to a gigabyte on disk, and hides how slow the player is; this
# header turns that off. It is sent only through a proxy: direct players get Icecast's head to the byte, because some of
# them are known to match it.
UNBUFFERED = ("X-Accel-Buffering", "no")


# A browser that opens a stream as a page runs nothing in it. Players ignore it. Chromium plays no stream in a tab that
# has no origin or may run no scripts, so the sandbox of a stream that can be played allows these two; what is not
# allowed is any script (default-src).
SANDBOXED = ("Content-Security-Policy", "sandbox")
PLAYABLE = (
    "Content-Security-Policy",
    "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox allow-scripts allow-same-origin",
)


def serve_listener(
    context: ServerContext,
    connection: Connection,
    request: Request,
    mount: Mount,
    guest: Guest | None = None,
    *,
    is_server: bool = False,
    preroll: "Intro | None" = None,
) -> None:
    """Answers a GET or HEAD of a mount, and hands the socket of a GET to the mount's fan-out. `guest` is the listener
    of a mount with authentication, which has let it in. Another server that has logged in as a relay, if `is_server`,
    does not count for limits of listeners. `preroll` is what it hears first in place of the mount's intro. Raises
    Refused. May switch.
    """
    intro = first_heard(context, request, has_logged_in=is_server)
    if request.method == "HEAD":
        _, head = _reply(context, connection, request, mount)
        connection.write(head, context.settings.now.limits.client_timeout)
        return
    mount = mount if is_server else _mount_with_room(context, mount, request.path)
    join(context, connection, request, mount, guest, intro, is_server=is_server, preroll=preroll)


def answer_resting(context: ServerContext, connection: Connection, request: Request) -> bool:
    """Answers a HEAD of a mount whose source would have to be woken for it: whoever looks for streams asks so, and
    nobody listens. Returns False, and has done nothing then, for all other requests. May switch.
    """
    if request.method != "HEAD" or not context.finder.is_resting(request.path):
        return False
    from pycast.http.media_types import media_type  # with the first one, not at the start of the server

    config = context.settings.now
    head = render_head(
        200,
        server=config.server.server_id,
        now=time.time(),
        content_type=media_type(request.path),
        headers=[SANDBOXED, *sent_with(200, config.for_mount(request.path).http_headers)],
    )
    connection.write(head, config.limits.client_timeout)
    return True


def join(
    context: ServerContext,
    connection: Connection,
    request: Request,
    mount: Mount,
    guest: Guest | None = None,
    intro: "Intro | None" = None,
    reply: Reply | None = None,
    *,
    is_server: bool = False,
    preroll: "Intro | None" = None,
) -> None:
    """Answers a GET of a mount that has room, with `reply` if that is known, and hands the socket to the mount's
    fan-out; `intro` or `preroll` may come first. The rest as `serve_listener`. Raises Refused. Never switches: a mount
    that has ended meanwhile would never serve the listener.
    """
    metaint, head = reply or _reply(context, connection, request, mount)
    if context.drain.is_done:
        raise Refused("This server is about to stop", status=503, cause="drained", headers=(RETRY_AFTER,))
    context.listener_limits.admit(connection.ip, mount, is_exempt=is_server)
    transport = _transport(connection)
    context.counters.listener_connections += 1
    asked = request.path if request.path != mount.name else ""
    id, user = (guest.id, guest.user) if guest is not None else (context.next_listener_id(), "")
    identity, now = _identity(connection, request, user), time.monotonic()
    if preroll and context.intros.fits(preroll, mount):
        intro = preroll
    elif intro and not context.intros.may_precede(intro, mount, request.path, identity.ip, identity.user_agent):
        intro = None
    if intro:
        from pycast.stream.intro import join_with_intro  # with the first one, not at the start of the server

        listener = join_with_intro(mount, intro, id, transport, identity, head, metaint, now, asked)
    else:
        listener = mount.join(id, transport, identity, head, metaint, now)
        listener.requested_mount = asked
    if guest is not None and guest.limit_s:
        context.mounts.limit_time(listener, guest.limit_s)
    if mount.fanout.get(id) is listener:  # it may have been dropped by its first write
        context.hangups.watch(transport.fileno(), (mount, listener))


def known_reply(context: ServerContext, connection: Connection, known: PlayerHead, mount: Mount) -> Reply:
    """Returns the answer to a player that is connected directly, for its request that is known."""
    stream = mount.description, mount.source_lines, mount.listener_content_type, mount.family, mount.metaint()
    parts = int(time.time()), context.settings.now, *stream  # not the mount: it is to be freed when it ends
    return known.reply(parts, lambda: _reply(context, connection, known.request, mount))


def _reply(context: ServerContext, connection: Connection, request: Request, mount: Mount) -> Reply:
    metaint = _metaint(context, request, mount) if wants_titles(request.headers) else 0
    proxied = connection.proxies is not None or is_proxied(request.headers)
    return metaint, response_head(context, request, mount, metaint, (UNBUFFERED,) if proxied else ())


def _mount_with_room(context: ServerContext, mount: Mount, asked: str) -> Mount:
    """Returns the mount, or its fallback if the mount is full and `fallback_when_full` is set. What is played in place
    of the mount `asked` has the limits of that, if they send nobody to the fallback. Raises Refused. May switch.
    """
    settings = context.settings.now.for_mount(asked)
    try:
        if is_local(mount.name) and not settings.fallback_when_full:
            admit(mount, settings, context.mounts.asking_for(asked))
        else:
            admit(mount)
    except Refused:
        other = context.fallbacks.next_of(mount) if mount.settings.fallback_when_full else None
        if other is None:
            raise
        admit(other)
        return other
    return mount


def first_heard(context: ServerContext, request: Request, *, has_logged_in: bool = False) -> "Intro | None":
    """Returns what a listener may hear first; not another server, whose listeners would hear it in the stream. May
    switch, unless the intro is at hand.
    """
    is_player = request.method == "GET" and not has_logged_in and not is_server(request.headers)
    return context.intros.of(request.path) if is_player else None


def _metaint(context: ServerContext, request: Request, mount: Mount) -> int:
    """Returns the bytes between two title blocks; of a file or silence, those of the mount that was asked for."""
    asked = context.settings.now.for_mount(request.path).mp3_metadata_interval
    return asked if is_local(mount.name) and mount.metaint() else mount.metaint()


def response_head(
    context: ServerContext, request: Request, mount: Mount, metaint: int, more: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """Returns the response head of a stream, in Icecast's order: the `icy-` lines last, `icy-metaint` the very last."""
    policy = SANDBOXED if mount.listener_content_type == OCTET_STREAM else PLAYABLE
    settings, lines = mount.settings, mount.source_lines
    if is_local(mount.name):  # a file or silence has no name of its own
        settings = context.settings.now.for_mount(request.path)
        lines = source_block((("ice-name", settings.stream_name),)) if settings.stream_name else b""
    headers = [policy, *sent_with(200, settings.http_headers), *more]
    if request.headers.get("origin"):
        headers.append(EXPOSED)
    path = b""
    if is_server(request.headers):
        path = path_line(Headers(mount.description.headers), context.site.address.server, mount.name)
    wants_end = mount.family == "generic" and wants_length(request.headers)
    return render_head(
        200,
        server=context.settings.now.server.server_id,
        now=time.time(),
        content_type=mount.listener_content_type,
        headers=headers,
        lines=lines + path + listener_tail(metaint, wants_end),
    )


def _transport(connection: Connection) -> Transport:
    sock = detach(connection.give_away())
    return sock if connection.session is None else connection.session.transport(sock)


def _identity(connection: Connection, request: Request, user: str) -> Identity:
    return Identity(
        ip=connection.ip,
        user_agent=_shared(request.headers.get("user-agent")),
        referer=_shared(request.headers.get("referer")),
        user=user,
        method=request.method,
        path=_shared(request.target.partition("?")[0]),
        protocol=_shared(f"{request.protocol}/{request.version}"),
    )


@lru_cache(maxsize=512)
def _shared(text: str) -> str:
    """Returns one object for equal texts: ten thousand players share a handful of agents and paths.

    Not `sys.intern`: CPython 3.12 never frees an interned text, and these come from clients.
    """
    return text
