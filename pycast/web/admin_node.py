"""The commands of the admin interface that are about the server, without `mount=`."""

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pycast import __version__
from pycast.auth.known_passwords import password_advice
from pycast.config.relay_sections import RelaySection
from pycast.errors import Refused
from pycast.http.response import PLAIN, Response
from pycast.stats import xml
from pycast.web.public import stats_url
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
    _note_slave(call)
    return Response(200, xml.streamlist_text(call.control.snapshot()), PLAIN)


def streams(call: Call) -> Response:
    """Answers icecast-kh's slaves: each line is where they get a stream."""
    _note_slave(call)
    return Response(200, xml.streamlist_text(call.control.snapshot(), f"{STREAMS}?mount="), PLAIN)


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
    """Answers `managerelays` with the relays of the configuration."""
    from pycast.stats.snapshot import RelayLine  # a page of its own needs it: not for the start

    return xml.relays(RelayLine(one.local_name, one.on_demand, _upstreams(one)) for one in call.config.relay)


def _upstreams(relay: RelaySection) -> tuple[tuple[str, str, int], ...]:
    own = [(relay.server, relay.mount, relay.port)] if relay.server else []
    parts = map(urlsplit, relay.upstreams)
    ports = {"https": 443}
    others = [(one.hostname or "", one.path or "/", one.port or ports.get(one.scheme, 80)) for one in parts]
    return (*own, *others)


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
    """Answers `publicstats`, for everybody, also with `mount=`."""
    return xml.public_stats(shown_snapshot(call), call.text("mount") or None)


def history(call: Call) -> bytes:
    """Answers `history`: the last titles of all mounts, also of those that are over, if this node has heard them."""
    found = {name: call.site.history.of(name) for name in call.site.history.mounts()}
    found |= {mount.name: mount.history for mount in call.control.snapshot().mounts}
    return xml.history(found)
