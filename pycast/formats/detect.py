"""What a stream is, by its first bytes.

A content type is only a hint. ffmpeg announces Ogg, WebM and FLAC as audio/mpeg unless it is told what they are, people
announce AAC as MP3 and MP3 as AAC, and VLC announces MP3 as application/ogg. So the bytes decide. Most formats begin
with bytes of their own (`Row.magic`); MPEG audio, ADTS, LOAS and MPEG-TS are known by several frames in a row, each
where the one before it ends. Before the first bytes there may be ID3 tags, line ends, zeros, or the rest of a frame or
page, because an encoder came back in the middle of it. What is none of these is opaque: it plays, but no more is known
of it.

Bytes are held until the format is known, then its parser gets them from the first one on. Of a format that begins with
a header, what came before it is left out, as no decoder could use it. The one invariant: at most `MOST_HELD` bytes of
tags are held, however long a tag claims to be, and the time for a stream is linear in them.

Rejected: to decide in the parsers themselves (each would have to know all others); to play first and correct later (a
listener's response head cannot be corrected).
"""

import re
from heapq import heappop, heappush
from struct import unpack_from
from typing import NamedTuple

from pycast.errors import FormatError
from pycast.formats import adts, mpeg
from pycast.formats.content_types import FORMATS, OCTET_STREAM, content_type_for_listeners, content_type_of, format_name
from pycast.formats.frame_parser import ID3_HEAD, MAX_ID3, tag_size
from pycast.patterns import pattern

LOOK = 16 << 10
"""Bytes that are looked at, beside tags: four of the longest frames."""

LOOK_FURTHER = 68 << 10
"""The same for a stream whose announced format has a parser: the rest of an Ogg page (64 KiB at most), and the next."""

MOST_HELD = 1 << 20
"""Bytes of tags that are held, beside what is looked at. Covers have some hundred KB; what is longer is left out."""

_PADDING = pattern(rb"[\r\n\t \x00]*")
_MAGIC = {name: pattern(row.magic, re.DOTALL) for name, row in FORMATS.items() if row.magic}
_OPAQUE = frozenset(name for name, row in FORMATS.items() if row.module == "opaque")
_EBML = b"\x1aE\xdf\xa3"
_EBML_HEAD = 80
"""Within so many bytes the DocType has come."""
_CLUSTER = b"\x1fC\xb6u"
# The first bytes of a frame, packet, page or document that need not be at the beginning.
_CANDIDATE = pattern(rb"\xff[\xe2-\xff]|\x56[\xe0-\xff]|\x47|OggS\x00[\x00-\x07]|\x1aE\xdf\xa3", re.DOTALL)
_LONGEST_CANDIDATE = 6
_FIRST_BYTES = b"OfRBIA\x00\x1a\x1f\xffVG"
_LONGEST_MAGIC = 22
_TRACKS = pattern(rb"\x1fC\xb6u|\x86[\x80-\xff]V_")

# A WAV file with MPEG audio in it (EBU Tech 3285, supplement 1): what plays are its frames. The chunk that says so is
# mostly the first one, but programs of radio stations put others before it.
_MPEG_IN_WAV = (b"P\0", b"U\0")
_MOST_CHUNKS = 20
_WAV_HEAD, _CHUNK_HEAD = 12, 8

_FRAMES = 3
"""Frames in a row that are believed; one less if the announced format says the same."""
_PACKETS = 5
_PACKET_SIZE = 188
_DECODERS = {"mpeg": (mpeg.decode_header, mpeg.HEADER_SIZE), "adts": (adts.decode_header, adts.HEADER_SIZE)}


class Found(NamedTuple):
    """What a stream is."""

    format: str
    """The name of a row of `FORMATS`."""
    content_type: str
    """The announced one where it is right."""
    data: bytes
    """What the parser of the format gets first."""
    left_out: int
    """Bytes before that, which it does not get."""


