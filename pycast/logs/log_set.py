"""The access log and the playlist log of a node: opens, reloads and closes them together."""

import logging
import time

from pycast.config.schema import Config, LoggingSection
from pycast.disk.rotation import Rotation
from pycast.errors import ExternalError
from pycast.logs.access import AccessEntry, AccessFormat, AccessLog, format_access, format_combined, local_utc_offset
from pycast.logs.files import LogFile
from pycast.logs.playlist import PlaylistEntry, PlaylistFormat, PlaylistLog, format_playlist
from pycast.logs.shown_addresses import shown_addresses

log = logging.getLogger(__name__)


class LogSet:
    """Both logs. The constructor raises ExternalError if one cannot be opened; it may switch."""

    def __init__(self, config: Config) -> None:
        self._settings = settings = config.logging
        rotation = rotation_of(settings)
        self._access_file = _opened(settings.access_log, rotation)
        try:
            self._playlist_file = _opened(settings.playlist_log, rotation)
        except ExternalError:
            self._access_file.close()
            raise
        self._write_as(config)

    def log_access(self, entry: AccessEntry) -> None:
        """Writes a line of the access log. Never switches."""
        self._access.write(entry)

    def log_title(self, mount: str, listeners: int, title: str) -> None:
        """Writes a line of the playlist log. Never switches."""
        self._playlist.write(PlaylistEntry(time.time(), mount, listeners, title))

    def reload(self, config: Config) -> None:
        """Reopens the files, or opens others if their paths have changed. Raises ExternalError if one of those cannot
        be opened; the old ones stay in use then. May switch.
        """
        settings, rotation = config.logging, rotation_of(config.logging)
        access = _reopened(self._access_file, self._settings.access_log, settings.access_log, rotation)
        try:
            playlist = _reopened(self._playlist_file, self._settings.playlist_log, settings.playlist_log, rotation)
        except ExternalError:
            _close_replaced(access, self._access_file)
            raise
        replaced = ((self._access_file, access), (self._playlist_file, playlist))
        self._settings = settings
        self._access_file, self._playlist_file = access, playlist
        access.rotation = playlist.rotation = rotation
        self._write_as(config)
        for old, new in replaced:
            _close_replaced(old, new)

    def close(self) -> None:
        """Writes the queued lines and closes the files. May switch."""
        self._access_file.close()
        self._playlist_file.close()

    def _write_as(self, config: Config) -> None:
        access, playlist = _formats(config.logging.format)
        self._access = AccessLog(self._access_file, local_utc_offset, access, shown_addresses(config))
        self._playlist = PlaylistLog(self._playlist_file, local_utc_offset, playlist)


def rotation_of(settings: LoggingSection) -> Rotation:
    """Returns when and how the log files are rotated."""
    return Rotation(settings.logsize, settings.logarchive)


def _formats(name: str) -> tuple[AccessFormat, PlaylistFormat]:
    if name == "json":
        from pycast.logs.json_lines import json_access, json_playlist

        return json_access, json_playlist
    return format_combined if name == "combined" else format_access, format_playlist


def _reopened(file: LogFile, old_path: str, path: str, rotation: Rotation) -> LogFile:
    if path != old_path:
        return _opened(path, rotation)
    file.reopen()
    return file


def _opened(path: str, rotation: Rotation) -> LogFile:
    return LogFile(path, lambda text: log.error("%s", text), rotation)


def _close_replaced(old: LogFile, new: LogFile) -> None:
    if old is not new:
        old.close()
