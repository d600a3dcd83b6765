"""The commands of the admin interface that are about the server, without `mount=`."""

from dataclasses import replace
from typing import TYPE_CHECKING

from pycast import __version__
from pycast.auth.known_passwords import password_advice
from pycast.control.relay_desk import RelayOrder
from pycast.errors import Refused
from pycast.http.response import PLAIN, Response
from pycast.stats import xml
from pycast.web.public import GAP, asked_mount, stats_url
from pycast.web.route import Call

if TYPE_CHECKING:
    from pycast.stats.snapshot import NodeSnapshot


# Where icecast-kh's slaves get the list of mounts, and with `mount=` each stream.
STREAMS = "/admin/streams"

LOGS = ("error", "access", "playlist")


def shown_snapshot(call: Call) -> "NodeSnapshot":
    """Returns the statistics, with the addresses that the client can use. May switch."""
    return replace(call.control.snapshot(), listen_url=stats_url(call))


def stats(call: Call) -> bytes:
    """Answers `stats`. Browsers show it to an admin who opens /admin/, so it has warnings for him."""
    return xml.stats_document(shown_snapshot(call), None, password_advice(call.config))


def listmounts(call: Call) -> bytes:
    """Answers `listmounts` and `streamlist`."""
    return xml.listmounts(call.control.snapshot())


def streamlist_text(call: Call) -> Response:
    """Answers `streamlist.txt`, for servers that relay everything."""
    return _streamlist(call, "")


def streams(call: Call) -> Response:
    """Answers icecast-kh's slaves: each line is where they get a stream."""
    return _streamlist(call, f"{STREAMS}?mount=")


def _streamlist(call: Call, before: str) -> Response:
    """Returns the list, in which a mount stays while its fallback plays: a slave would end what is missing. May
    switch.
    """
    _note_slave(call)
    played = call.site.finder.played_by_others()
    others = [name for name in played if not call.config.for_mount(name).hidden]
    return Response(200, xml.streamlist_text(call.control.snapshot(), before, others), PLAIN)


def _note_slave(call: Call) -> None:
    """Remembers a slave that says where it takes listeners from its master. May switch."""
    host, port, interval = (call.text(name) for name in ("rserver", "rport", "interval"))
    are_numbers = all(text.isascii() and text.isdigit() and len(text) < 10 for text in (port, interval))
    if host and are_numbers and call.config.server.max_redirect_slaves:
        call.control.add_slave(host, int(port), int(interval))


def reloadconfig(call: Call) -> bytes:
    """Has the configuration read again, as SIGHUP does."""
    call.site.ask_for_reload()
    return xml.iceresponse("Configuration is read again: the error log says what came of it", 1)


def function(call: Call) -> bytes:
    """Answers icecast-kh's `function?perform=…`. Reading the configuration again reopens the logs too."""
    match call.text("perform"):
        case "updatecfg":
            return reloadconfig(call)
        case "reopenlog":
            call.site.ask_for_reload()
            return xml.iceresponse("Logs are reopened, and the configuration is read again", 1)
    raise Refused("No such command", status=400, cause=f"perform={call.text('perform')}")


def managerelays(call: Call) -> bytes:
    """Answers `managerelays` with what the relays do. With `relay=` and `enable=` it switches one on or off, as in
    icecast-kh; with `restart=1` it has one begin again, at its best upstream.
    """
    mount, enable = call.text("relay"), call.text("enable")
    if not mount or not (enable or call.is_yes("restart")):
        return xml.relays(call.control.relays())
    order: RelayOrder = "restart" if not enable else "enable" if call.is_yes("enable") else "disable"
    found = call.control.order_relay(mount, order)
    return xml.iceresponse("relay has been changed" if found else "no such relay", 1)


def showlog(call: Call) -> bytes:
    """Answers `showlog` and `logs` with the last lines of a log: `log=` (in 2.5 `logfile=`) names it. May switch."""
    return xml.log_document(*_asked_log(call))


def showlog_text(call: Call) -> Response:
    """Answers icecast-kh's `showlog.txt`. May switch."""
    lines = _asked_log(call)[1]
    return Response(200, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"), PLAIN)


def _asked_log(call: Call) -> tuple[str, list[str]]:
    # icecast-kh's names are "errorlog" and so on.
    name = (call.text("log") or call.text("logfile") or "error").removesuffix("log")
    if name not in LOGS:
        raise Refused(f"There is no such log: expected one of {', '.join(LOGS)}", status=400, cause=f"log={name}")
    from pycast.web.log_tail import last_lines  # not before it is needed, as in public.py

    return name, last_lines(getattr(call.config.logging, f"{name}_log"), call.site.recent_lines(name))


def version(call: Call) -> bytes:
    """Answers `version`."""
    return xml.version(call.site.local.snapshot(), __version__)


def publicstats(call: Call) -> bytes:
    """Answers `publicstats`, for everybody, also with `mount=`. Where the server's address belongs is `GAP`."""
    return xml.public_stats(replace(call.control.snapshot(), listen_url=GAP.decode()), asked_mount(call))


def eventfeed(call: Call) -> Response:
    """Answers Icecast 2.5's `eventfeed`, also with `mount=`. Raises Refused."""
    from pycast.web.event_feed import eventfeed  # few servers are ever asked

    return eventfeed(call)


def history(call: Call) -> bytes:
    """Answers `history`: the last titles of all mounts, also of those that are over, if this node has heard them."""
    found = {name: call.site.history.of(name) for name in call.site.history.mounts()}
    found |= {mount.name: mount.history for mount in call.control.snapshot().mounts}
    return xml.history(found)
