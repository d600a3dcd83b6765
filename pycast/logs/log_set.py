"""The access log and the playlist log of a node: opens, reloads and closes them together."""

import logging
import time

from pycast.config.schema import LoggingSection
from pycast.errors import ExternalError
from pycast.logs.access import AccessEntry, AccessLog
from pycast.logs.files import LogFile
from pycast.logs.playlist import PlaylistEntry, PlaylistLog

log = logging.getLogger(__name__)


class LogSet:
    """Both logs. The constructor raises ExternalError if one cannot be opened; it may switch."""

    def __init__(self, settings: LoggingSection) -> None:
        self._settings = settings
        self._access_file = _opened(settings.access_log)
        try:
            self._playlist_file = _opened(settings.playlist_log)
        except ExternalError:
            self._access_file.close()
            raise
        self._access = AccessLog(self._access_file)
        self._playlist = PlaylistLog(self._playlist_file)

    def log_access(self, entry: AccessEntry) -> None:
        """Writes a line of the access log. Never switches."""
        self._access.write(entry)

    def log_title(self, mount: str, listeners: int, title: str) -> None:
        """Writes a line of the playlist log. Never switches."""
        self._playlist.write(PlaylistEntry(time.time(), mount, listeners, title))

    def reload(self, settings: LoggingSection) -> None:
        """Reopens the files, or opens others if their paths have changed. Raises ExternalError if one of those cannot
        be opened; the old ones stay in use then. May switch.
        """
        access = _reopened(self._access_file, self._settings.access_log, settings.access_log)
        try:
            playlist = _reopened(self._playlist_file, self._settings.playlist_log, settings.playlist_log)
        except ExternalError:
            _close_replaced(access, self._access_file)
            raise
        replaced = ((self._access_file, access), (self._playlist_file, playlist))
        self._settings = settings
        self._access_file, self._access = access, AccessLog(access)
        self._playlist_file, self._playlist = playlist, PlaylistLog(playlist)
        for old, new in replaced:
            _close_replaced(old, new)

    def close(self) -> None:
        """Writes the queued lines and closes the files. May switch."""
        self._access_file.close()
        self._playlist_file.close()


def _reopened(file: LogFile, old_path: str, path: str) -> LogFile:
    if path != old_path:
        return _opened(path)
    file.reopen()
    return file


def _opened(path: str) -> LogFile:
    return LogFile(path, report=lambda text: log.error("%s", text))


def _close_replaced(old: LogFile, new: LogFile) -> None:
    if old is not new:
        old.close()
