"""One chain link of an Ogg stream: the logical streams that begin together, their headers, and where a listener can
start.

Takes the intact pages of one chain in order, and decides for each whether it is a header, data, or a join. Keeps no
bytes but those that come until the headers are complete. The one invariant: the headers become complete exactly once,
and joins come only after that.

Good joins. Audio: a page that does not begin in the middle of a packet. Video: a page on which the first packet to
start is a key frame; the audio pages that follow it are near enough in time. If a stream has no such pages (some muxers
cut packets anywhere), a page on which any fitting packet starts is taken: decoders drop what is before that.
"""

from pycast.errors import FormatError
from pycast.formats.clock import MediaClock
from pycast.formats.ogg_codecs import BrokenHeaders, Codec, Role, identify
from pycast.formats.ogg_headers import HeaderPackets
from pycast.formats.ogg_page import NO_GRANULE, Page, PageReader, split_page, write_pages
from pycast.formats.ogg_titles import CODECS, TitledStream

MAX_HEADERS = 32 * 1024 * 1024
"""Most bytes before the headers are complete. Comments may hold a cover picture of 16 MB, in base64; more than this is
no header."""

MAX_EARLY = 8 * 1024
"""Bytes of data after which headers of the other logical streams are not waited for any more. Headers come before all
data: an encoder that was cut off after its first page has left one that will never have its headers."""

MAX_PLAIN = 256 * 1024
"""Most bytes of header pages of one logical stream that are sent on as they are. Of larger ones, the comments are sent
on without what is too long (`ogg_headers.py`)."""

MAX_STREAMS = 11
"""Icecast's limit of logical streams, plus one: a concert has fewer."""

AUDIO_PATIENCE = 32 * 1024
"""Bytes of audio without a good join after which a lesser one is taken: half a burst, so that no new listener waits."""

VIDEO_PATIENCE = 1024 * 1024
"""The same for video. A lesser join shows a broken picture at first, and key frames are far apart."""


class _LogicalStream:
    """One logical stream: its codec, its headers, its clock."""

    def __init__(self, codec: Codec, first: Page, time_s: float) -> None:
        self.codec = codec
        self.clock = MediaClock(time_s)
        self.headers = HeaderPackets(codec)
        self.has_headers = self.headers.is_complete
        self.is_over = False
        self.without_audio: dict[bytes, bytes] = {}
        """The last header page, if it has audio too, and what is left of it without. Audio should begin on a page of
        its own, but some muxers do not care."""
        self.audio: Page | None = None
        """That audio."""
        self.latest = first
        self.size = 0
        """Bytes of its header pages, but the first."""
        self._first_sequence = first.sequence

    @property
    def is_plain(self) -> bool:
        """Whether its header pages are sent on as they are."""
        return self.size <= MAX_PLAIN

    def small_pages(self) -> bytes:
        """Returns the header pages, but the first, as they are sent on if they are too large."""
        # Numbered on from the first one: decoders do without a page that is missing after the headers, as whoever joins
        # later misses some, but not in them.
        return b"".join(write_pages(self.headers.packets, self.latest.serial, self._first_sequence + 1))

    def take_header(self, page: Page) -> bool:
        """Reads a page that should hold headers; returns False if it holds data. Raises BrokenHeaders if headers are
        missing."""
        headers, before = self.headers, self.latest
        self.latest = page
        if headers.is_within and not (page.is_continued and page.sequence == (before.sequence + 1) % 2**32):
            raise BrokenHeaders(f"a page is missing in the headers of {self._name} in the Ogg stream")
        pieces = page.pieces()
        # The rest of a packet whose beginning was never seen.
        unknown = int(page.is_continued and not headers.is_within)
        del pieces[:unknown]
        # A page of data is recognised by its first packet, even if that does not end on it.
        if pieces and not headers.is_within and self._begins_data(pieces[0][0]):
            self.has_headers = True
            return False
        for count, (piece, is_end) in enumerate(pieces, 1):
            headers.feed(piece, is_end=is_end)
            if headers.is_complete and count < len(pieces):
                head, self.audio = split_page(page, unknown + count)
                self.without_audio[page.data] = head.data
                self._pass_time(page)
                break
        self.size += len(page.data)
        # The end of the logical stream ends the headers too.
        self.has_headers = headers.is_complete or page.is_last
        return True

    @property
    def _name(self) -> str:
        return self.codec.name or "an unknown codec"

    def _begins_data(self, packet: bytes) -> bool:
        if not packet or not self.codec.is_data(packet):
            return False
        if self.codec.header_packets:
            raise BrokenHeaders(f"headers of {self._name} are missing in the Ogg stream")
        return True

    def pass_data(self, page: Page) -> None:
        """Advances the clock to the end of `page`."""
        self.latest = page
        self._pass_time(page)
        self.is_over = self.is_over or page.is_last

    def _pass_time(self, page: Page) -> None:
        if page.granule != NO_GRANULE and self.codec.rate:
            self.clock.advance(self.codec.position_s(page.granule))

    @property
    def latest_audio(self) -> Page:
        """The latest page, without the headers that may be on it."""
        return self.latest if self.audio is None or self.latest.data not in self.without_audio else self.audio


