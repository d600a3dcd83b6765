"""The table of `pycast status`: reads a server's statistics into values, and renders them as lines of text.

Reads /status-json.xsl and /admin/stats of pycast and of any Icecast. No I/O. The one invariant: a server's control
characters never reach the terminal, and no line is wider than it.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import ParseError

import click
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from pycast.errors import ExternalError

_BARS = "▁▂▃▄▅▆▇█"
_MIN_NAME = 16
# Fewer columns do not show what is played.
_MIN_LAST = 16
_SPARE = ("PEAK", "SLOW", "KBIT/S", "SENT", "ON AIR")
"""The columns that a narrow terminal does without, first those that matter least."""


@dataclass(frozen=True, slots=True)
class MountRow:
    """One mount as the table shows it. Texts are safe to print; an empty text means that the server sent none."""

    name: str
    listeners: int
    peak: int
    bitrate: str
    started: float | None
    """Seconds since the epoch."""
    title: str
    bytes_sent: int | None = None
    slow_listeners: int | None = None
    source_ip: str = ""


@dataclass(frozen=True, slots=True)
class ServerView:
    """A server at one moment; `mounts` are ordered by listeners, most first."""

    server_id: str
    host: str
    started: float | None
    mounts: tuple[MountRow, ...]
    clients: int | None = None

    @property
    def listeners(self) -> int:
        return sum(mount.listeners for mount in self.mounts)


def read_json(body: bytes) -> ServerView:
    """Reads /status-json.xsl, in which `source` is missing, one object, or a list. Raises ExternalError."""
    try:
        stats = json.loads(body.decode(errors="replace"))["icestats"]
        sources = stats.get("source", [])
        sources = sources if isinstance(sources, list) else [sources]
        return _view(stats, [(_path_of(str(source.get("listenurl", ""))), source) for source in sources])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ExternalError("the answer is not an Icecast status: is that the URL of a streaming server?") from error


def read_xml(body: bytes) -> ServerView:
    """Reads /admin/stats, which has hidden mounts too. Raises ExternalError."""
    try:
        root = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise ExternalError("the answer is not Icecast's statistics: is that the URL of a streaming server?") from error
    sources = [(e.get("mount", ""), {child.tag: child.text or "" for child in e}) for e in root.findall("source")]
    # A mount that exists only through a fallback has no source, and no fields.
    running = [(name, values) for name, values in sources if "stream_start" in values or "server_type" in values]
    return _view({child.tag: child.text or "" for child in root if child.tag != "source"}, running)


def render(view: ServerView, width: int, now: float, history: Sequence[int] = ()) -> list[str]:
    """Renders the table as lines of at most `width` columns. `history` has earlier listener counts, oldest first."""
    lines = [*_headline(view, width, now, history), ""]
    if not view.mounts:
        return [*lines, "  No mount is on the air.", f"  Connect an encoder to {view.host or 'this server'}."]
    detailed = any(mount.bytes_sent is not None for mount in view.mounts)
    rows = _columns(view.mounts, now, detailed)
    return [*lines, *table(rows, width, numbers=rows[0][1:-1], spare=_SPARE)]


def table(rows: Sequence[Sequence[str]], width: int, *, numbers: Sequence[str], spare: Sequence[str] = ()) -> list[str]:
    """Renders rows as lines of at most `width` columns. The first row is the head; the last column gets the space left.

    Columns whose head is in `numbers` are aligned right. Without enough room those in `spare` are left out, one after
    the other: a column that is cut says nothing.
    """
    rows = _fitting(rows, width, spare)
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    widths[-1] = max(_MIN_LAST, width - _taken(widths))
    is_number = [head in numbers for head in rows[0]]
    lines = []
    for row in rows:
        cells = [_padded(cell, widths[i], right=is_number[i]) for i, cell in enumerate(row)]
        lines.append(cut("  " + "  ".join(cells).rstrip(), width))
    return [click.style(lines[0], dim=True), *lines[1:]]


def _fitting(rows: Sequence[Sequence[str]], width: int, spare: Sequence[str]) -> list[list[str]]:
    """Returns the rows without the columns of `spare` for which there is no room, and with shorter names."""
    name_width = min(40, max(_MIN_NAME, width * 3 // 8))
    kept = [[cut_middle(row[0], name_width), *row[1:]] for row in rows]
    for head in spare:
        widths = [max(_width(row[column]) for row in kept) for column in range(len(kept[0]))]
        if _taken(widths) + min(widths[-1], _MIN_LAST) <= width:
            break
        if head in kept[0]:
            at = kept[0].index(head)
            kept = [[*row[:at], *row[at + 1 :]] for row in kept]
    return kept


def _taken(widths: Sequence[int]) -> int:
    """Returns the columns of the terminal that all but the last column take, with the gaps."""
    return 2 + sum(widths[:-1]) + 2 * (len(widths) - 1)


def cut_middle(text: str, width: int) -> str:
    """Returns `text` in at most `width` columns of a terminal; begin and end are kept, as names differ at either."""
    if _width(text) <= width:
        return text
    end = cut(text[::-1], width // 2 + 1).removesuffix("…")[::-1]
    return cut(text, width - _width(end)) + end


def cut(text: str, width: int) -> str:
    """Returns `text` in at most `width` columns of a terminal, with "…" at the end if it was cut."""
    if _width(text) <= width:
        return text
    shown = ""
    for letter in text:
        if _width(shown) + _width(letter) > width - 1:
            break
        shown += letter
    return shown + "…"


def span(seconds: float) -> str:
    """Returns a time in at most two units: 45s, 12m 05s, 3h 07m, 5d 02h."""
    whole = max(0, int(seconds))
    for small, large, limit in ((60, 3600, "m s"), (3600, 86400, "h m"), (86400, 1 << 62, "d h")):
        if small <= whole < large:
            big, little = limit.split()
            return f"{whole // small}{big} {whole % small // {60: 1, 3600: 60, 86400: 3600}[small]:02}{little}"
    return f"{whole}s"


def amount(size: int) -> str:
    """Returns bytes in units of powers of 1000: 999 B, 1.2 kB, 34 MB."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "B" and value < 9.95 else f"{value:.0f} {unit}"


