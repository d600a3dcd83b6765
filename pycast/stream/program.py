"""What one source brings to a mount: its description, its stream's format and properties, and its dump.

A mount has one program at a time, and a new one with each source. What belongs to a source and not to the mount is
here, so nothing of the source before is left. A mirror's program has no format: its units and marks were made by
another node. The title is not here: it belongs to an offset, and so to the timeline.
"""

import logging
from collections.abc import Mapping

from pycast.formats.content_types import content_type_for_listeners, family_of, is_same_format
from pycast.formats.marks import Format, HoldingFormat, Info, Mark, Tags, TitledFormat
from pycast.formats.standby import StandbyStream
from pycast.http.listener_head import source_block
from pycast.stream.dump import Dump
from pycast.stream.source import SourceDescription
from pycast.stream.timeline import Title

log = logging.getLogger(__name__)


class Program:
    """The present source's part of one mount."""

    def __init__(self, mount: str, description: SourceDescription, stream_name: str) -> None:
        self.description = description
        self.family = family_of(description.content_type, description.format)
        """Which streams a listener of this one can be moved to: as `Format.family`."""
        self.listener_lines = b""
        """The `icy-` lines of a listener's response head that mirror the source's headers."""
        self.bitrate: int | None = None
        self.stats: dict[str, str] = {}
        self.listener_content_type = content_type_for_listeners(description.content_type)
        """The content type in a listener's response head."""
        self._mount = mount
        self._format: Format | None = None
        self._dump: Dump | None = None
        self._warned = ""
        self._is_told = False
        self._counted = 0
        self.rename(stream_name)

    def rename(self, stream_name: str) -> None:
        """Makes the `icy-` lines anew, with the configured stream name, if there is one, in place of the source's."""
        self.listener_lines = source_block(self.description.headers, stream_name or None)

    def can_follow(self, other: "Program") -> bool:
        """Whether a player that began with the other program can play this one after it."""
        return is_same_format(self.description.format_name, other.description.format_name)

    def begin(self, offset: int, stream: StandbyStream | None, dump_file: str) -> None:
        """Starts the format and the dump; `feed` may be called from now on. `stream` is what the source has fed as a
        standby, if it was one.
        """
        self._format = stream.resume_at(offset) if stream else self.description.new_format(offset)
        if dump_file:
            self._dump = Dump(dump_file, self._mount, self.description.started)

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns the whole units in the source's bytes, and what was found in them. Raises FormatError."""
        assert self._format is not None
        if self._dump:
            self._dump.write(data)
        found = self._format.feed(data)
        if not self._warned:
            self._warn()
        return found

    def retitle(self, title: Title | None) -> None:
        """Puts a title into the stream itself, where its format has a place for one."""
        if title is None or not isinstance(self._format, TitledFormat):
            return
        if not self._format.retitle(title.artist, title.title) and not self._is_told:
            self._is_told = True
            log.info(
                "mount %s: titles are in the statistics only: %s in Ogg can have none in the middle of the stream",
                self._mount,
                self.stats.get("subtype") or "this codec",
            )

    def take_dropped(self) -> int:
        """Returns how many bytes of the source were dropped since the last call."""
        before, self._counted = self._counted, self._format.dropped if self._format else 0
        return max(self._counted - before, 0)

    def note(self, info: Info) -> None:
        """Stores properties of the stream."""
        self.bitrate = info.bitrate or self.bitrate
        self.stats |= info.stats

    def all_stats(self) -> Mapping[str, str]:
        """Returns the pairs of the source's `ice-audio-info`, and in their place what was read from the stream."""
        return {**self.description.info.audio_stats, **self.stats}

    def to_standby(self, offset: int, header: bytes, tags: Tags | None) -> StandbyStream:
        """Returns the stream as it is at `offset`. The caller feeds it from now on, so that it stays in step."""
        assert self._format is not None
        self._warn()
        format, self._format = self._format, None
        info = Info(offset, self.bitrate, self.stats) if self.bitrate or self.stats else None
        return StandbyStream(format, offset, header, info, tags)

    def end(self) -> tuple[bytes, list[Mark]]:
        """Ends the format and the dump; returns the last unit, if the format has held it back, and its marks."""
        self._warn()
        format, self._format = self._format, None
        self.close_dump()
        return format.finish() if isinstance(format, HoldingFormat) else (b"", [])

    def close_dump(self) -> None:
        if self._dump:
            self._dump.close()
            self._dump = None

    def _warn(self) -> None:
        """Logs the format's warning, unless it is the one logged last."""
        warning = self._format.warning if self._format else ""
        if warning and warning != self._warned:
            log.warning("mount %s: %s", self._mount, warning)
            self._warned = warning
