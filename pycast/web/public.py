"""Handlers without access control: pages, status, playlists."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pycast.errors import Refused
from pycast.http.listener_head import wants_page
from pycast.http.mount_names import playlist_target
from pycast.http.response import HTML, Response
from pycast.net.turns import in_turns
from pycast.patterns import pattern
from pycast.stats.icestats import stream_url, visible_mounts
from pycast.stats.playlists import M3U_TYPE, PLS_TYPE, VCLT_TYPE, XSPF_TYPE, m3u, pls, vclt, xspf
from pycast.stats.status_json import JSON_TYPE, status_json_parts
from pycast.web.route import LISTENERS, Call, Route

if TYPE_CHECKING:
    from pycast.stats.snapshot import NodeSnapshot
    from pycast.web.pages import StatusPage

# Of a page that is another one for programs.
BY_VISITOR = ("Vary", "Accept")

# The Host headers that may be copied into a page or a playlist: a name, an IPv4 or bracketed IPv6 address, and a port.
_HOST = pattern(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")


# What stands in the statistics for the address of the server: nobody else knows it, so no title can be one. All that
# replaces it is made of characters that need no escape in JSON.
GAP = os.urandom(8).hex().encode()


class _GappedPage(NamedTuple):
    """A page of the statistics with gaps for the address of the server."""

    body: bytes

    def for_visitor(self, base_url: str) -> bytes:
        """Returns the document."""
        return self.body.replace(GAP, base_url.encode())


def status_page(call: Call) -> Response:
    """Answers `/` and `/status.xsl[?mount=/x]`. May switch."""
    # Loaded for the first page, so that the server starts faster.
    from pycast.web.page_templates import headers
    from pycast.web.pages import EXAMPLE_MOUNT, render_status

    if call.request.path == "/status.xsl" and not wants_page(call.request.headers):
        return _status_for_programs(call)
    mount, has_public_url = asked_mount(call), bool(call.config.server.public_url)

    def render() -> "StatusPage":
        user = call.config.for_mount(EXAMPLE_MOUNT).username
        return render_status(_snapshot(call, mount), has_public_url=has_public_url, source_user=user)

    page = call.site.pages.get_for_visitor(f"status {call.scope}", mount, render, base_url(call), call.may_wait)
    return page.answer(call.request, HTML, (*headers(), BY_VISITOR))


def _status_for_programs(call: Call) -> Response:
    """Answers a program, which takes the page apart that Icecast has there. May switch."""
    from pycast.stats.scraped_pages import XHTML_TYPE, status_xhtml

    mount = asked_mount(call)

    def render() -> bytes:
        return b"".join(in_turns(status_xhtml(_snapshot(call, mount), mount)))

    page = call.site.pages.get(f"xhtml {call.scope}", mount, render, call.may_wait)
    return page.answer(call.request, XHTML_TYPE, (BY_VISITOR,))


def seven_page(call: Call) -> Response:
    """Answers `/7.xsl[?mount=/x]`. May switch."""
    from pycast.stats.scraped_pages import HTML_TYPE, seven

    mount = asked_mount(call)
    page = call.site.pages.get(f"7 {call.scope}", mount, lambda: seven(_snapshot(call, mount), mount), call.may_wait)
    return page.answer(call.request, HTML_TYPE)


def status2_page(call: Call) -> Response:
    """Answers `/status2.xsl[?mount=/x]`. May switch."""
    from pycast.stats.scraped_pages import TEXT_TYPE, status2

    mount = asked_mount(call)

    def render() -> _GappedPage:
        snapshot = replace(_snapshot(call, mount), listen_url=GAP.decode())
        return _GappedPage(b"".join(in_turns(status2(snapshot, mount))))

    page = call.site.pages.get_for_visitor(f"status2 {call.scope}", mount, render, stats_url(call), call.may_wait)
    return page.answer(call.request, TEXT_TYPE)


def server_version(call: Call) -> Response:
    """Answers `/server_version.xsl`; programs, as `/status.xsl`, with Icecast's page. May switch."""
    if not wants_page(call.request.headers):
        from pycast.stats.scraped_pages import XHTML_TYPE, server_xhtml

        local = call.site.local
        found = call.site.pages.get("server xhtml", None, lambda: server_xhtml(local.snapshot()), call.may_wait)
        return found.answer(call.request, XHTML_TYPE, (BY_VISITOR,))
    from pycast.web.page_templates import headers
    from pycast.web.pages import render_server_info

    page = call.site.pages.get("server", None, lambda: render_server_info(call.site.local.snapshot()), call.may_wait)
    return page.answer(call.request, HTML, (*headers(), BY_VISITOR))


