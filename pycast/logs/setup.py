"""The error log: Python's logging, written in Icecast's format.

`[2025-11-22  07:00:00] INFO module/function text`: two spaces, local time, levels EROR WARN INFO DBUG. The handler is
on the root logger, so that libraries' warnings are logged too. Text from a peer cannot forge a line, because control
characters in messages are written as escapes. Only a traceback has several lines. Whoever wrote a line, what looks like
a password in it is hidden (`http/redact.py`).

Invariant: logging never raises. A record that cannot be formatted becomes a line that says so.
"""

import logging
import time

from pycast.characters import escaped, escaped_lines
from pycast.config.schema import Config
from pycast.errors import ExternalError
from pycast.http.redact import without_secrets
from pycast.logs.access import local_utc_offset
from pycast.logs.files import LogFile, RecentLine
from pycast.logs.log_set import rotation_of
from pycast.logs.shown_addresses import ShownAddresses, shown_addresses

log = logging.getLogger(__name__)

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_MARKS = ((logging.ERROR, "EROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"))


class IcecastFormatter(logging.Formatter):
    """The formatter of Icecast's error log, or of lines of JSON. Each text begins with `tag`."""

    def __init__(self, tag: str = "", is_json: bool = False, shown: ShownAddresses | None = None) -> None:
        super().__init__()
        self._tag = tag
        self._is_json = is_json
        self._shown = shown or ShownAddresses()

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line, with the lines of the traceback if the record has one, and no LF at the end."""
        mark = next((mark for level, mark in _MARKS if record.levelno >= level), "DBUG")
        text = self._tag + escaped(self._clean(record.getMessage(), record))
        trace = escaped_lines(self._clean(self.formatException(record.exc_info), record)) if record.exc_info else ""
        if self._is_json:
            from pycast.logs.json_lines import json_error

            return json_error(record, mark, text, trace, local_utc_offset(record.created))
        year, month, day, hour, minute, second, *_ = time.localtime(record.created)
        # Not strftime: that looks at the file of the time zone each time, and a disk may stall.
        when = f"{year:04}-{month:02}-{day:02}  {hour:02}:{minute:02}:{second:02}"
        line = f"[{when}] {mark} {record.module}/{record.funcName} {text}"
        return f"{line}\n{trace}" if trace else line

    def _clean(self, text: str, record: logging.LogRecord) -> str:
        return self._shown.in_text(without_secrets(text), record.created)


class LogFileHandler(logging.Handler):
    """The handler that writes records to a LogFile. From WARNING up they wait for no others, so that a crash loses
    none.
    """

    def __init__(self, file: LogFile, formatter: IcecastFormatter) -> None:
        super().__init__()
        self.file = file
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record. Never raises. Never switches."""
        try:
            line = self.format(record)
        except Exception as error:  # a bug where it was logged must not end what logged it
            line = f"{record.pathname}:{record.lineno}: cannot be logged: {type(error).__name__}"
        is_urgent = record.levelno >= logging.WARNING
        self.file.write(line.encode("utf-8", "backslashreplace") + b"\n", soon=is_urgent)

    def flush(self) -> None:
        """Waits until the file's lines are written, at most `CLOSE_S`. May switch."""
        self.file.flush()

    def close(self) -> None:
        """Closes the handler and its file."""
        self.file.close()
        super().close()


def setup_logging(config: Config, tag: str = "") -> LogFile:
    """Writes the log of the whole process as the configuration says. Returns its file, for `reopen` and `close`.

    Each text begins with `tag`. If called again, the new file and level replace the old ones. Raises ExternalError if
    the file cannot be opened; the old log stays in use then. May switch.
    """
    settings = config.logging
    file = LogFile(settings.error_log, rotation=rotation_of(settings))
    root = logging.getLogger()
    replaced = [handler for handler in root.handlers if isinstance(handler, LogFileHandler)]
    formatter = IcecastFormatter(tag, settings.format == "json", shown_addresses(config))
    root.addHandler(LogFileHandler(file, formatter))
    root.setLevel(LEVELS[settings.log_level])
    # At this level it writes the whole address of each call, with the key that a station has in its query.
    logging.getLogger("urllib3").setLevel(max(root.level, logging.INFO))
    for handler in replaced:
        file.go_on_from(handler.file)
        root.removeHandler(handler)
    for handler in replaced:
        handler.close()
    return file


def recent_errors() -> list[RecentLine]:
    """Returns the last lines of the error log, if that is no file."""
    handlers = logging.getLogger().handlers
    return [line for handler in handlers if isinstance(handler, LogFileHandler) for line in handler.file.recent]


def set_up_again(file: LogFile, config: Config, tag: str = "") -> LogFile:
    """Returns a new error log by this configuration, or `file`, which stays, if it cannot be opened. May switch."""
    try:
        return setup_logging(config, tag)
    except ExternalError as error:
        log.error("the old error log stays: %s", error)
        return file
