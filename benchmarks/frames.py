"""The benchmark's audio: numbered MP3 frames that can be checked byte by byte wherever they arrive.

A frame is one of the test kit's (`pycast.testing.numbered`), silent MPEG-1 layer III of 417 or 418 bytes, whose unused
bytes carry more: sequence number, mount number, the moment it was sent and a CRC. Nothing here touches a socket or a
clock. The one invariant: a reader accepts only `frame(seq, mount, stamp_ns)` as that frame.
"""

import zlib
from array import array

from pycast.testing.numbered import FILL, MP3_BEGINS, MP3_FRAME_S, mp3_offset

FRAME_S = MP3_FRAME_S
BYTES_PER_S = 16_000.0

offset_of = mp3_offset
_TEXT_AT = len(MP3_BEGINS[417])
_MARK = b"frame "
_SEQ_AT = _TEXT_AT + len(_MARK)
_STAMP_AT = _SEQ_AT + 8 + len(b" mount 0000 at ")
_CRC_SIZE = 8


def size_of(seq: int) -> int:
    """Returns the size of frame `seq` in bytes: 417 or 418."""
    return offset_of(seq + 1) - offset_of(seq)


def frame(seq: int, mount: int, stamp_ns: int) -> bytes:
    """Returns frame `seq` of mount number `mount`, sent at `stamp_ns` (CLOCK_MONOTONIC, nanoseconds)."""
    size = size_of(seq)
    text = b"frame %08x mount %04x at %016x " % (seq, mount, stamp_ns)
    at = seq & 255
    filled = size - _TEXT_AT - len(text) - _CRC_SIZE
    body = b"".join((MP3_BEGINS[size], text, FILL[at : at + filled]))
    return body + b"%08x" % zlib.crc32(body)


def find_frame(data: bytes | bytearray) -> tuple[int, int] | None:
    """Returns (index, seq) of the first frame in `data` whose number is complete, or None."""
    start = 0
    while (text := data.find(_MARK, start)) >= 0:
        index = text - _TEXT_AT
        digits = data[text + len(_MARK) : text + len(_MARK) + 8]
        if index >= 0 and len(digits) == 8 and data[index : index + 2] == b"\xff\xfb":
            return index, int(digits, 16)
        start = text + 1
    return None


class FrameReader:
    """The check of one listener's stream against what the source sent.

    Counts frames, `corrupt` places, `missing` and `repeated` frames; `latencies_s` grows by one value for each frame
    that was sent at or after `record_from_ns`.
    """

    def __init__(self, mount: int) -> None:
        self.frames = 0
        self.corrupt = 0
        self.missing = 0
        self.repeated = 0
        self.record_from_ns: int | None = None
        self.latencies_s = array("d")
        self._mount = mount
        self._next: int | None = None
        self._data = bytearray()

    @property
    def errors(self) -> int:
        """The number of errors in the stream, of any kind."""
        return self.corrupt + self.missing + self.repeated

    def feed(self, data: bytes, now_ns: int) -> None:
        """Takes the next bytes (any number), received at `now_ns`."""
        buffer = self._data
        buffer += data
        at = 0
        while True:
            if self._next is None:
                found = find_frame(buffer[at:])
                if found is None:
                    break
                at += found[0]
                self._next = found[1]
            size = size_of(self._next)
            if len(buffer) - at < size:
                break
            if not self._take(bytes(buffer[at : at + size]), now_ns):
                self._resync(buffer[at:])
                at += 1
                continue
            at += size
        del buffer[:at]

    def _take(self, data: bytes, now_ns: int) -> bool:
        seq = self._next
        assert seq is not None
        try:
            stamp_ns = int(data[_STAMP_AT : _STAMP_AT + 16], 16)
        except ValueError:
            return False
        if data != frame(seq, self._mount, stamp_ns):
            return False
        self.frames += 1
        self._next = seq + 1
        if self.record_from_ns is not None and stamp_ns >= self.record_from_ns:
            self.latencies_s.append((now_ns - stamp_ns) / 1e9)
        return True

    def _resync(self, rest: bytearray) -> None:
        """Counts the error at the front of `rest`: an unexpected frame, or damage."""
        found = find_frame(rest)
        expected = self._next
        assert expected is not None
        if found is not None and found[0] == 0 and found[1] != expected:
            self.missing += max(0, found[1] - expected)
            self.repeated += max(0, expected - found[1])
        else:
            self.corrupt += 1
        self._next = None


class IcySplitter:
    """A filter that takes the title blocks out of an ICY stream; `phase` counts audio bytes since the last block."""

    def __init__(self, metaint: int) -> None:
        self.titles: list[bytes] = []
        self.blocks = 0
        self.phase = 0
        self._metaint = metaint
        self._block = bytearray()
        self._in_block = False

    @property
    def is_between_blocks(self) -> bool:
        """Whether no title block is half read."""
        return not self._in_block

    def feed(self, data: bytes) -> bytes:
        """Returns the audio bytes of `data`; adds a non-empty block to `titles`."""
        audio: list[bytes] = []
        at = 0
        while at < len(data):
            if not self._in_block:
                part = data[at : at + self._metaint - self.phase]
                audio.append(part)
                self.phase += len(part)
                at += len(part)
                self._in_block = self.phase == self._metaint
                continue
            need = 1 + (self._block[0] * 16 if self._block else 0) - len(self._block)
            self._block += data[at : at + need]
            at += need
            self._finish_block()
        return b"".join(audio)

    def _finish_block(self) -> None:
        if len(self._block) < 1 + self._block[0] * 16:
            return
        if self._block[0]:
            self.titles.append(bytes(self._block[1:]).rstrip(b"\0"))
        self.blocks += 1
        self.phase = 0
        self._block.clear()
        self._in_block = False