class Chain:
    """The logical streams that began at `offset`, at media time `time_s`."""

    def __init__(self, offset: int, time_s: float) -> None:
        self.offset = offset
        self.is_complete = False
        """Whether all headers have been seen."""
        self.is_begun = False
        """Whether a page after the first ones has been seen, so that another first page begins a new chain."""
        self.start_s = time_s
        """Media time at which it began."""
        self._streams: dict[int, _LogicalStream] = {}
        self.size = 0
        """Bytes of all pages that came until the headers were complete."""
        self.early: list[Page] = []
        """Pages of data that came before the headers were complete."""
        self._early_size = 0
        self._first_pages: dict[int, bytes] = {}
        self._header_pages: list[tuple[_LogicalStream, bytes]] = []
        self._primary: _LogicalStream | None = None
        self._since_join = 0

    @property
    def time_s(self) -> float:
        """Media time that the chain has reached."""
        return max((stream.clock.time_s for stream in self._streams.values()), default=self.start_s)

    @property
    def headers(self) -> bytes:
        """What a decoder needs before the first data page: first pages of all logical streams, then the other header
        pages."""
        return self._begin_with([stream.without_audio.get(data, data) for stream, data in self._header_pages])

    @property
    def begin(self) -> bytes:
        """The headers as they came: with the audio that may be on their last page."""
        return self._begin_with([data for _, data in self._header_pages])

    def _begin_with(self, plain: list[bytes]) -> bytes:
        small = [stream.small_pages() for stream in self._streams.values() if not stream.is_plain]
        return b"".join([*self._first_pages.values(), *plain, *small])

    @property
    def codecs(self) -> list[Codec]:
        return [stream.codec for stream in self._streams.values()]

    @property
    def can_be_titled(self) -> bool:
        """Whether it can go on with another title: it has one logical stream, of a codec for which that is known."""
        return [stream.codec.name in CODECS for stream in self._streams.values()] == [True]

    def titled(self) -> TitledStream:
        """Returns its logical stream, for a title. Only if `can_be_titled`."""
        ((serial, stream),) = self._streams.items()
        (first, _), *_ = PageReader().feed(self._first_pages[serial])[0].pieces()
        return TitledStream(stream.codec, first, stream.headers.packets, stream.latest_audio, stream.headers.tags)

    @property
    def tags(self) -> tuple[str, str]:
        """Artist and title from the first logical stream that has any."""
        found = (stream.headers.tags for stream in self._streams.values())
        return next((tags for tags in found if tags != ("", "")), ("", ""))

    def knows(self, page: Page) -> bool:
        """Whether `page` belongs to one of the logical streams."""
        return page.serial in self._streams

    def has(self, page: Page) -> bool:
        """Whether `page` is the latest one of its logical stream, sent again."""
        return self._streams[page.serial].latest.identity == page.identity

    def open_stream(self, page: Page) -> None:
        """Takes the first page of a logical stream. Raises BrokenHeaders, or FormatError if there are too many."""
        if len(self._streams) >= MAX_STREAMS:
            raise FormatError("too many logical streams in the Ogg stream")
        self.size += len(page.data)
        begin = next((piece for piece, _ in page.pieces()), b"")
        self._streams[page.serial] = _LogicalStream(identify(begin), page, self.start_s)
        self._first_pages[page.serial] = page.data

    def take_header(self, page: Page) -> None:
        """Takes a page while headers are missing, and keeps it. Raises BrokenHeaders, or FormatError if they do not
        come to an end.
        """
        self.is_begun = True
        self.size += len(page.data)
        if self.size > MAX_HEADERS:
            raise FormatError("the headers of the Ogg stream do not end")
        streams = self._streams.values()
        stream = self._streams[page.serial]
        # A header page: the chain may be complete with it.
        was_plain = stream.is_plain
        if not stream.has_headers and stream.take_header(page):
            self._keep_header(stream, page, was_plain=was_plain)
            self.is_complete = all(stream.has_headers for stream in streams)
        # A data page of this logical stream. The chain is complete if the others have their headers too; headers of
        # text and the like are not waited for.
        else:
            self.early.append(page)
            self._early_size += len(page.data)
            self.is_complete = all(stream.has_headers or stream.codec.role is Role.EXTRA for stream in streams)
            if self._early_size > MAX_EARLY:
                self._leave_out_incomplete()
        if self.is_complete:
            self._choose_primary()

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

    def _leave_out_incomplete(self) -> None:
        """Makes do with the logical streams whose headers are complete."""
        self._streams = {serial: stream for serial, stream in self._streams.items() if stream.has_headers}
        self._first_pages = {serial: data for serial, data in self._first_pages.items() if serial in self._streams}
        self._header_pages = [one for one in self._header_pages if one[0].has_headers]
        self.is_complete = True

    def _keep_header(self, stream: _LogicalStream, page: Page, *, was_plain: bool) -> None:
        if stream.is_plain:
            self._header_pages.append((stream, page.data))
        elif was_plain:
            self._header_pages = [one for one in self._header_pages if one[0] is not stream]
        # Pages of their own have no room for it.
        if stream.audio is not None and not stream.is_plain:
            self.early.append(stream.audio)

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
