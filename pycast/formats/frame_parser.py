"""Streams of frames that each begin with a sync word: the part that MPEG audio and ADTS have in common.

The theory. A sync word also occurs inside audio and inside tags, so a first frame counts only if a second one of the
same kind follows exactly where it ends. From then on the end of a frame is a frame boundary, and there one valid header
is enough, even of another kind: sources play one file after another. Anything else is junk (mostly ID3 tags). It passes
unchanged, because encoders are trusted with their own bytes, but no listener starts in it. A stream without a frame in
its first 64 KiB is not what its content type says. Some players may still play it, so it continues as an opaque stream
instead of being refused.

The one invariant: what comes out, joined, is what came in, without the frame that is not complete yet.

Rejected: requiring the same kind for the whole stream (breaks playlists of mixed files); looking for frames in steps of
one byte (a regular expression finds the next candidate at C speed); an object for each frame (a tuple from a table
costs a fifth).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pycast.formats.clock import BitrateMeter
from pycast.formats.marks import Info, Join, Mark

MAX_JUNK = 64 * 1024
"""Bytes of junk in a row after which the stream is taken for another format."""

MAX_ID3 = 16 * 1024 * 1024
"""A larger ID3v2 tag, or more of them in a row, is taken for junk: covers of a few MB are common, 256 MB (the field's
limit) a mistake."""

ID3_HEAD = 10
_ID3_FIRST = 0x49
_TAIL = 3
"""If there is no candidate in the buffer, this many bytes at its end may still be the start of one (`ID3`, or the first
half of a sync word)."""

_MAGIC = {b"OggS": "Ogg", b"\x1aE\xdf\xa3": "WebM or Matroska", b"fLaC": "FLAC"}


@dataclass(frozen=True, slots=True)
class FrameKind:
    """What neighbouring frames of one recording share. Compared by identity: decoders return one object per kind."""

    codec: str
    samplerate: int
    channels: int
    """0: not in the header."""


Frame = tuple[int, float, FrameKind, int]
"""Length in bytes, duration in seconds, kind, nominal bit rate in bit/s (0: not in the header)."""

Decode = Callable[[bytes, int], Frame | None]
"""A function that reads the header at a position of a buffer; the whole header is there."""


class FrameStream:
    """A cutter of streams into frames. `sync` matches the first two bytes of a header, `decode` reads the header, which
    has `header_size` bytes."""

    def __init__(self, name: str, sync: bytes, header_size: int, decode: Decode, base: int) -> None:
        self.warning = ""
        self._name = name
        self._candidate = re.compile(sync + rb"|ID3[\x02-\x04]", re.DOTALL)
        self._header_size = header_size
        self._decode = decode
        self._offset = base
        self._held = b""
        self._skip = 0
        self._tags = 0
        self._junk = 0
        self._is_opaque = False
        self._is_synced = False
        self._kind: FrameKind | None = None
        self._time_s = 0.0
        self._meter = BitrateMeter(base, 0.0, None)
        self._marks: list[Mark] = []

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns all complete frames and the junk between them, and the marks in them. Never raises."""
        buf = self._held + data if self._held else data
        marks = self._marks = []
        if data and self._is_lost:
            marks.append(Join(self._offset, None))
        end = len(buf) if self._is_opaque else self._parse(buf)
        self._held = buf[end:]
        self._offset += end
        return buf[:end], marks

    @property
    def _is_lost(self) -> bool:
        """Whether there was no frame for so long that listeners may start at any byte."""
        return self._is_opaque or self._junk > MAX_JUNK

    def _parse(self, buf: bytes) -> int:
        """Advances as far as `buf` allows; returns how many of its bytes are done with."""
        pos = 0
        while True:
            # Frames while there are any, junk up to the next one, until neither gets any further.
            before, was_synced = pos, self._is_synced
            pos = self._frames(buf, pos) if was_synced else self._search(buf, pos)
            if self._is_opaque:
                return len(buf)
            if pos == before and was_synced == self._is_synced:
                return pos

    def _frames(self, buf: bytes, pos: int) -> int:
        """Passes whole frames from `pos` on, until the buffer ends or no frame follows. This is the hot loop."""
        decode, mark, offset = self._decode, self._marks.append, self._offset
        time_s, due_s = self._time_s, self._meter.due_s
        size = len(buf)
        last = size - self._header_size
        while pos <= last:
            frame = decode(buf, pos)
            if frame is None:
                self._is_synced = False
                break
            length, seconds, kind, _ = frame
            if pos + length > size:
                break
            if kind is not self._kind or time_s >= due_s:
                self._report(offset + pos, time_s, frame)
                due_s = self._meter.due_s
            mark(Join(offset + pos, time_s))
            time_s += seconds
            pos += length
        self._time_s = time_s
        return pos

    def _report(self, offset: int, time_s: float, frame: Frame) -> None:
        """Adds an Info for a new kind of frame, or for a bit rate that has changed."""
        _, _, kind, nominal = frame
        bitrate: int | None
        if kind is self._kind:
            bitrate = self._meter.measure(offset, time_s)
            if bitrate is None:
                return
        else:
            self._kind, bitrate = kind, nominal or None
            self._meter = BitrateMeter(offset, time_s, bitrate)
        self._marks.append(_info(offset, kind, bitrate))

    def _search(self, buf: bytes, pos: int) -> int:
        """Passes junk up to the next frame; stops where it takes more bytes to decide."""
        if self._skip:
            return self._skip_tag(buf, pos)
        match = self._candidate.search(buf, pos)
        start = match.start() if match else max(pos, len(buf) - _TAIL)
        if start > pos:
            return self._pass_junk(buf, pos, start)
        if match is None:
            return pos
        verdict = self._judge_tag(buf, pos) if buf[pos] == _ID3_FIRST else self._judge_frame(buf, pos)
        return self._pass_junk(buf, pos, pos + 1) if verdict is False else self._skip_tag(buf, pos)

    def _judge_frame(self, buf: bytes, start: int) -> bool | None:
        """Whether a frame starts at `start`: True (now synced), False, or None if it takes more bytes to decide."""
        if start + self._header_size > len(buf):
            return None
        first = self._decode(buf, start)
        if first is None:
            return False
        following = start + first[0]
        if following + self._header_size > len(buf):
            return None
        second = self._decode(buf, following)
        if second is None or second[2] is not first[2]:
            return False
        # The first frame may be a Xing or LAME info frame, whose own bit rate means nothing: the second one's counts.
        if first[2] is not self._kind:
            self._report(self._offset + start, self._time_s, second)
        else:
            self._meter.restart(self._offset + start, self._time_s)
        self._is_synced = True
        self._junk = self._tags = 0
        return True

    def _judge_tag(self, buf: bytes, start: int) -> bool | None:
        """Whether an ID3v2 tag starts at `start`, as `_judge_frame`."""
        if start + ID3_HEAD > len(buf):
            return None
        size = tag_size(buf, start)
        # Tags without a frame between them are one to a listener, who waits for the next frame.
        if not size or self._tags + size > MAX_ID3:
            return False
        self._tags += size
        self._skip = size
        self._junk = 0
        return True

    def _skip_tag(self, buf: bytes, pos: int) -> int:
        taken = min(self._skip, len(buf) - pos)
        self._skip -= taken
        return pos + taken

    def _pass_junk(self, buf: bytes, pos: int, end: int) -> int:
        """Counts the bytes up to `end` as junk. Too much of it, or another format's first bytes, ends the search."""
        if self._kind is None:
            magic = None if self._junk else _MAGIC.get(buf[pos : pos + 4])
            if magic:
                self._go_opaque(f"the stream is {magic}, not {self._name}")
            elif self._junk + end - pos > MAX_JUNK:
                self._go_opaque(f"no {self._name} frame in the first {MAX_JUNK // 1024} KiB")
        self._junk += end - pos
        return end

    def _go_opaque(self, reason: str) -> None:
        self._is_opaque = True
        self.warning = f"{reason}: passed on as it is, listeners start anywhere"


def tag_size(buf: bytes | bytearray, start: int) -> int:
    """Returns the size of the ID3v2 tag whose head is at `start`, 0 if that is none. `buf` has `ID3_HEAD` bytes there.

    id3v2.4.0-structure section 3.1: the size is four bytes of seven bits, without the head and a footer.
    """
    size = buf[start + 6 : start + ID3_HEAD]
    if not 2 <= buf[start + 3] <= 4 or max(size) > 0x7F:
        return 0
    footer = ID3_HEAD if buf[start + 3] == 4 and buf[start + 5] & 0x10 else 0
    return ID3_HEAD + footer + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])


def _info(offset: int, kind: FrameKind, bitrate: int | None) -> Info:
    stats = {"audio_samplerate": str(kind.samplerate)}
    if kind.channels:
        stats["audio_channels"] = str(kind.channels)
    # Icecast has no `audio_bitrate` for these formats: programs take it as the kbit/s that an encoder declared.
    return Info(offset, bitrate, stats)
