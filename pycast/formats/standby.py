"""A stream that nobody hears yet: kept in step, so that it can go on the air at its next join point.

A source that stands by is read like any other, and its audio thrown away. What a decoder needs to begin in the middle
(codec headers), and what holds (bitrate, title), is kept. `resume_at` gives the format with which the mount goes on:
its first bytes are the codec headers, if the stream has any, and then the audio from the next join point.

The one invariant: what comes out of the continued format begins with a whole unit, and its marks count from `base`.
"""

from dataclasses import replace

from pycast.formats.content_types import new_format
from pycast.formats.marks import Format, Header, Info, Join, Mark, Tags


class StandbyStream:
    """The stream of a source that stands by. `feed` it; then `resume_at`, once."""

    def __init__(
        self,
        content_type: str,
        inner: Format | None = None,
        size: int = 0,
        header: bytes = b"",
        info: Info | None = None,
        tags: Tags | None = None,
    ) -> None:
        """`inner` is the format of a stream that was on the air until now and has put out everything before `size`.
        `header`, `info` and `tags` are what holds there.
        """
        self.tags = tags
        """What its source plays; None until it has said that."""
        self._inner = inner or new_format(content_type)
        self._size = size
        self._header = header
        self._info = info

    def feed(self, data: bytes) -> None:
        """Takes bytes from the source. Raises FormatError."""
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
        """Keeps what the source plays from now on, until it is on the air. Returns True."""
        self.tags = Tags(self._size, artist, title, url)
        return True

    def resume_at(self, base: int) -> Format:
        """The format of the mount that the stream goes on with, at the offset `base`."""
        known: list[Mark] = [replace(mark, offset=base) for mark in (self._info, self.tags) if mark is not None]
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

    @property
    def warning(self) -> str:
        return self._inner.warning

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        out, marks = self._inner.feed(data)
        begun, self._size = self._size, self._size + len(out)
        if self._shift is not None:
            return out, [replace(mark, offset=mark.offset + self._shift) for mark in marks]
        join = next((mark.offset for mark in marks if isinstance(mark, Join) and mark.offset >= begun), None)
        if join is None:
            self._keep(marks)
            return b"", []
        # A header at the join point is what is needed there, or says that the bytes there bring their own.
        before = [mark for mark in marks if mark.offset < join + isinstance(mark, Header)]
        self._keep(before)
        self._shift = self._base + len(self._header) - join
        later = [replace(mark, offset=mark.offset + self._shift) for mark in marks if mark not in before]
        header: list[Mark] = [Header(self._base + len(self._header), self._header)] if self._header else []
        return self._header + out[join - begun :], [*self._known, *header, *later]

    def _keep(self, marks: list[Mark]) -> None:
        """What holds when the stream goes on the air."""
        for mark in marks:
            if isinstance(mark, Header):
                self._header = mark.data
            elif not isinstance(mark, Join):
                kept = [one for one in self._known if type(one) is not type(mark)]
                self._known = [*kept, replace(mark, offset=self._base)]
