"""The access logs and the playlist log of a node: opens, reloads and closes them together."""

import logging
import time
from collections.abc import Mapping

from pycast.config.schema import Config, LoggingSection
from pycast.disk.rotation import Rotation
from pycast.errors import ExternalError
from pycast.logs.access import AccessEntry, AccessFormat, AccessLog, format_access, format_combined, local_utc_offset
from pycast.logs.files import LogFile, RecentLine
from pycast.logs.playlist import PlaylistEntry, PlaylistFormat, PlaylistLog, format_playlist
from pycast.logs.shown_addresses import shown_addresses

log = logging.getLogger(__name__)

# Their names here: no paths.
ACCESS, PLAYLIST = "", "playlist:"


class LogSet:
    """These logs, and the access logs of mounts. The constructor raises ExternalError if one cannot be opened; it may
    switch.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._files: dict[str, LogFile] = {}
        self._files = self._opened(config, {})
        self._write_as(config)

    def log_access(self, entry: AccessEntry, mount: str = "") -> None:
        """Writes a line of the access log, and of that of the mount for which a listener asked. Never switches."""
        self._access.write(entry)
        if mount and self._of_mounts:
            own = self._of_mounts.get(self._config.for_mount(mount).access_log)
            if own is not None:
                own.write(entry)

    def log_title(self, mount: str, listeners: int, title: str) -> None:
        """Writes a line of the playlist log. Never switches."""
        self._playlist.write(PlaylistEntry(time.time(), mount, listeners, title))

    def recent(self, name: str) -> list[RecentLine]:
        """Returns the last lines of the "access" or "playlist" log, if that is no file."""
        return self._files[ACCESS if name == "access" else PLAYLIST].recent

    def reload(self, config: Config) -> None:
        """Reopens the files, or opens others if their paths have changed. Raises ExternalError if one of those cannot
        be opened; the old ones stay in use then. May switch.
        """
        paths, before = _paths(config), _paths(self._config)
        kept = {name: file for name, file in self._files.items() if paths.get(name) == before[name]}
        replaced, files = self._files, self._opened(config, kept)
        for file in kept.values():
            file.reopen()
            file.rotation = rotation_of(config.logging)
        self._config, self._files = config, files
        self._write_as(config)
        for name, file in replaced.items():
            if name not in kept:
                file.close()

    def close(self) -> None:
        """Writes the queued lines and closes the files. May switch."""
        for file in self._files.values():
            file.close()

    def _opened(self, config: Config, kept: Mapping[str, LogFile]) -> dict[str, LogFile]:
        rotation, files = rotation_of(config.logging), dict(kept)
        try:
            for name, path in _paths(config).items():
                if name not in kept:
                    files[name] = LogFile(path, lambda text: log.error("%s", text), rotation)
        except ExternalError:
            for name in files.keys() - kept.keys():
                files[name].close()
            raise
        return files

    def _write_as(self, config: Config) -> None:
        access, playlist = _formats(config.logging.format)
        shown = shown_addresses(config)
        logs = {
            name: AccessLog(file, local_utc_offset, access, shown)
            for name, file in self._files.items()
            if name != PLAYLIST
        }
        self._access = logs.pop(ACCESS)
        self._of_mounts = logs
        self._playlist = PlaylistLog(self._files[PLAYLIST], local_utc_offset, playlist)


def _paths(config: Config) -> dict[str, str]:
    """Returns the paths of all logs by name; that of a mount's log is its path."""
    main = config.logging.access_log
    own = (one.access_log for one in config.mount if one.access_log and one.access_log != main)
    return {ACCESS: main, PLAYLIST: config.logging.playlist_log} | {path: path for path in own}


def rotation_of(settings: LoggingSection) -> Rotation:
    """Returns when and how the log files are rotated."""
    return Rotation(settings.logsize, settings.logduration, settings.logarchive)


def _formats(name: str) -> tuple[AccessFormat, PlaylistFormat]:
    if name == "json":
        from pycast.logs.json_lines import json_access, json_playlist

        return json_access, json_playlist
    return format_combined if name == "combined" else format_access, format_playlist
