"""The audio of a file, for a stream in which it is played again and again.

A file has what a stream must not have: tags, a frame that only describes the file (Xing, LAME), half a frame at its
end. And a second round of an Ogg file would have the serial numbers of the first, which no chain may have (RFC 3533
section 4). So a filter lets only whole frames through, and gives each logical Ogg stream of each round a number of its
own; its pages keep their content, order and times. Formats with a header have it once, and times and numbers that go on
(`file_flac.py`, `file_webm.py`, `file_mp4.py`, `file_wav.py`). What comes out is fed to one parser for all rounds
(`content_types.py`), whose media time goes on from round to round: that is when each unit is due.

The one invariant: the bytes that come out of any number of rounds are one stream that a player can decode.
"""

from collections.abc import Callable
from importlib import import_module
from itertools import count
from struct import Struct
from typing import NamedTuple, Protocol, cast

from pycast.errors import FormatError
from pycast.formats import adts, mpeg
from pycast.formats.content_types import FORMATS, OCTET_STREAM, new_format
from pycast.formats.detect import Detector
from pycast.formats.frame_parser import Decode
from pycast.formats.marks import Format, Header, HoldingFormat, Info, Join, Mark
from pycast.formats.ogg_codecs import codecs_of
from pycast.formats.ogg_page import Page, PageReader, checksum

REPEATABLE = ("mpeg", "adts", "ogg")
"""The formats of which any part can follow any other, by their names in `FORMATS`."""

_WITH_HEADER = {
    "flac": ("file_flac", "FlacFile"),
    "webm": ("file_webm", "MatroskaFile"),
    "matroska": ("file_webm", "MatroskaFile"),
    "mp4": ("file_mp4", "Mp4File"),
    "wav": ("file_wav", "WavFile"),
}

PLAYABLE = (*REPEATABLE, *_WITH_HEADER)
"""All that can be played again and again."""

BEFORE_STREAM = (*REPEATABLE, "wav")
"""Those that can be played before a stream. The others have times in them, FLAC too, and those of the stream are hours
later: players report errors at the join, or jump in time."""

EXPECTED = "expected MP3, AAC (ADTS), Ogg, FLAC, WebM, Matroska, WAV or fragmented MP4"
EXPECTED_BEFORE_STREAM = "expected MP3, AAC (ADTS), Ogg or WAV"
"""What is said of a file that is none of these."""

_DECODERS: dict[str, Decode] = {"mpeg": mpeg.decode_header, "adts": adts.decode_header}
# Where the name of a Xing, LAME or VBRI frame can be: after the header, a checksum and the side information.
_INFO_NAMES = (b"Xing", b"Info", b"VBRI")
_INFO_FROM, _INFO_TO = 13, 48
_NUMBER = Struct("<I")
_WAV = b"RIFF"

# Covers of 16 MiB, as text, may come first.
_MOST_BEFORE_AUDIO = 32 << 20

# So much audio tells its bit rate, if that has to be known.
_MEASURED_S = 1.0


class Unit(NamedTuple):
    """Some whole units of audio, which are due at `time_s` of the stream's media time, and the marks in them."""

    time_s: float
    data: bytes
    marks: list[Mark]


class _Filter(Protocol):
    end_s: float
    """Up to where the stream goes that has come out, if that is further than where its last unit begins."""

    def feed(self, data: bytes) -> bytes:
        """Returns what is part of the audio. Raises FormatError."""

    def end_round(self) -> bytes:
        """Returns the rest of the file; the next bytes are the first of another one."""


