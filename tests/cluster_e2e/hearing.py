"""The check of what one listener receives, frame by frame: every gap, repeat, change of programme and damaged byte.

The audio is that of `benchmarks.frames`: each frame carries its number, its programme (the encoder that sent it) and a
CRC. Nothing here touches a socket or a clock; moments are `time.monotonic()` seconds, which all processes of a machine
share. Invariant: each received byte belongs to a whole, undamaged frame, or it is counted as damage.
"""

import re
import zlib
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Self

from benchmarks.frames import FRAME_S, IcySplitter, offset_of, size_of

LEAST_FRAME, MOST_FRAME = 417, 418
_SYNC = b"\xff\xfb"
_PADDING = 0x02
_FRAME = re.compile(
    rb"\xff\xfb[\x90\x92]\x44\0{32}frame ([0-9a-f]{8}) mount ([0-9a-f]{4}) at [0-9a-f]{16} .*([0-9a-f]{8})", re.DOTALL
)
_TITLE = re.compile(rb"StreamTitle='.*';(StreamUrl='.*';)?", re.DOTALL)

# Shorter ones are how a server that gathers half a second of audio for each write sounds to a socket.
SILENCE_S = 0.75


@dataclass(frozen=True, slots=True)
class Jump:
    """Frames that were missed (a gap) or received before (a repeat), beginning with frame `seq`."""

    programme: int
    seq: int
    frames: int
    bytes: int
    ms: float
    at: float

    @classmethod
    def of(cls, programme: int, first: int, after_last: int, at: float) -> Self:
        """Returns the jump of the frames from `first` up to and not including `after_last`."""
        count = after_last - first
        size = offset_of(after_last) - offset_of(first)
        return cls(programme, first, count, size, round(count * FRAME_S * 1000, 1), at)


@dataclass(frozen=True, slots=True)
class Switch:
    """A change of programme: frame `last` of `before`, then frame `seq` of `after`."""

    before: int
    last: int
    after: int
    seq: int
    at: float


@dataclass(frozen=True, slots=True)
class Silence:
    """A time of `ms` without audio, until the moment `at`, after the whole frame with the number `after`."""

    ms: float
    at: float
    after: int


@dataclass(slots=True)
class Connection:
    """One connection of the listener. `ended` is 0 while it lasts, `first_audio` until the first arrives."""

    address: str
    began: float
    status: int = 0
    first_audio: float = 0.0
    ended: float = 0.0
    reason: str = ""


