"""The error log: Python's logging, written in Icecast's format.

`[2025-11-22 07:00:00] INFO module/function text` (two spaces, local time, levels EROR WARN INFO DBUG). One handler on
the root logger, so that libraries' warnings are seen too. Text that came from a peer cannot forge a line: control
characters in messages are written as escapes; only a traceback has several lines.
"""

import logging
import time

from pycast.errors import ConfigError
from pycast.logs.files import After, LogFile

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_MARKS = ((logging.ERROR, "EROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"))
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {10: "\\n", 13: "\\r", 9: "\\t"}
_TRACE_ESCAPES = {code: text for code, text in _ESCAPES.items() if code != 10}


class IcecastFormatter(logging.Formatter):
    """A record as Icecast would write it, its text after `tag`."""

    def __init__(self, tag: str = "") -> None:
        super().__init__()
        self._tag = tag

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback's lines if the record has one; no LF at the end."""
        when = time.strftime("%Y-%m-%d  %H:%M:%S", time.localtime(record.created))
        mark = next((mark for level, mark in _MARKS if record.levelno >= level), "DBUG")
        text = record.getMessage().translate(_ESCAPES)
        line = f"[{when}] {mark} {record.module}/{record.funcName} {self._tag}{text}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info).translate(_TRACE_ESCAPES)
        return line


class LogFileHandler(logging.Handler):
    """Hands records to a LogFile. From WARNING up they are written at once: a crash must not take them along."""

    def __init__(self, file: LogFile, tag: str = "") -> None:
        super().__init__()
        self.file = file
        self.setFormatter(IcecastFormatter(tag))

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises because of the file; never switches."""
        self.file.write(self.format(record).encode("utf-8", "backslashreplace") + b"\n")
        if record.levelno >= logging.WARNING:
            self.file.flush()

    def flush(self) -> None:
        """Writes what the file still holds."""
        self.file.flush()

    def close(self) -> None:
        """Closes the file too."""
        self.file.close()
        super().close()


def setup_logging(level: str, error_log: str, after: After | None = None, tag: str = "") -> LogFile:
    """Sends the log of the whole process to `error_log` ("-", "" or a path); returns it for `reopen()` and `close()`.

    Each line's text begins with `tag`. May be called again: the new file and level replace the old. Raises ConfigError
    for a level it does not know, ExternalError if the file cannot be opened; the old log stays then.
    """
    number = LEVELS.get(level.lower())
    if number is None:
        raise ConfigError([f"logging.log_level = {level}: expected one of {', '.join(LEVELS)}"])
    file = LogFile(error_log, after)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, LogFileHandler)]:
        root.removeHandler(handler)
        handler.close()
    root.addHandler(LogFileHandler(file, tag))
    root.setLevel(number)
    return file