def status_json_page(call: Call) -> Response:
    """Answers `/status-json.xsl[?mount=/x]`. May switch."""
    mount = asked_mount(call)

    def render() -> _GappedPage:
        snapshot = replace(_snapshot(call, mount), listen_url=GAP.decode())
        return _GappedPage(b"".join(in_turns(status_json_parts(snapshot, mount))))

    page = call.site.pages.get_for_visitor(f"json {call.scope}", mount, render, stats_url(call), call.may_wait)
    return page.answer(call.request, JSON_TYPE)


def find_page(call: Call) -> Route:
    """Returns the row for a path that is in no table: that of a playlist, or of a file."""
    return FILE if playlist_target(call.request.path) is None else PLAYLIST


def kind_of(path: str) -> frozenset[str]:
    """Returns the kind of these rows, which is that of the mounts."""
    return LISTENERS


def playlist(call: Call) -> Response:
    """Answers with the playlist of a mount; a file of that name goes first, as in Icecast. The mount need not have a
    source if the configuration names it: a player may be started before the source. A recording among the files has
    a playlist, too. Raises Refused for what is none of these. May switch.
    """
    target = playlist_target(call.request.path)
    assert target is not None
    if call.config.paths.webroot and (own := _own_playlist(call)) is not None:
        return own
    mount, kind = target
    meant = (mount, *(alias.destination for alias in call.config.aliases.get(mount, ())))
    if not (any(map(call.site.finder.may_be_heard, meant)) or _is_recording(call, mount, kind)):
        raise Refused("The file you requested could not be found", status=404, cause="no such mount")
    base = base_url(call)
    url = stream_url(base, mount, call.config.for_mount(mount).listenurl)
    match kind:
        case "m3u":
            return Response(200, m3u(url), M3U_TYPE)
        case "pls":
            known = call.site.finder.on_this_node(mount)
            is_shown = known is not None and not known.settings.hidden
            name = known.description.info.name if known and is_shown else ""
            return Response(200, pls([(url, name)]), PLS_TYPE)
        case "xspf":
            snapshot = call.site.pages.snapshot("", call.site.cluster_wide)
            return Response(200, xspf(replace(snapshot, listen_url=base), mount), XSPF_TYPE)
        case _:
            snapshot = call.site.pages.snapshot("", call.site.cluster_wide)
            return Response(200, vclt(replace(snapshot, listen_url=base), mount), VCLT_TYPE)


def _own_playlist(call: Call) -> Response | None:
    from pycast.web.files import maybe_file

    return maybe_file(call)


def _is_recording(call: Call, path: str, kind: str) -> bool:
    """Whether a file is meant that can be played. The other kinds of playlists describe streams. May switch."""
    from pycast.formats.content_types import OCTET_STREAM, content_type_for_listeners
    from pycast.http.media_types import media_type
    from pycast.web.files import has_file

    is_media = content_type_for_listeners(media_type(path, {})) != OCTET_STREAM
    return is_media and kind in ("m3u", "pls") and has_file(call.config, path)


def file(call: Call) -> Response:
    """Answers with a file of the station, or the page of a style sheet. Raises Refused, with 404 if there is none. May
    switch.
    """
    if ".xsl" in call.request.path.lower():
        from pycast.web.xsl import IS_XSL, answer_xsl

        if IS_XSL.search(call.request.path):
            return answer_xsl(call)
    from pycast.web.files import answer_file  # loaded for the first file, so that the server starts faster

    return answer_file(call)


PLAYLIST = Route("/<mount>.<kind>", playlist, LISTENERS)
FILE = Route("/<file>", file, LISTENERS)


def base_url(call: Call) -> str:
    """Returns `server.public_url`, or `http://host:port` as this client reached the server, so that links work behind a
    balancer or a port mapping too.
    """
    host, own = call.request.proxied_host or call.request.headers.get("host"), call.site.address.url
    if call.config.server.public_url:
        return own
    scheme = call.request.scheme or urlsplit(own).scheme
    return f"{scheme}://{host}" if _HOST.match(host) else own


def stats_url(call: Call) -> str:
    """Returns what `listenurl` begins with: the configured address as in Icecast, unless a trusted proxy says for which
    one it was asked.
    """
    return base_url(call) if call.request.proxied_host else call.site.address.url


def asked_mount(call: Call) -> str | None:
    """Returns the mount in `mount=`, None without one. All mounts that do not exist are "": they have the same page."""
    name = call.request.query.text("mount")
    if not name:
        return None
    return name if call.control.knows(name) else ""


def _snapshot(call: Call, mount: str | None) -> "NodeSnapshot":
    """Returns the statistics for a page, with the mounts that are not hidden, or only `mount`. May switch."""
    control = call.control
    snapshot = control.snapshot() if mount is None else call.site.pages.snapshot(call.scope, control)
    return replace(snapshot, mounts=visible_mounts(snapshot, mount))
