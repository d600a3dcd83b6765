"""The keys of the section for logs, like those of schema.py: each written once, with type, default, bounds and the
sentence that explains it.
"""

from typing import Literal

from pycast.config.section import Section, key
from pycast.config.values import FileSize, Flag, LogLevel, Seconds, Text


class LoggingSection(Section):
    """Where the logs go: a file (a new one gets mode 640), "-" for stderr, "" for none. SIGHUP reopens the files."""

    access_log: Text = key(
        "-", "One line for each request, in the format of Icecast and Apache.", icecast=("accesslog",)
    )
    error_log: Text = key("-", "What the server does and what goes wrong.", icecast=("errorlog",))
    playlist_log: Text = key("", "One line for each title that is played.", icecast=("playlistlog",))
    log_level: LogLevel = key(
        "info",
        'The lowest level of lines in the error log: "debug", "info", "warning" or "error".',
        icecast=("loglevel",),
    )
    format: Literal["text", "combined", "json"] = key(
        "text",
        'How the lines look: "text" as those of Icecast, "combined" with an access log in the combined format of '
        'Apache and nginx, which is the same without the seconds at the end, "json" with a JSON object for each line '
        "of all three logs.",
        icecast=(),
    )
    logsize: FileSize = key(
        0,
        'A log file that has become this large is renamed to its name with ".old" at the end, and a new one begun. 0: '
        "never. In icecast.xml it is a number of KiB.",
        example="10M",
    )
    logduration: Seconds = key(
        0.0,
        'A log file is also renamed when its time is over: with "1d" at midnight, with "1h" at each full hour, in '
        "local time. 0: never. In icecast.xml it is <duration> in a log.",
        example="1d",
    )
    logarchive: Flag = key(
        False,
        "With logsize or logduration: it is renamed to its name with the time instead "
        '(".20260131_235959"), and all stay.',
    )
    addresses: Literal["full", "truncate", "hash"] = key(
        "full",
        'How the addresses of clients are written into the logs: "full"; "truncate" with 0 in place of the last '
        'number, of IPv6 addresses all after the first 48 bits; "hash" as a word that is the same for all lines of '
        "an address and a day. Bans and statistics have the whole address.",
        icecast=(),
    )
