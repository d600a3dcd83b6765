"""Plays a file, or bytes in memory, on a mount of this node in real time, again and again.

The mount is fed as a mirror is: whole units, with their marks, at the offsets that they have. When each is due follows
from the times in the audio itself, so a rate need not be known and a variable one is right. All listeners of the mount
are at the same place of the file. It is played only while somebody listens; a file of any size is read piece by piece
in a native thread (`disk/looped_file.py`), some seconds ahead.

The first seconds go out at once, and until they are over a listener that is moved here begins with the first byte
(`Mount.first_place`): an announcement is heard from its beginning. From then on a little more than what is due has gone
out, so that nobody waits for the next piece. The one invariant: what is fed is the file's audio, every unit of it in
order, whatever the disk does.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable

import gevent

from pycast.disk.calls import begin_off_hub, off_hub
from pycast.disk.looped_file import LoopedContent, Piece
from pycast.errors import ExternalError, FormatError
from pycast.formats.content_types import content_type_of
from pycast.formats.file_audio import FileAudio, Unit
from pycast.formats.marks import Info
from pycast.http.source_headers import SourceInfo
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts
from pycast.stream.source import SourceDescription

log = logging.getLogger(__name__)

# What goes out at once: enough for most players to begin. The rest follows when only LEAD_S is ahead of the clock.
FIRST_S = 1.5

# The bytes in which these have to be. A video has some megabytes a second, and a picture of some more may come first;
# but audio without times, as in an Ogg file whose pages do not say when they are due, would be read and held whole.
MOST_FIRST = 32 << 20

# How far the mount is ahead of the clock after that: more than the time between two writes to a crowded mount.
LEAD_S = 1.0

# Between two feeds.
STEP_S = 0.1

# So much is read ahead: a disk that sleeps needs some seconds to wake.
AHEAD_S = 10.0

# After a stall the rest of it is not made up for: players have waited for it, and would be late for ever.
LATE_S = 3.0

# Without listeners it goes on for so long, as they come and go.
LINGER_S = 30.0

# A round of a file takes at least so long; one that gives nothing is read again after a pause.
SHORTEST_ROUND_S = 0.05
RETRY_S = 1.0


class FilePlayer:
    """Plays one content on the mount `name`."""

    def __init__(self, name: str, content: LoopedContent, mounts: Mounts, clock: Callable[[], float]) -> None:
        self.wanted_at = clock()
        """When somebody last asked for it."""
        self._name = name
        self._content = content
        self._mounts = mounts
        self._clock = clock
        self._mount: Mount | None = None
        self._audio = FileAudio(content.format, 0, lambda: int.from_bytes(os.urandom(4)))
        self._units: deque[Unit] = deque()
        self._read_to_s = 0.0
        """Up to where its media time has been read."""
        self._round_from_s = -1.0
        """Where the present round began; less than 0 before the first."""
        self._began = 0.0
        """When media time 0 was due."""
        self._is_reading = self._is_over = self._is_closed = False
        self._read_not_before = 0.0
        self._noted = ""

    def start(self) -> Mount:
        """Reads the beginning and puts the mount on the air with it. Raises ExternalError, whose text is the reason.
        May switch.
        """
        size = 0
        try:
            while self._read_to_s < FIRST_S:
                piece = off_hub(self._content.next_piece)
                self._take(piece)
                if self._read_not_before:
                    raise ExternalError("it has no audio that can be played")
                size += len(piece.data)
                if size >= MOST_FIRST and self._read_to_s < FIRST_S:
                    raise ExternalError(f"its first {MOST_FIRST >> 20} MiB have no times by which it could be played")
        except (ExternalError, FormatError) as error:
            self.close()
            raise ExternalError(str(error)) from error
        kind = content_type_of("", self._content.format, has_video=_has_video(self._units))
        description = SourceDescription(SourceInfo(), kind, (), "", time.time(), self._content.format)
        self._mount = self._mounts.attach_mirror(self._name, self, description, 0)
        self._began = self._clock()
        self._feed(FIRST_S)
        self._mount.hold_first()
        return self._mount

    def run(self) -> None:
        """Plays until nobody listens any more, or the mount is over. May switch."""
        try:
            while self._is_needed():
                gevent.sleep(STEP_S)
                self._play()
        finally:
            self._end()

    def close(self) -> None:
        """Ends the content, as soon as it is not being read."""
        self._is_over = True
        if not (self._is_reading or self._is_closed):
            self._is_closed = begin_off_hub(self._content.close, lambda _: None)

    def _end(self) -> None:
        if self._mount is not None and self._mounts.get(self._name) is self._mount:
            self._mounts.close(self._name)
        self.close()

    def _is_needed(self) -> bool:
        mount = self._mount
        if mount is None or self._mounts.get(self._name) is not mount:
            return False
        return bool(len(mount.fanout)) or self._clock() - self.wanted_at < LINGER_S

    def _play(self) -> None:
        """Feeds what is due, and sees to it that there is more. Never switches."""
        due = self._clock() - self._began + LEAD_S
        if self._units and (late := due - self._units[0].time_s) > LATE_S:
            self._began += late - LEAD_S
            due -= late - LEAD_S
        self._feed(due)
        self._read_on()

    def _feed(self, due: float) -> None:
        out, marks = [], []
        while self._units and self._units[0].time_s < due:
            unit = self._units.popleft()
            out.append(unit.data)
            marks += unit.marks
        if out:
            assert self._mount is not None
            self._mount.take(b"".join(out), marks)

    def _read_on(self) -> None:
        """Begins to read the next piece, if it is time."""
        now = self._clock()
        ahead = self._read_to_s - (now - self._began)
        if not (self._is_reading or self._is_over or ahead >= AHEAD_S or now < self._read_not_before):
            self._is_reading = begin_off_hub(self._content.next_piece, self._on_piece)

    def _on_piece(self, piece: Piece) -> None:
        self._is_reading = False
        if self._is_over:
            self.close()
            return
        try:
            self._take(piece)
        except FormatError as error:
            log.error("%s: cannot be played on: %s", self._name, error)
            self._end()
            return
        self._read_on()

    def _take(self, piece: Piece) -> None:
        """Takes what was read. Raises FormatError."""
        self._read_not_before = 0.0
        if piece.note and piece.note != self._noted:
            log.warning("%s: %s", self._name, piece.note)
        self._noted = piece.note if not piece.data else ""
        if piece.begins:
            self._units += self._audio.end_round()
            read_to_s = self._audio.end_s
            is_empty = 0.0 <= self._round_from_s > read_to_s - SHORTEST_ROUND_S
            self._round_from_s = read_to_s
            if is_empty:
                self._read_not_before = self._clock() + RETRY_S
        if not piece.data:
            self._read_not_before = self._clock() + RETRY_S
        self._units += self._audio.feed(piece.data)
        self._read_to_s = self._audio.end_s


def _has_video(units: Iterable[Unit]) -> bool:
    return any(isinstance(mark, Info) and "frame_size" in mark.stats for unit in units for mark in unit.marks)