class FileAudio:
    """The stream that a file gives, from the absolute offset `base` on. `new_serial` returns numbers of 32 bits."""

    def __init__(self, name: str, base: int, new_serial: Callable[[], int]) -> None:
        self._format: Format = new_format(FORMATS[name].told, base, name)
        self._filter = _new_filter(name, new_serial)
        self._offset = base
        self._times = _Times()
        self._early: list[Mark] = []
        """Marks that were found before the unit which they belong to."""

    @property
    def end_s(self) -> float:
        """Up to where the stream goes, as far as it is known."""
        return max(self._times.time_s, self._filter.end_s + self._times.shift_s)

    def feed(self, data: bytes) -> list[Unit]:
        """Takes the next bytes of the file; returns what is complete now. Raises FormatError."""
        return self._take(self._filter.feed(data))

    def end_round(self) -> list[Unit]:
        """Ends the file; returns the rest of it. The next bytes are its first. Raises FormatError."""
        return self._take(self._filter.end_round())

    def finish(self) -> list[Unit]:
        """Ends the file, which is the last one; returns all of the rest. Raises FormatError."""
        units = self.end_round()
        if isinstance(self._format, HoldingFormat):
            units += self._due(*self._format.finish())
        return units

    def _take(self, data: bytes) -> list[Unit]:
        return self._due(*self._format.feed(data))

    def _due(self, out: bytes, found: list[Mark]) -> list[Unit]:
        begun, self._offset = self._offset, self._offset + len(out)
        marks, self._early = [*self._early, *found], []
        units = _units(out, begun, marks)
        if not units:
            self._early = marks
        return [self._times.placed(unit) for unit in units]


def _is_begin(unit: Unit) -> bool:
    """Whether the unit is the headers of a stream, without audio."""
    return any(isinstance(mark, Header) and not mark.data for mark in unit.marks)


class _Times:
    """The times at which units are due. Those that the audio has may stand still in the middle of a file, in which
    every page or cluster says the same or less than the one before: then bytes take as long as they have taken so far.
    """

    def __init__(self) -> None:
        self.time_s = 0.0
        """When the last unit is due."""
        self.shift_s = 0.0
        """How much later that is than the audio says."""
        self._size = 0
        """Bytes of audio since the last place with a time."""
        self._bytes, self._seconds, self._told = 0, 0.0, 0.0

    def placed(self, unit: Unit) -> Unit:
        """Returns the unit, with the time at which it is due."""
        is_timed = False
        for mark in unit.marks:
            if isinstance(mark, Join):
                is_timed = is_timed or mark.time_s is not None
            elif isinstance(mark, Info):
                self._told = (mark.bitrate or 0) / 8
        if is_timed:
            self._advance(unit.time_s + self.shift_s)
        # Headers take no time.
        self._size += 0 if _is_begin(unit) else len(unit.data)
        return Unit(
            self.time_s, unit.data, [self._shifted(mark) for mark in unit.marks] if self.shift_s else unit.marks
        )

    def _advance(self, time_s: float) -> None:
        if time_s > self.time_s:
            self._bytes += self._size
            self._seconds += time_s - self.time_s
            self.time_s = time_s
        else:
            rate = self._bytes / self._seconds if self._seconds >= _MEASURED_S else self._told
            later_s = self._size / rate if rate else 0.0
            self.time_s += later_s
            self.shift_s += self.time_s - time_s if later_s else 0.0
        self._size = 0

    def _shifted(self, mark: Mark) -> Mark:
        if not isinstance(mark, Join) or mark.time_s is None:
            return mark
        return mark._replace(time_s=mark.time_s + self.shift_s)


def _new_filter(name: str, new_serial: Callable[[], int]) -> _Filter:
    if name == "ogg":
        return _Pages(new_serial)
    if name not in _WITH_HEADER:
        return _Frames(name)
    module, kind = _WITH_HEADER[name]
    return cast(_Filter, getattr(import_module(f"pycast.formats.{module}"), kind)())


def detect(read: Callable[[int, int], bytes]) -> str:
    """Returns the format of a file, by its name in `FORMATS`; empty if it has none that can be played. `read` returns
    bytes from an offset on, at most so many as its second argument says.
    """
    detector, offset, size = Detector(OCTET_STREAM), 0, 64 << 10
    while data := read(offset, size):
        found = detector.feed(data)
        if found is not None:
            return _playable(found.format, read)
        offset += len(data)
    # A file of less than three frames.
    return ""


def detect_before_stream(read: Callable[[int, int], bytes]) -> str:
    """As `detect`, for a file that goes before a stream."""
    name = detect(read)
    return name if name in BEFORE_STREAM else ""