def _columns(mounts: Sequence[MountRow], now: float, detailed: bool) -> list[list[str]]:
    head = ["MOUNT", "LISTENERS", "PEAK", "KBIT/S", "ON AIR", *(["SENT", "SLOW"] if detailed else []), "PLAYING"]
    rows = [head]
    for mount in mounts:
        on_air = span(now - mount.started) if mount.started is not None else ""
        sent = amount(mount.bytes_sent) if mount.bytes_sent is not None else ""
        slow = str(mount.slow_listeners or 0)
        numbers = [str(mount.listeners), str(mount.peak), mount.bitrate, on_air, *([sent, slow] if detailed else [])]
        rows.append([mount.name, *numbers, mount.title])
    return rows


def _headline(view: ServerView, width: int, now: float, history: Sequence[int]) -> list[str]:
    facts = [_counted(len(view.mounts), "mount"), _counted(view.listeners, "listener")]
    facts += [_counted(view.clients, "client")] if view.clients is not None else []
    facts += [f"up {span(now - view.started)}"] if view.started is not None else []
    title = cut(f"{view.server_id}  {view.host}", width)
    known = "  ·  ".join(facts)
    room = width - _width(known) - 2
    bars = spark(history[-room:]) if room > 1 else ""
    return [click.style(title, bold=True), cut("  ".join(filter(None, [known, bars])), width)]


def spark(history: Sequence[int]) -> str:
    """Returns numbers as a line of bars, scaled to the largest; empty for fewer than two."""
    top = max(history, default=0)
    return "".join(_BARS[n * (len(_BARS) - 1) // top if top else 0] for n in history) if len(history) > 1 else ""


def _view(stats: Mapping[str, Any], sources: Sequence[tuple[str, Mapping[str, Any]]]) -> ServerView:
    mounts = sorted((_mount(name, values) for name, values in sources), key=lambda m: (-m.listeners, m.name))
    return ServerView(
        server_id=printable(stats.get("server_id")),
        host=printable(stats.get("host")),
        started=_moment(stats.get("server_start_iso8601")),
        mounts=tuple(mounts),
        clients=number(stats["clients"]) if "clients" in stats else None,
    )


def _mount(name: str, values: Mapping[str, Any]) -> MountRow:
    artist, title = printable(values.get("artist")), printable(values.get("title"))
    return MountRow(
        name=printable(name),
        listeners=number(values.get("listeners")),
        peak=number(values.get("listener_peak")),
        bitrate=printable(values.get("bitrate") or values.get("ice-bitrate") or "")[:6],
        started=_moment(values.get("stream_start_iso8601")),
        title=" - ".join(filter(None, (artist, title))) or printable(values.get("server_name")),
        bytes_sent=number(values["total_bytes_sent"]) if "total_bytes_sent" in values else None,
        slow_listeners=number(values["slow_listeners"]) if "slow_listeners" in values else None,
        source_ip=printable(values.get("source_ip")),
    )


def _path_of(listenurl: str) -> str:
    return unquote("/" + listenurl.split("://", 1)[-1].partition("/")[2])


def number(value: Any) -> int:
    """Returns a number that a server sent, 0 if it is none."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _moment(value: Any) -> float | None:
    try:
        return datetime.strptime(str(value), "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except (ValueError, OverflowError):
        return None


def printable(value: Any) -> str:
    """Returns text that a server sent, without characters that a terminal would act on."""
    return "".join(letter for letter in str("" if value is None else value)[:500] if letter.isprintable())


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _width(text: str) -> int:
    """Returns the columns on a terminal: East Asian wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _padded(text: str, width: int, right: bool) -> str:
    text = cut(text, width)
    space = " " * (width - _width(text))
    return space + text if right else text + space
