"""WAV: its header first, then samples; any number of files after each other (RIFF, RF64).

A listener gets the header up to the first sample, and starts at a whole block of samples. The header is a mark and not
a part of what comes out: a player takes one at its beginning, and any later one for samples. A live stream has no
length, and encoders write 0, the largest number or what they guess. So listeners are told the largest number, the
samples go on whatever the header says, and they end only where another file begins just where this one should. Chunks
before the samples that are large (pictures) or say where something is in the file are left out.

The one invariant: what comes out is whole blocks of samples.
"""

from struct import error, pack, unpack_from
from typing import NamedTuple, cast

from pycast.errors import FormatError
from pycast.formats.marks import Header, Info, Join, Mark

MAX_HEADER = 64 * 1024 * 1024
"""Most bytes before the samples."""

MAX_CHUNKS = 64 * 1024
"""Most bytes of chunks that are kept."""

MAX_JUNK = 1024 * 1024
"""Most bytes before the header."""

UNIT = 4096
"""Bytes of samples, about, between two places where listeners start: 20 ms of a CD's sound."""

_NAMES = (b"RIFF", b"RF64", b"BW64")
_HEAD_SIZE = 12
_CHUNK_HEAD = 8
_UNKNOWN = 0xFFFFFFFF
_FMT_SIZE = 16
_KEPT = (b"fmt ", b"fact", b"LIST", b"bext")

# What samples are, by their number in a header: those whose size is told by the block, those in blocks of which the
# header says how many samples each has, and those that have so many bits in a row. Of these the time is not taken from
# the bytes a second in the header: programs write anything there, since players do without.
_PCM, _EXTENSIBLE = 1, 0xFFFE
_PLAIN = frozenset((_PCM, 3, 6, 7, _EXTENSIBLE))
_CODEC_AT = 24
_IN_BLOCKS = frozenset((0x02, 0x11, 0x31, 0x69))
_IN_BITS = frozenset((0x20, 0x40, 0x45, 0x64))