def sound_of(name: str, read: Callable[[int, int], bytes]) -> str | None:
    """Returns what has to be the same of files of that format that are played one after the other: codecs, or the kind
    of samples; None if there is no audio, but headers at most. `read` as in `detect`.
    """
    audio, offset, sound = FileAudio(name, 0, count().__next__), 0, ""
    try:
        while True:
            data = read(offset, 64 << 10) if offset < _MOST_BEFORE_AUDIO else b""
            offset += len(data)
            units = audio.feed(data) if data else audio.finish()
            sound = next(filter(None, (_sound(mark) for unit in units for mark in unit.marks)), sound)
            if not all(map(_is_begin, units)):
                return sound
            if not data:
                return None
    except FormatError:
        return None


def _sound(mark: Mark) -> str:
    if isinstance(mark, Info):
        return codecs_of(mark.stats.get("subtype", ""))
    if not isinstance(mark, Header) or not mark.data.startswith(_WAV):
        return ""
    from pycast.formats.wav import sample_kind  # its parser has loaded it

    return str(sample_kind(mark.data) or "")


def _playable(name: str, read: Callable[[int, int], bytes]) -> str:
    if name == "mp4":
        from pycast.formats.file_mp4 import is_fragmented

        return name if is_fragmented(read) else ""
    return name if name in PLAYABLE else ""


def _units(out: bytes, begun: int, marks: list[Mark]) -> list[Unit]:
    """Cuts `out`, which begins at the offset `begun`, at the places where a listener may start. What is before the
    first of them has no time of its own.
    """
    joins = [mark for mark in marks if isinstance(mark, Join) and mark.time_s is not None and mark.offset >= begun]
    units, left = [], list(marks)
    starts = [(begun, 0.0)] if out and (not joins or joins[0].offset > begun) else []
    starts += [(join.offset, join.time_s or 0.0) for join in joins]
    for index, (start, due_s) in enumerate(starts):
        end = starts[index + 1][0] if index + 1 < len(starts) else begun + len(out)
        inside = left if index + 1 == len(starts) else _taken(left, end)
        units.append(Unit(due_s, out[start - begun : end - begun], inside))
    return units


def _taken(left: list[Mark], end: int) -> list[Mark]:
    """Takes the marks before the offset `end` out of `left`, which has them in order of their offsets."""
    count = next((index for index, mark in enumerate(left) if mark.offset >= end), len(left))
    taken, left[:count] = left[:count], []
    return taken


class _Frames:
    """Whole frames, without the tags and the junk between them."""

    end_s = 0.0

    def __init__(self, name: str) -> None:
        self._name = name
        self._decode = _DECODERS[name]
        self.end_round()

    def end_round(self) -> bytes:
        self._frames = new_format(FORMATS[self._name].told, 0, self._name)
        self._offset = 0
        self._is_first = True
        return b""

    def feed(self, data: bytes) -> bytes:
        out, marks = self._frames.feed(data)
        begun, self._offset = self._offset, self._offset + len(out)
        frames = []
        for mark in marks:
            if not isinstance(mark, Join) or mark.time_s is None:
                continue
            start = mark.offset - begun
            frame = self._decode(out, start)
            assert frame is not None
            data = out[start : start + frame[0]]
            if not (self._is_first and _is_info(data)):
                frames.append(data)
            self._is_first = False
        return b"".join(frames)


def _is_info(frame: bytes) -> bool:
    """Whether a first frame describes the file, and has no audio."""
    return any(name in frame[_INFO_FROM:_INFO_TO] for name in _INFO_NAMES)


class _Pages:
    """Whole pages, whose logical streams have new serial numbers."""

    end_s = 0.0

    def __init__(self, new_serial: Callable[[], int]) -> None:
        self._new_serial = new_serial
        self.end_round()

    def end_round(self) -> bytes:
        self._pages = PageReader()
        self._serials: dict[int, int] = {}
        return b""

    def feed(self, data: bytes) -> bytes:
        return b"".join(map(self._numbered, self._pages.feed(data)))

    def _numbered(self, page: Page) -> bytes:
        """Returns the page with its new number; nothing if its logical stream has not begun."""
        if page.is_first:
            self._serials[page.serial] = self._new_serial()
        serial = self._serials.get(page.serial)
        return b"" if serial is None else with_serial(page.data, serial)


def with_serial(page: bytes, serial: int) -> bytes:
    """Returns the page as one of the logical stream `serial`."""
    changed = bytearray(page)
    changed[14:18] = _NUMBER.pack(serial)
    changed[22:26] = _NUMBER.pack(checksum(bytes(changed)))
    return bytes(changed)
