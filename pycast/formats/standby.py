"""The stream of a standby: parsed but not played, so that it can go on the air at its next join point.

A source that stands by is read like any other, and its audio is discarded. What a decoder needs to begin in the middle
(codec headers), and what holds at the moment (bitrate, title), is kept. `resume_at` returns the format with which the
mount continues: its first bytes are the codec headers, if the stream has any, and then the audio from the next join
point.

The one invariant: what comes out of the continued format begins with a whole unit, and its marks count from `base`.
"""

from pycast.formats.marks import HEADER_ONCE, Format, Header, HoldingFormat, Info, Join, Mark, Tags, TitledFormat


class StandbyStream:
    """The stream of a source that stands by. After `resume_at` it must not be used again."""

    def __init__(
        self,
        inner: Format | None = None,
        size: int = 0,
        header: bytes = b"",
        info: Info | None = None,
        tags: Tags | None = None,
    ) -> None:
        """`inner` is the stream's format, None while it is not known; it has put out everything before `size` if the
        stream was on the air until now. `header`, `info` and `tags` are what holds there.
        """
        self.tags = tags
        """What the source plays; None if that is not known."""
        self._inner = inner
        self._size = size
        self._header = header
        self._info = info

    def begin(self, inner: Format, first: bytes) -> None:
        """Takes the stream's format, which is known now, and the first bytes. Raises FormatError."""
        self._inner = inner
        self._retitle()
        self.feed(first)

    def feed(self, data: bytes) -> None:
        """Takes bytes from the source, whose format is known. Raises FormatError."""
        assert self._inner is not None
        out, marks = self._inner.feed(data)
        self._size += len(out)
        for mark in marks:
            match mark:
                case Header(_, header):
                    self._header = header
                case Info():
                    self._info = mark
                case Tags():
                    self.tags = mark

    def set_title(self, artist: str, title: str, url: str = "") -> bool:
        """Keeps the title for when the source goes on the air. Returns whether the stream takes titles."""
        if self._inner is not None and self._inner.family == "webm":
            return False
        self.tags = Tags(self._size, artist, title, url)
        self._retitle()
        return True

    def _retitle(self) -> None:
        """Puts the title into the stream itself, if it has a place for it."""
        if self.tags is not None and isinstance(self._inner, TitledFormat):
            self._inner.retitle(self.tags.artist, self.tags.title)

    def resume_at(self, base: int) -> Format:
        """Returns the format with which a mount continues this stream, whose format is known, at the offset `base`."""
        assert self._inner is not None
        known: list[Mark] = [mark._replace(offset=base) for mark in (self._info, self.tags) if mark is not None]
        return _Continued(self._inner, self._size, base, self._header, known)


class _Continued:
    """The same stream at other offsets, from its next join point on."""

    def __init__(self, inner: Format, size: int, base: int, header: bytes, known: list[Mark]) -> None:
        self.family = inner.family
        self._inner = inner
        self._size = size
        self._base = base
        self._header = header
        self._known = known
        self._shift: int | None = None
        self._dropped_before = inner.dropped

    @property
    def dropped(self) -> int:
        return self._inner.dropped - self._dropped_before

    @property
    def warning(self) -> str:
        return self._inner.warning

    def retitle(self, artist: str, title: str) -> bool:
        return not isinstance(self._inner, TitledFormat) or self._inner.retitle(artist, title)

    def finish(self) -> tuple[bytes, list[Mark]]:
        if not isinstance(self._inner, HoldingFormat):
            return b"", []
        return self._placed(*self._inner.finish())

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        return self._placed(*self._inner.feed(data))

    def _placed(self, out: bytes, marks: list[Mark]) -> tuple[bytes, list[Mark]]:
        begun, self._size = self._size, self._size + len(out)
        # It has begun: only the offsets differ.
        if self._shift is not None:
            return out, [mark._replace(offset=mark.offset + self._shift) for mark in marks]
        # Not yet: drop the audio up to the next join point, and keep what holds there.
        join = next((mark.offset for mark in marks if isinstance(mark, Join) and mark.offset >= begun), None)
        if join is None:
            self._keep(marks)
            return b"", []
        # A header at the join point is the one needed there; it is empty if the bytes there have their own.
        before = [mark for mark in marks if mark.offset < join + isinstance(mark, Header)]
        self._keep(before)
        # From here on it begins: the codec headers, then the audio from the join point.
        first = b"" if self.family == HEADER_ONCE else self._header
        self._shift = self._base + len(first) - join
        later = [mark._replace(offset=mark.offset + self._shift) for mark in marks if mark not in before]
        header: list[Mark] = [Header(self._base + len(first), self._header)] if self._header else []
        return first + out[join - begun :], [*self._known, *header, *later]

    def _keep(self, marks: list[Mark]) -> None:
        """Keeps what will hold when the stream goes on the air."""
        for mark in marks:
            if isinstance(mark, Header):
                self._header = mark.data
            elif not isinstance(mark, Join):
                kept = [one for one in self._known if type(one) is not type(mark)]
                self._known = [*kept, mark._replace(offset=self._base)]