class Detector:
    """Looks at one stream. After `feed` or `give_up` has returned what it is, it must not be used again."""

    def __init__(self, announced: str) -> None:
        self._announced = announced
        self._hint = format_name(announced)
        self._is_media = content_type_for_listeners(announced) != OCTET_STREAM
        self._tags: list[bytes] = []
        """The tags before what is looked at, in pieces."""
        self._tags_size = 0
        self._tags_seen = 0
        self._left_out = 0
        self._skip = 0
        self._begin(b"")

    def _begin(self, data: bytes) -> None:
        """Begins to look at `data`."""
        self._buf = bytearray(data)
        self._start = 0
        """Where the padding at the beginning ends."""
        self._scanned = 0
        """Up to where candidates have been searched."""
        self._pending: list[tuple[int, int]] = []
        """Candidates that take more bytes: the size of the buffer that each needs, and where it is; a heap."""

    def feed(self, data: bytes) -> Found | None:
        """Takes the next bytes; returns what the stream is as soon as that is known. Raises FormatError for one that
        was announced as a format that begins with a header, and is nothing.
        """
        self._buf += self._pass_tag(data)
        while not self._skip and self._buf:
            self._start = _end_of_padding(self._buf, self._start)
            size = self._size_of_tag()
            if size is None:
                return None
            if not size:
                return self._look()
            self._skip = size
            self._begin(self._pass_tag(bytes(self._buf)))
        return None

    def give_up(self) -> Found | None:
        """Returns what the stream is to be taken for, as it has taken too long or has ended; None if it is in a tag,
        which says nothing.
        """
        return None if self._skip or not self._buf else self._found(self._hint, 0)

    # -- tags

    def _size_of_tag(self) -> int | None:
        """Returns the size of the ID3v2 tag at the beginning, with the padding before it; 0 if there is none, None if
        it takes more bytes to say.
        """
        buf, start = self._buf, self._start
        if not buf.startswith(b"ID3", start):
            return None if 0 < len(buf) - start < 3 and b"ID3".startswith(buf[start:]) else 0
        if len(buf) < start + ID3_HEAD:
            return None
        size = tag_size(buf, start)
        if not size or self._tags_seen + size > MAX_ID3:
            return 0
        self._tags_seen += size
        return start + size

    def _pass_tag(self, data: bytes) -> bytes:
        """Puts the bytes of a tag aside; returns what is behind it."""
        if not self._skip:
            return data
        part, rest = data[: self._skip], data[self._skip :]
        self._skip -= len(part)
        self._tags.append(part)
        self._tags_size += len(part)
        if self._left_out or self._tags_size > MOST_HELD:
            # Not a part of a tag: all of them.
            self._left_out += self._tags_size
            self._tags, self._tags_size = [], 0
        return rest

    # -- what is behind them

    def _look(self) -> Found | None:
        buf, start = self._buf, self._start
        is_enough = len(buf) >= (LOOK if self._hint == "opaque" else LOOK_FURTHER)
        # A format whose first bytes are its own; of a document that has just begun, the type is still to come.
        is_short = len(buf) - start < _EBML_HEAD and _EBML.startswith(buf[start : start + 4])
        if is_short and not is_enough and not self._is_webm(start):
            return None
        # The size at the beginning of MP4 looks like padding: three zeros, and a blank if it is 32.
        for at in range(start, max(start - 5, -1), -1):
            for name, magic in _MAGIC.items():
                if not magic.match(buf, at):
                    continue
                kind = _kind_of_wav(buf, at) if name == "wav" else b""
                if kind is None and not is_enough:
                    return None
                if kind not in _MPEG_IN_WAV:
                    return self._with_tracks(name, at)
        if buf.startswith(_CLUSTER, start) and FORMATS[self._hint].module == "webm":
            return self._found(self._hint, start)
        # Something that need not be at the beginning: what has just come, and what lacked bytes until now.
        for match in _CANDIDATE.finditer(buf, max(self._scanned, start)):
            heappush(self._pending, (0, match.start()))
            self._scanned = match.start() + 1
        self._scanned = max(self._scanned, len(buf) - _LONGEST_CANDIDATE + 1, 0)
        while self._pending and self._pending[0][0] <= len(buf):
            _, at = heappop(self._pending)
            name, needed = self._judge(at)
            if name:
                return self._with_tracks(name, at)
            if needed:
                heappush(self._pending, (needed, at))
        if is_enough and FORMATS[self._hint].magic and self._hint not in _OPAQUE:
            raise FormatError(f"announced as {self._announced}, but nothing of that in {len(buf) >> 10} KiB")
        return self._found(self._hint, 0) if is_enough or self._is_nothing() else None

    def _is_nothing(self) -> bool:
        """Whether nothing speaks for any format: neither the announced type, which is not even audio, nor a byte."""
        rest = len(self._buf) - self._start
        return (
            not self._is_media
            and not self._pending
            and rest > 0
            and (rest >= _LONGEST_MAGIC or (not self._start and self._buf[0] not in _FIRST_BYTES))
        )

    def _is_webm(self, at: int) -> bool:
        return _MAGIC["webm"].match(self._buf, at) is not None

    def _judge(self, at: int) -> tuple[str, int]:
        """Returns the format of which something begins at `at`, or how many bytes it takes to say; ("", 0) for none."""
        buf = self._buf
        match buf[at]:
            case 0xFF:
                return self._judge_frames(at, "mpeg" if buf[at + 1] & 6 else "adts")
            case 0x47:
                return _judge_packets(buf, at)
            case 0x56:
                return _judge_loas(buf, at)
            case 0x4F:
                return "ogg", 0
        if self._is_webm(at):
            return "webm", 0
        return ("", at + _EBML_HEAD) if len(buf) < at + _EBML_HEAD else ("matroska", 0)

    def _judge_frames(self, at: int, name: str) -> tuple[str, int]:
        """As `_judge`, for frames of one kind that follow each other."""
        decode, header_size = _DECODERS[name]
        kind = None
        for _ in range(_FRAMES - (name == self._hint)):
            if at + header_size > len(self._buf):
                return "", at + header_size
            frame = decode(self._buf, at)
            if frame is None or (kind is not None and frame[2] is not kind):
                return "", 0
            kind = frame[2]
            at += frame[0]
        return name, 0

    def _with_tracks(self, name: str, at: int) -> Found | None:
        """Returns the format; if listeners have to be told another type, only when it is known whether it has video."""
        if FORMATS[name].module == "webm" and content_type_of(self._announced, name) != self._announced:
            is_known = _TRACKS.search(self._buf, at) or len(self._buf) >= LOOK
            return self._found(name, at) if is_known else None
        return self._found(name, at)

    def _found(self, name: str, at: int) -> Found:
        """Returns the format `name`, which begins at `at`."""
        row, buf = FORMATS[name], bytes(self._buf)
        tracks = _TRACKS.search(buf, at) if row.module == "webm" else None
        has_video = tracks is not None and tracks.group() != _CLUSTER
        kind = content_type_of(self._announced, name, has_video=has_video)
        if row.magic:
            return Found(name, kind, buf[at:], self._left_out + self._tags_size + at)
        return Found(name, kind, b"".join(self._tags) + buf, self._left_out)


