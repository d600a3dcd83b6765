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
from pycast.errors import ConfigError
from pycast.http.redact import without_secrets
from pycast.logs.files import LogFile

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_MARKS = ((logging.ERROR, "EROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"))


class IcecastFormatter(logging.Formatter):
    """The formatter of Icecast's error log. Each text begins with `tag`."""

    def __init__(self, tag: str = "") -> None:
        super().__init__()
        self._tag = tag

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line, with the lines of the traceback if the record has one, and no LF at the end."""
        year, month, day, hour, minute, second, *_ = time.localtime(record.created)
        # Not strftime: that looks at the file of the time zone each time, and a disk may stall.
        when = f"{year:04}-{month:02}-{day:02}  {hour:02}:{minute:02}:{second:02}"
        mark = next((mark for level, mark in _MARKS if record.levelno >= level), "DBUG")
        text = escaped(without_secrets(record.getMessage()))
        line = f"[{when}] {mark} {record.module}/{record.funcName} {self._tag}{text}"
        if record.exc_info:
            line += "\n" + escaped_lines(without_secrets(self.formatException(record.exc_info)))
        return line


class LogFileHandler(logging.Handler):
    """The handler that writes records to a LogFile. From WARNING up they wait for no others, so that a crash loses
    none.
    """

    def __init__(self, file: LogFile, tag: str = "") -> None:
        super().__init__()
        self.file = file
        self.setFormatter(IcecastFormatter(tag))

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


def setup_logging(level: str, error_log: str, tag: str = "") -> LogFile:
    """Writes the log of the whole process to `error_log` ("-", "" or a path). Returns it, for `reopen` and `close`.

    Each text begins with `tag`. If called again, the new file and level replace the old ones. Raises ConfigError for an
    unknown level, ExternalError if the file cannot be opened; the old log stays in use then. May switch.
    """
    number = LEVELS.get(level.lower())
    if number is None:
        raise ConfigError([f"logging.log_level = {level}: expected one of {', '.join(LEVELS)}"])
    file = LogFile(error_log)
    root = logging.getLogger()
    replaced = [handler for handler in root.handlers if isinstance(handler, LogFileHandler)]
    root.addHandler(LogFileHandler(file, tag))
    root.setLevel(number)
    for handler in replaced:
        root.removeHandler(handler)
    for handler in replaced:
        handler.close()
    return file
