"""The access log and the playlist log of a node: opens, reloads and closes them together."""

import time

from pycast.config.schema import LoggingSection
from pycast.errors import ExternalError
from pycast.logs.access import AccessEntry, AccessLog
from pycast.logs.files import LogFile, hub_after
from pycast.logs.playlist import PlaylistEntry, PlaylistLog


class LogSet:
    """The access log and the playlist log. The constructor raises ExternalError if one cannot be opened. No method
    switches.
    """

    def __init__(self, settings: LoggingSection) -> None:
        self._settings = settings
        self._access_file = LogFile(settings.access_log, hub_after)
        try:
            self._playlist_file = LogFile(settings.playlist_log, hub_after)
        except ExternalError:
            self._access_file.close()
            raise
        self._access = AccessLog(self._access_file)
        self._playlist = PlaylistLog(self._playlist_file)

    def log_access(self, entry: AccessEntry) -> None:
        """Writes a line of the access log."""
        self._access.write(entry)

    def log_title(self, mount: str, listeners: int, title: str) -> None:
        """Writes a line of the playlist log."""
        self._playlist.write(PlaylistEntry(time.time(), mount, listeners, title))

    def reload(self, settings: LoggingSection) -> None:
        """Reopens the files, or opens others if their paths have changed. Raises ExternalError if one of those cannot
        be opened; the old ones stay in use then.
        """
        access = _reopened(self._access_file, self._settings.access_log, settings.access_log)
        try:
            playlist = _reopened(self._playlist_file, self._settings.playlist_log, settings.playlist_log)
        except ExternalError:
            _close_replaced(access, self._access_file)
            raise
        _close_replaced(self._access_file, access)
        _close_replaced(self._playlist_file, playlist)
        self._settings = settings
        self._access_file, self._access = access, AccessLog(access)
        self._playlist_file, self._playlist = playlist, PlaylistLog(playlist)

    def close(self) -> None:
        """Writes the collected lines and closes the files."""
        self._access_file.close()
        self._playlist_file.close()


def _reopened(file: LogFile, old_path: str, path: str) -> LogFile:
    if path != old_path:
        return LogFile(path, hub_after)
    file.reopen()
    return file


def _close_replaced(old: LogFile, new: LogFile) -> None:
    if old is not new:
        old.close()