@dataclass(slots=True)
class Report:
    """What a listener has received so far.

    `gaps` and `repeats` are those within a connection; what a new connection missed, or heard again in its burst, is in
    `missed` and `heard_again`. `damage` is bytes that belong to no whole frame, `bad_blocks` ICY blocks that are none.
    """

    frames: int = 0
    last_seq: int = -1
    last_programme: int = -1
    gaps: list[Jump] = field(default_factory=list)
    repeats: list[Jump] = field(default_factory=list)
    missed: list[Jump] = field(default_factory=list)
    heard_again: list[Jump] = field(default_factory=list)
    switches: list[Switch] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    longest_silence_ms: float = 0.0
    damage: int = 0
    blocks: int = 0
    bad_blocks: int = 0
    titles: list[str] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    @property
    def disconnects(self) -> int:
        """The number of its connections that have ended."""
        return sum(connection.ended > 0 for connection in self.connections)

    @property
    def is_flawless(self) -> bool:
        """Whether it has one connection and every frame once and in order, of one programme."""
        wrong = (self.gaps, self.repeats, self.missed, self.heard_again, self.switches, self.damage, self.bad_blocks)
        return self.frames > 0 and not any(wrong) and not self.disconnects

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON object for `from_json` in another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Reads what `to_json` wrote."""
        kinds = {"gaps": Jump, "repeats": Jump, "missed": Jump, "heard_again": Jump, "switches": Switch}
        kinds |= {"silences": Silence, "connections": Connection}
        lists = {name: [kind(**value) for value in values[name]] for name, kind in kinds.items()}
        return cls(**(values | lists))


class Hearing:
    """The check of one listener: `connected`, then `feed` its bytes, `disconnected`, and so on; `report` has the
    result.
    """

    def __init__(self) -> None:
        self._report = Report()
        self._buffer = bytearray()
        self._splitter: IcySplitter | None = None
        self._is_new_connection = True
        self._last_audio = 0.0

    @property
    def last_audio(self) -> float:
        """The time of the last audio; 0 if there was none."""
        return self._last_audio

    @property
    def position(self) -> tuple[int, int]:
        """Programme and number of the last frame; (-1, -1) if there was none."""
        return self._report.last_programme, self._report.last_seq

    def connected(self, address: str, now: float) -> None:
        """Notes that a connection has begun."""
        self._report.connections.append(Connection(address, now))
        self._is_new_connection = True
        self._splitter = None

    def accepted(self, status: int, metaint: int = 0) -> None:
        """Notes the head of the answer; audio follows if `status` is 200."""
        self._report.connections[-1].status = status
        self._splitter = IcySplitter(metaint) if metaint else None

    def disconnected(self, reason: str, now: float) -> None:
        """Notes the end of the connection. Half a frame at its end is no damage: the sender died."""
        connection = self._report.connections[-1]
        connection.ended, connection.reason = now, reason
        self._buffer.clear()

    def feed(self, data: bytes, now: float) -> None:
        """Takes the next bytes of the body, any number."""
        self._note_silence(now)
        self._last_audio = now
        connection = self._report.connections[-1]
        connection.first_audio = connection.first_audio or now
        self._buffer += self._audio_of(data)
        self._take_frames(now)

    def report(self, now: float) -> Report:
        """Returns what was received so far, with a silence that still lasts."""
        report = Report.from_json(self._report.to_json())
        if self._last_audio:
            report.longest_silence_ms = max(report.longest_silence_ms, _ms(now - self._last_audio))
        return report

    def _note_silence(self, now: float) -> None:
        if not self._last_audio:
            return
        ms = _ms(now - self._last_audio)
        self._report.longest_silence_ms = max(self._report.longest_silence_ms, ms)
        if ms > SILENCE_S * 1000:
            self._report.silences.append(Silence(ms, now, self._report.last_seq))

    def _audio_of(self, data: bytes) -> bytes:
        if self._splitter is None:
            return data
        known = len(self._splitter.titles)
        before = self._splitter.blocks
        audio = self._splitter.feed(data)
        self._report.blocks += self._splitter.blocks - before
        for title in self._splitter.titles[known:]:
            self._report.bad_blocks += not _TITLE.fullmatch(title)
            self._report.titles.append(title.decode("utf-8", "replace"))
        return audio

    def _take_frames(self, now: float) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= LEAST_FRAME:
            size = MOST_FRAME if buffer[at + 2] & _PADDING else LEAST_FRAME
            if len(buffer) - at < size:
                break
            found = parse(bytes(buffer[at : at + size]))
            if found is None:
                size = self._skip(at)
            else:
                self._book(*found, now)
            at += size
        del buffer[:at]

    def _skip(self, at: int) -> int:
        """Counts the bytes from `at` on that belong to no frame as damage. Returns how many."""
        sync = self._buffer.find(_SYNC, at + 1)
        size = (len(self._buffer) - 1 if sync < 0 else sync) - at
        self._report.damage += size
        return size

    def _book(self, seq: int, programme: int, now: float) -> None:
        report = self._report
        expected = report.last_seq + 1
        if report.frames and programme != report.last_programme:
            report.switches.append(Switch(report.last_programme, report.last_seq, programme, seq, now))
        elif report.frames and seq > expected:
            gaps = report.missed if self._is_new_connection else report.gaps
            gaps.append(Jump.of(programme, expected, seq, now))
        elif report.frames and seq < expected:
            repeats = report.heard_again if self._is_new_connection else report.repeats
            repeats.append(Jump.of(programme, seq, expected, now))
        self._is_new_connection = False
        report.frames += 1
        report.last_seq, report.last_programme = seq, programme


@lru_cache(maxsize=8192)  # all listeners of a crowd receive the same frames
def parse(data: bytes) -> tuple[int, int] | None:
    """Returns number and programme of a frame, or None if `data` is not exactly one undamaged frame."""
    match = _FRAME.fullmatch(data)
    if match is None:
        return None
    seq = int(match[1], 16)
    if len(data) != size_of(seq) or int(match[3], 16) != zlib.crc32(data[:-8]):
        return None
    return seq, int(match[2], 16)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
