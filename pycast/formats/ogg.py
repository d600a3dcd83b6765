"""Ogg streams: pages in, whole intact pages and marks out, through any number of chained streams.

A chain begins with the first pages of all its logical streams; a listener that starts there needs nothing before it.
Its headers may take a few more pages; from their end on a listener needs them first, and may start at data pages
(`ogg_chain.py` decides which). Pages pass through as they are, but for headers that are too large (`ogg_headers.py`):
nothing is re-muxed, so any codec keeps its serial numbers, timing and quality.

An encoder that connects again may go on in the middle of a chain, and lines lose bytes. What no decoder could use is
dropped up to the next chain: pages of logical streams that never began, and chains of which a header is missing. So
the headers are held back until all of them are there. The one invariant: what comes out is whole chains, or their
beginnings: all headers first, then whole pages with correct checksums, in the order they came.

A title that comes from outside goes into the comments: `retitle`, and `ogg_titles.py`, which pages of streams without
such a title never reach.
"""

from pycast.errors import FormatError
from pycast.formats.clock import BitrateMeter
from pycast.formats.marks import Header, Info, Join, Mark, Tags
from pycast.formats.ogg_chain import Chain
from pycast.formats.ogg_codecs import BrokenHeaders
from pycast.formats.ogg_page import Page, PageReader
from pycast.formats.ogg_titles import MIN_CHAIN_S, Rewritten, TitledStream

MAX_LOST = 16 * 1024 * 1024
"""Most bytes in a row that no decoder could use. Radio programs begin a chain with each song, and a song of a quarter
of an hour at 128 kbit/s has fewer."""


