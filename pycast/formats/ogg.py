"""Ogg streams: pages in, whole intact pages and marks out, through any number of chained streams.

A chain begins with the first pages of all its logical streams; a listener that starts there needs nothing before it.
Its headers may take a few more pages; from their end on a listener needs them first, and may start at data pages
(`ogg_chain.py` decides which). Pages pass through as they are: nothing is re-muxed, so any codec keeps its serial
numbers, timing and quality. The one invariant: what comes out is whole pages with correct checksums, in the order they
came.
"""

from pycast.errors import FormatError
from pycast.formats.clock import BitrateMeter
from pycast.formats.marks import Header, Info, Join, Mark, Tags
from pycast.formats.ogg_chain import Chain
from pycast.formats.ogg_page import MAX_GARBAGE, Page, PageReader


class Ogg:
    """Ogg pages. Raises FormatError for a stream that is not Ogg, or is broken beyond repair."""

    family = "ogg"

    def __init__(self, base: int = 0) -> None:
        self._pages = PageReader()
        self._offset = base
        self._chain = Chain(base, 0.0)
        self._strays = 0
        self._strays_in_row = 0
        self._tags = ("", "")
        self._stats: dict[str, str] = {}
        self._meter = BitrateMeter(base, 0.0, None)
        self._marks: list[Mark] = []

    @property
    def skipped(self) -> int:
        """Bytes dropped so far: garbage, broken pages, pages of logical streams that never began."""
        return self._pages.skipped + self._strays

    @property
    def warning(self) -> str:
        """How much was skipped, in words; empty if nothing."""
        return f"{self.skipped} bytes were no intact Ogg pages and are left out" if self.skipped else ""

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns whole pages and the marks in them. `Info` and `Tags` are at the start of their chain, so maybe before
        this call's bytes.

        Raises FormatError.
        """
        marks = self._marks = []
        out = []
        for page in self._pages.feed(data):
            if self._take(page):
                out.append(page.data)
                self._offset += len(page.data)
        return b"".join(out), marks

    def _take(self, page: Page) -> bool:
        """Adds the marks for `page`; returns False if it must not be passed on."""
        # The first page of a logical stream may begin a new chain.
        if page.is_first:
            self._open(page)
        # A page of a logical stream that never began.
        elif not self._chain.knows(page):
            self._drop(page)
            return False
        # Headers until the chain has all of them, data after that.
        elif self._chain.is_complete:
            self._take_data(page)
        else:
            self._take_header(page)
        self._strays_in_row = 0
        return True

    def _open(self, page: Page) -> None:
        """Takes the first page of a logical stream, and begins a new chain if it does not belong to the present one."""
        chain = self._chain
        # First pages that follow each other belong together. One after other pages, or with a serial number that is in
        # use, begins a new chain.
        if not chain.codecs or chain.is_begun or chain.knows(page):
            self._chain = Chain(self._offset, chain.time_s)
            self._marks += (Header(self._offset, b""), Join(self._offset, chain.time_s))
        self._chain.open_stream(page)

    def _take_header(self, page: Page) -> None:
        if not self._chain.take_header(page):
            # This page has data already: the headers end before it.
            self._complete(self._offset)
            self._take_data(page)
        elif self._chain.is_complete:
            # This page has the last header: the headers end after it.
            self._complete(self._offset + len(page.data))

    def _complete(self, end: int) -> None:
        """Adds the marks for the headers of the chain, of which the last one ends at `end`."""
        chain = self._chain
        # Properties and tags hold from the start of the chain on.
        codecs = chain.codecs
        bitrate = sum(codec.bitrate or 0 for codec in codecs) or None
        stats = {"subtype": "/".join(codec.name for codec in codecs if codec.name)}
        for codec in reversed(codecs):
            stats |= codec.stats
        self._meter = BitrateMeter(end, chain.time_s, bitrate)
        self._stats = stats
        self._marks.append(Info(chain.offset, bitrate, stats))
        if chain.tags != self._tags:
            self._tags = chain.tags
            self._marks.append(Tags(chain.offset, *chain.tags))
        # From the end of the headers on, a listener needs them first.
        self._marks.append(Header(end, chain.headers))

    def _take_data(self, page: Page) -> None:
        time_s = self._chain.take_data(page)
        if time_s is None:
            return
        self._marks.append(Join(self._offset, time_s))
        if time_s >= self._meter.due_s:
            bitrate = self._meter.measure(self._offset, time_s)
            if bitrate:
                self._marks.append(Info(self._offset, bitrate, self._stats))

    def _drop(self, page: Page) -> None:
        """Drops a page whose logical stream never began; no decoder could use it. Raises FormatError after too many."""
        self._strays += len(page.data)
        self._strays_in_row += len(page.data)
        if self._strays_in_row > MAX_GARBAGE:
            raise FormatError("the Ogg stream has no beginning")