def _end_of_padding(buf: bytearray, start: int) -> int:
    match = _PADDING.match(buf, start)
    return match.end() if match else start


def _kind_of_wav(buf: bytearray, at: int) -> bytes | None:
    """Returns the number of the kind of samples in a WAV file that begins at `at`, empty if it is not among its first
    chunks; None if it takes more bytes to say.
    """
    at += _WAV_HEAD
    for _ in range(_MOST_CHUNKS):
        if len(buf) < at + _CHUNK_HEAD + 2:
            return None
        name, size = unpack_from("<4sI", buf, at)
        at += _CHUNK_HEAD
        if name == b"fmt ":
            return bytes(buf[at : at + 2])
        if name == b"data":
            break
        at += size + size % 2
    return b""


def _judge_packets(buf: bytearray, at: int) -> tuple[str, int]:
    """As `Detector._judge`, for the packets of MPEG-TS, which have no length: each begins with the same byte."""
    found = buf[at : at + _PACKETS * _PACKET_SIZE : _PACKET_SIZE]
    if found.count(0x47) < len(found):
        return "", 0
    return ("ts", 0) if len(found) == _PACKETS else ("", at + len(found) * _PACKET_SIZE + 1)


def _judge_loas(buf: bytearray, at: int) -> tuple[str, int]:
    """As `Detector._judge`, for LOAS frames (ISO/IEC 14496-3 section 1.7.2: 11 bits sync, 13 bits length)."""
    for _ in range(_FRAMES):
        if at + 3 > len(buf):
            return "", at + 3
        if buf[at] != 0x56 or buf[at + 1] & 0xE0 != 0xE0:
            return "", 0
        at += 3 + ((buf[at + 1] & 0x1F) << 8 | buf[at + 2])
    return "latm", 0