class Ogg:
    """Ogg pages. Raises FormatError for a stream that is not Ogg, or is broken beyond repair."""

    family = "ogg"

    def __init__(self, base: int = 0) -> None:
        self._pages = PageReader()
        self._offset = base
        self._chain = Chain(base, 0.0)
        self._lost = 0
        self._lost_in_row = 0
        self._left_out = 0
        self._reason = "its pages belong to a stream whose beginning is missing"
        self._tags = ("", "")
        self._song: tuple[str, str] | None = None
        """The title from outside that holds; None if the stream's own one does."""
        self._titled: TitledStream | None = None
        """The chain's logical stream, if the chain has got such a title."""
        self._has_begun = False
        self._writes_titles = False
        """Whether the encoder has begun the chain for a title. It may say each title twice: butt tells the server that
        of a FLAC stream a moment before it begins a chain with it.
        """
        self._stats: dict[str, str] = {}
        self._meter = BitrateMeter(base, 0.0, None)
        self._out: list[bytes] = []
        self._marks: list[Mark] = []

    @property
    def dropped(self) -> int:
        """Bytes dropped so far: garbage, broken pages, pages that no decoder could use, large headers."""
        return self._pages.skipped + self._lost + self._left_out

    @property
    def warning(self) -> str:
        """How much was dropped, in words; empty if nothing."""
        junk = self._pages.skipped + self._lost
        large = self._left_out
        texts = (
            f"{junk} bytes were no intact Ogg pages, or without their headers, and are left out" if junk else "",
            f"{large} bytes of large pictures or comments in Ogg headers are left out" if large else "",
        )
        return "; ".join(filter(None, texts))

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns whole pages and the marks in them; `Info` and `Tags` are at the start of their chain. Raises
        FormatError.
        """
        self._out, self._marks = [], []
        for page in self._pages.feed(data):
            self._take(page)
        return b"".join(self._out), self._marks

    def retitle(self, artist: str, title: str) -> bool:
        """Puts a title into the stream's comments, from a place in the next second on, until the stream has one of its
        own. Returns False if this stream can have none.
        """
        self._tags, self._song = ("", ""), (artist, title)
        if not self._chain.is_complete:
            return True
        if not self._chain.can_be_titled:
            return False
        self._ask_for_title()
        return True

    def _ask_for_title(self) -> None:
        assert self._song is not None
        if self._titled is None:
            self._titled = self._chain.titled()
        begin_s = self._chain.time_s + MIN_CHAIN_S if self._writes_titles else 0.0
        self._titled.set_song(*self._song, begin_s)

    def _take(self, page: Page) -> None:
        chain = self._chain
        # The first page of a logical stream may begin a new chain.
        if page.is_first:
            self._open(page)
        # A page of a logical stream that never began, or one that came twice.
        elif not chain.knows(page) or chain.has(page):
            self._drop(len(page.data))
        # Headers until the chain has all of them, data after that.
        elif chain.is_complete:
            self._take_data(page)
        else:
            self._take_header(page)

    def _open(self, page: Page) -> None:
        """Takes the first page of a logical stream, and begins a new chain if it does not belong to the present one."""
        chain = self._chain
        # First pages that follow each other belong together. One after other pages, or with a serial number that is in
        # use, begins a new chain.
        if not chain.codecs or chain.is_begun or chain.knows(page):
            self._give_up("its headers are not complete")
        try:
            self._chain.open_stream(page)
        except BrokenHeaders as error:
            self._give_up(error.public)

    def _take_header(self, page: Page) -> None:
        try:
            self._chain.take_header(page)
        except BrokenHeaders as error:
            self._give_up(error.public)
        else:
            if self._chain.is_complete:
                self._complete()

    def _give_up(self, reason: str) -> None:
        """Begins a chain that has no logical streams yet. The one before is dropped unless its headers are complete."""
        chain, self._chain = self._chain, Chain(self._offset, self._chain.time_s)
        self._titled = None
        if not chain.is_complete and chain.size:
            self._reason = reason
            self._drop(chain.size)

    def _complete(self) -> None:
        """Passes on the headers of the chain and what came too early, with the marks for them."""
        chain, begin = self._chain, self._chain.begin
        early = sum(len(page.data) for page in chain.early)
        self._left_out += max(chain.size - early - len(begin), 0)
        self._marks += (Header(chain.offset, b""), Join(chain.offset, chain.start_s))
        self._emit(begin)
        # Properties and tags hold from the start of the chain on.
        codecs = chain.codecs
        bitrate = sum(codec.bitrate or 0 for codec in codecs) or None
        stats = {"subtype": "/".join(codec.name for codec in codecs if codec.name)}
        for codec in reversed(codecs):
            stats |= codec.stats
        self._meter = BitrateMeter(self._offset, chain.time_s, bitrate)
        self._stats = stats
        self._writes_titles, self._has_begun = self._has_begun and any(chain.tags), True
        self._marks.append(Info(chain.offset, bitrate, stats))
        if chain.tags != self._tags:
            self._tags, self._song = chain.tags, None
            self._marks.append(Tags(chain.offset, *chain.tags))
        # From the end of the headers on, a listener needs them first.
        self._marks.append(Header(self._offset, chain.headers))
        for page in chain.early:
            self._take_data(page)
        chain.early = []
        # A stream without a title of its own keeps the one that the mount has.
        if self._song is not None and chain.can_be_titled:
            self._ask_for_title()

    def _take_data(self, page: Page) -> None:
        self._lost_in_row = 0
        new = Rewritten(page.data) if self._titled is None else self._titled.take(page, self._chain.time_s)
        offset, time_s = self._offset, self._chain.take_data(page)
        self._emit(new.data)
        if time_s is not None:
            self._marks.append(Join(offset, time_s))
            self._measure(offset, time_s)
        if new.headers:
            self._begin_titled(new)

    def _measure(self, offset: int, time_s: float) -> None:
        if time_s >= self._meter.due_s:
            bitrate = self._meter.measure(offset, time_s)
            if bitrate:
                self._marks.append(Info(offset, bitrate, self._stats))

    def _begin_titled(self, new: Rewritten) -> None:
        """Passes on what begins a chain with a title from outside."""
        self._marks += (Header(self._offset, b""), Join(self._offset, self._chain.time_s))
        self._emit(new.headers)
        self._marks.append(Header(self._offset, new.headers))
        self._emit(new.begin)

    def _emit(self, data: bytes) -> None:
        self._out.append(data)
        self._offset += len(data)

    def _drop(self, size: int) -> None:
        """Counts bytes that no decoder could use. Raises FormatError after too many."""
        self._lost += size
        self._lost_in_row += size
        if self._lost_in_row > MAX_LOST:
            raise FormatError(f"nothing in {MAX_LOST >> 20} MiB of the Ogg stream can be played: {self._reason}")
