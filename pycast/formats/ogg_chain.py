"""One chain link of an Ogg stream: the logical streams that begin together, their headers, and where a listener can
start.

Takes the intact pages of one chain in order, and decides for each whether it is a header, data, or a join. Keeps no
bytes but header pages. The one invariant: the headers become complete exactly once, and joins come only after that.

Good joins. Audio: a page that does not begin in the middle of a packet. Video: a page on which the first packet to
start is a key frame; the audio pages that follow it are near enough in time. If a stream has no such pages (some muxers
cut packets anywhere), a page on which any fitting packet starts is taken: decoders drop what is before that.
"""

from pycast.errors import FormatError
from pycast.formats.clock import MediaClock
from pycast.formats.ogg_codecs import Codec, Role, identify
from pycast.formats.ogg_page import NO_GRANULE, Page
from pycast.formats.tags import artist_and_title

MAX_HEADERS = 1024 * 1024
"""Most bytes before the headers are complete. Comments may hold a cover picture; more than this is no header."""

MAX_STREAMS = 11
"""Icecast's limit of logical streams, plus one: a concert has fewer."""

AUDIO_PATIENCE = 32 * 1024
"""Bytes of audio without a good join after which a lesser one is taken: half a burst, so that no new listener waits."""

VIDEO_PATIENCE = 1024 * 1024
"""The same for video. A lesser join shows a broken picture at first, and key frames are far apart."""


class _LogicalStream:
    """One logical stream: its codec, whether its headers are complete, its tags, its clock."""

    def __init__(self, codec: Codec, time_s: float) -> None:
        self.codec = codec
        self.clock = MediaClock(time_s)
        self.has_headers = codec.header_packets == 1
        self.is_over = False
        self.tags = ("", "")
        self._count = 1
        self._partial: list[bytes] = []

    def take_header(self, page: Page) -> bool:
        """Reads a page that should hold headers; returns False if it holds data. Raises FormatError if headers are
        missing."""
        # A page of data is recognised by its first packet, even if that does not end on it.
        packets, self._partial = page.packets(self._partial)
        begin = packets[0] if packets else next(iter(self._partial), b"")
        is_header = not self._begins_data(begin)
        # Count the headers, and read the tags from the comments among them.
        for packet in filter(None, packets if is_header else ()):
            self._count += 1
            comments = self.codec.comments(packet) if self.tags == ("", "") else None
            if comments:
                self.tags = artist_and_title(comments)
            if self.codec.is_last_header(packet, self._count):
                self.has_headers = True
        # Data, or the end of the logical stream, ends the headers too.
        if page.is_last or not is_header:
            self.has_headers = True
        return is_header

    def _begins_data(self, packet: bytes) -> bool:
        if not packet or not self.codec.is_data(packet):
            return False
        if self.codec.header_packets:
            # No decoder could use this. The error ends the source, and the encoder then begins again.
            raise FormatError(f"headers of {self.codec.name} are missing in the Ogg stream")
        return True

    def pass_data(self, page: Page) -> None:
        """Advances the clock to the end of `page`."""
        if page.granule != NO_GRANULE and self.codec.rate:
            self.clock.advance(self.codec.position_s(page.granule))
        self.is_over = self.is_over or page.is_last


class Chain:
    """The logical streams that began at `offset`, at media time `time_s`."""

    def __init__(self, offset: int, time_s: float) -> None:
        self.offset = offset
        self.is_complete = False
        """Whether all headers have been seen."""
        self.is_begun = False
        """Whether a page after the first ones has been seen, so that another first page begins a new chain."""
        self._start_s = time_s
        self._streams: dict[int, _LogicalStream] = {}
        self._first_pages: list[bytes] = []
        self._header_pages: list[bytes] = []
        self._header_size = 0
        self._primary: _LogicalStream | None = None
        self._since_join = 0

    @property
    def time_s(self) -> float:
        """Media time that the chain has reached."""
        return max((stream.clock.time_s for stream in self._streams.values()), default=self._start_s)

    @property
    def headers(self) -> bytes:
        """What a decoder needs before the first data page: first pages of all logical streams, then the other header
        pages."""
        return b"".join(self._first_pages + self._header_pages)

    @property
    def codecs(self) -> list[Codec]:
        return [stream.codec for stream in self._streams.values()]

    @property
    def tags(self) -> tuple[str, str]:
        """Artist and title from the first logical stream that has any."""
        return next((stream.tags for stream in self._streams.values() if stream.tags != ("", "")), ("", ""))

    def knows(self, page: Page) -> bool:
        """Whether `page` belongs to one of the logical streams."""
        return page.serial in self._streams

    def open_stream(self, page: Page) -> None:
        """Takes the first page of a logical stream. Raises FormatError."""
        if len(self._streams) >= MAX_STREAMS:
            raise FormatError("too many logical streams in the Ogg stream")
        packets, partial = page.packets([])
        first = packets[0] if packets else b"".join(partial)
        self._streams[page.serial] = _LogicalStream(identify(first), self._start_s)
        self._first_pages.append(page.data)
        self._count_header(page)

    def take_header(self, page: Page) -> bool:
        """Takes a page while headers are missing. Returns False if it is the first data page, and the headers were
        complete before it.

        Raises FormatError if the headers do not come to an end.
        """
        self.is_begun = True
        self._count_header(page)
        self._choose_primary()
        streams = self._streams.values()
        stream = self._streams[page.serial]
        # A header page: the chain may be complete with it.
        if not stream.has_headers and stream.take_header(page):
            self._header_pages.append(page.data)
            self.is_complete = all(stream.has_headers for stream in streams)
            return True
        # A data page of this logical stream. The chain is complete if the others have their headers too; headers of
        # text and the like are not waited for. Otherwise the page passes without a mark.
        self.is_complete = all(stream.has_headers or stream.codec.role is Role.EXTRA for stream in streams)
        return not self.is_complete

    def take_data(self, page: Page) -> float | None:
        """Takes a data page; returns its media time if a listener can start there, else None."""
        # The time of a page is where the one before ended. Only pages of the primary stream can be joins.
        stream = self._streams[page.serial]
        time_s = stream.clock.time_s
        is_join = stream is self._primary and self._is_join(stream.codec, page)
        stream.pass_data(page)
        self._since_join = 0 if is_join else self._since_join + len(page.data)
        # After its last page another logical stream decides where listeners start.
        if stream.is_over and stream is self._primary:
            self._choose_primary()
        return time_s if is_join else None

    def _count_header(self, page: Page) -> None:
        self._header_size += len(page.data)
        if self._header_size > MAX_HEADERS:
            raise FormatError("the headers of the Ogg stream do not end")

    def _choose_primary(self) -> None:
        """Chooses the logical stream whose pages can be joins: video, else audio, else any, of those that still run."""
        running = [stream for stream in self._streams.values() if not stream.is_over]
        self._primary = min(running, key=lambda stream: stream.codec.role.value, default=None)

    def _is_join(self, codec: Codec, page: Page) -> bool:
        # Video: the first packet that starts here must be a key frame; after a long time without one, any of them.
        if codec.role is Role.VIDEO:
            starts = page.starts()
            candidates = starts[:1] if self._since_join < VIDEO_PATIENCE else starts
            return any(start < len(page.data) and codec.is_key_frame(page.data[start]) for start in candidates)
        # Audio: the page must begin with a packet; after a while without such a page, one may start anywhere on it.
        if page.is_continued:
            return self._since_join >= AUDIO_PATIENCE and bool(page.starts())
        return bool(page.lacing)