class Wav:
    """WAV files. Raises FormatError for a stream that is none."""

    family = "wav"

    def __init__(self, base: int = 0) -> None:
        self._offset = base
        self._buf = bytearray()
        self._need = _HEAD_SIZE
        self._skip = 0
        self._junk = 0
        self._left_out = 0
        self._out: list[bytes] = []
        self._marks: list[Mark] = []
        self._chunks: list[bytes] | None = None
        """The chunks of a header that is not complete; None outside of one."""
        self._header_size = 0
        self._room = 0
        self._unit = 0
        """Bytes of a unit of samples; 0 before the first file's."""
        self._block = 1
        self._bytes_per_s = 0.0
        self._left: int | None = None
        """Bytes of samples that are still to come, if the header says so."""
        self._time_s = 0.0

    @property
    def dropped(self) -> int:
        """Bytes dropped so far: what was before the header, and chunks that are left out."""
        return self._junk + self._left_out

    @property
    def warning(self) -> str:
        """How much was dropped before the header, in words; empty if nothing."""
        return f"{self._junk} bytes before the WAV header are left out" if self._junk else ""

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns whole blocks of samples, and the marks in them. Raises FormatError."""
        self._out, self._marks = [], []
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self._left_out += skipped
        self._buf += data[skipped:]
        if len(self._buf) >= self._need:
            buf = bytes(self._buf)
            del self._buf[: self._walk(buf)]
        return b"".join(self._out), self._marks

    def finish(self) -> tuple[bytes, list[Mark]]:
        """Returns the whole blocks that are less than a unit."""
        self._out, self._marks = [], []
        if self._unit and self._chunks is None:
            # What is behind the samples, if the header says where they end, is noise.
            size = len(self._buf) if self._left is None else min(len(self._buf), self._left)
            self._pass(bytes(self._buf[: size - size % self._block]))
            self._buf.clear()
        return b"".join(self._out), self._marks

    def _walk(self, buf: bytes) -> int:
        """Takes all that is complete in `buf`; returns its end, and sets `_need` to what the next part needs."""
        pos = 0
        while not self._skip and len(buf) - pos >= self._need:
            if self._chunks is not None:
                pos = self._take_chunk(buf, pos, self._chunks)
            elif self._unit:
                pos = self._take_samples(buf, pos)
            else:
                pos = self._find(buf, pos)
        return pos

    def _find(self, buf: bytes, pos: int) -> int:
        """Drops what is before the first file."""
        if _begins(buf, pos):
            return self._open(pos)
        starts = [at for name in _NAMES if (at := buf.find(name, pos + 1)) >= 0]
        end = min(starts, default=max(pos + 1, len(buf) - _HEAD_SIZE + 1))
        self._junk += end - pos
        if self._junk > MAX_JUNK:
            raise FormatError("no WAV header in the first MiB")
        return end

    def _open(self, pos: int) -> int:
        """Begins a file; returns where its first chunk is."""
        self._chunks, self._header_size, self._need = [], _HEAD_SIZE, _CHUNK_HEAD
        self._room = MAX_CHUNKS
        return pos + _HEAD_SIZE

    def _take_chunk(self, buf: bytes, pos: int, chunks: list[bytes]) -> int:
        name: bytes
        size: int
        name, size = unpack_from("<4sI", buf, pos)
        if name == b"data":
            self._begin(chunks, size)
            return pos + _CHUNK_HEAD
        padded = _CHUNK_HEAD + size + size % 2
        is_kept = name in _KEPT and padded <= self._room
        end = min(pos + padded, len(buf))
        if is_kept and end - pos < padded:
            self._need = padded
            return pos
        self._header_size += padded
        if self._header_size > MAX_HEADER:
            raise FormatError(f"no samples in the first {MAX_HEADER >> 20} MiB of the WAV stream")
        if is_kept:
            chunks.append(buf[pos:end])
            self._room -= padded
        else:
            self._skip = padded - (end - pos)
            self._left_out += end - pos
        self._need = _CHUNK_HEAD
        return end

    def _begin(self, chunks: list[bytes], size: int) -> None:
        """Takes the head of the samples: with it the header is complete. Raises FormatError."""
        head = next((chunk for chunk in chunks if chunk.startswith(b"fmt ")), b"")
        try:
            _, channels, rate, _, block = unpack_from("<HHIIH", head, _CHUNK_HEAD)
        except error as raised:
            raise FormatError("a WAV stream without a description of its samples") from raised
        bytes_per_s = _bytes_per_s(head[_CHUNK_HEAD:])
        if not (channels and rate and bytes_per_s and block):
            raise FormatError("a WAV stream with a rate of zero")
        self._unit, self._block, self._bytes_per_s = max(UNIT // block, 1) * block, block, bytes_per_s
        self._left = size if 0 < size < _UNKNOWN // 2 else None
        self._chunks, self._need = None, self._unit
        riff = pack("<4sI4s", b"RIFF", _UNKNOWN, b"WAVE")
        header = riff + b"".join(chunks) + pack("<4sI", b"data", _UNKNOWN)
        stats = {"audio_samplerate": str(rate), "audio_channels": str(channels)}
        self._marks += (Info(self._offset, round(bytes_per_s * 8), stats), Header(self._offset, header))

    def _take_samples(self, buf: bytes, pos: int) -> int:
        # The end of the samples, if the header is right about it: where another file begins.
        if self._left is not None and self._left < self._unit + _HEAD_SIZE:
            end = pos + self._left + self._left % 2
            if len(buf) < end + _HEAD_SIZE:
                self._need = end + _HEAD_SIZE - pos
                return pos
            if _begins(buf, end):
                self._pass(buf[pos : pos + self._left])
                self._unit, self._left = 0, None
                return self._open(end)
            self._left, self._need = None, self._unit
        self._pass(buf[pos : pos + self._unit])
        return pos + self._unit

    def _pass(self, samples: bytes) -> None:
        if not samples:
            return
        self._marks.append(Join(self._offset, self._time_s))
        self._out.append(samples)
        self._offset += len(samples)
        self._time_s += len(samples) / self._bytes_per_s
        if self._left is not None:
            self._left -= len(samples)


def _bytes_per_s(description: bytes) -> float:
    """Returns how many bytes of samples a second has, by a description of at least 14 bytes."""
    kind, channels, rate, told, block = cast(tuple[int, ...], unpack_from("<HHIIH", description))
    if kind in _PLAIN:
        return rate * block
    bits, _, samples = cast(tuple[int, ...], unpack_from("<HHH", description.ljust(20, b"\0"), 14))
    if kind in _IN_BLOCKS and samples:
        return rate * block / samples
    return rate * channels * bits / 8 if kind in _IN_BITS and bits else told


class SampleKind(NamedTuple):
    """What samples are like. Only samples of the same kind can follow."""

    codec: int
    channels: int
    rate: int
    block: int
    bits: int

    def __str__(self) -> str:
        codec = "" if self.codec == _PCM else f" of codec {self.codec:#x}"
        return f"WAV{codec} with {self.rate} Hz, {self.channels} channels, {self.bits} bits"


def read_description(content: bytes) -> SampleKind:
    """Returns the kind of samples that the content of a `fmt ` chunk says; it has 16 bytes at least."""
    codec, channels, rate, _, block, bits = unpack_from("<HHIIHH", content)
    # The longer form of the same.
    if codec == _EXTENSIBLE and len(content) >= _CODEC_AT + 2:
        (codec,) = unpack_from("<H", content, _CODEC_AT)
    return SampleKind(codec, channels, rate, block, bits)


def sample_kind(header: bytes) -> SampleKind | None:
    """Returns what a header of a stream says of its samples; None if it says nothing."""
    at = header.find(b"fmt ")
    content = header[at + _CHUNK_HEAD :] if at >= 0 else b""
    return read_description(content) if len(content) >= _FMT_SIZE else None


def _begins(buf: bytes, pos: int) -> bool:
    """Whether a file begins at `pos`."""
    return buf[pos : pos + 4] in _NAMES and buf[pos + 8 : pos + _HEAD_SIZE] == b"WAVE"
