"""A title from outside in an Ogg stream: a logical stream ends, and its audio goes on in one with other comments.

Ogg has no other place for a title in the middle, and all players know such chains. It happens between two packets: a
page is marked as the stream's last, up to the last packet that ends on it; then come a first page, the comments and the
other headers, and then the same audio, on pages with other serial numbers, page numbers and granule positions. No
sample is lost or heard twice: the new stream begins with the packets that a decoder needs before it can go on, and says
that they are not to be played.

Vorbis, Opus and FLAC alone. Nothing here sees a page of a stream that never got a title. The one invariant: whatever
comes in, what comes out are whole pages with correct checksums, numbered without a gap that was not there before.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

from pycast.formats.comments import with_song
from pycast.formats.ogg_codecs import Codec
from pycast.formats.ogg_headers import flac_block
from pycast.formats.ogg_packets import lead_in, whole_packets
from pycast.formats.ogg_page import FIRST, LAST, NO_GRANULE, Page, lacing_of, write_page, write_pages

CODECS = frozenset({"Vorbis", "Opus", "FLAC"})
"""Those whose streams can go on in another one."""

MIN_CHAIN_S = 0.5
"""The shortest time between two titles in the stream. Encoders send artist and title apart, or clear a title before
they set the next one; and each costs all listeners the headers."""

PATIENCE = 8
"""Pages after which a new stream begins without all of the packets that a decoder needs. What is heard is a click."""

_KEPT_PAGES = 8
_LAST_GRANULE = 2**63 - 1
_FULL, _MOST_SEGMENTS = 255, 255
_OPUS_SKIP = slice(10, 12)
_FLAC_COUNT, _FLAC_TOTAL = slice(7, 9), 17 + 13
_FLAC_COMMENTS, _FLAC_LAST = 4, 0x80


class Rewritten(NamedTuple):
    """What is sent for one page. If a new logical stream begins behind it, `headers` are not empty, and `begin` is its
    first audio."""

    data: bytes
    headers: bytes = b""
    begin: bytes = b""


class _Cut(NamedTuple):
    """A page on which one logical stream ends and the next begins."""

    left: Page
    """The page up to the end of the last packet that ends on it."""
    right: Page | None
    """The begin of the packet behind that, if there is one."""
    lead: list[bytes]
    lead_samples: int


class TitledStream:
    """The one logical stream of a chain, from the first title that it gets until it ends."""

    def __init__(
        self, codec: Codec, first: bytes, headers: Sequence[bytes], latest: Page, song: tuple[str, str]
    ) -> None:
        """`first` and `headers` are its header packets; `latest` is its latest page, `song` what its comments say."""
        self._codec = codec
        self._first = first
        self._headers = headers
        self._serial = latest.serial
        self._is_renumbered = False
        self._sequence_shift = 0
        self._granule_shift = 0
        self._present = song
        self._song: tuple[str, str] | None = None
        """What is asked for; None if that is what the comments say."""
        self._waited = 0
        self._not_before_s = 0.0
        self._pages: deque[Page] = deque(maxlen=_KEPT_PAGES)
        # Pages of headers have the position 0.
        if latest.granule > 0:
            self._pages.append(latest)

    def set_song(self, artist: str, title: str, begin_s: float = 0.0) -> None:
        """Asks for a new logical stream behind the next page that is good for that, from the media time `begin_s` on;
        another title does not put that off. Encoders and scripts send a title again and again: the one that the
        comments say already asks for nothing.
        """
        song = (artist, title) if _shown(artist, title) != _shown(*self._present) else None
        if self._song is None:
            self._not_before_s = max(self._not_before_s, begin_s)
        if song != self._song:
            self._song, self._waited = song, 0

    def take(self, page: Page, time_s: float) -> Rewritten:
        """Returns what is sent for a page of data that comes at the media time `time_s`."""
        cut = self._find_cut(page) if self._song is not None and time_s >= self._not_before_s else None
        self._pages.append(page)
        if cut is None:
            return Rewritten(self._renumbered(page) if self._is_renumbered else page.data)
        self._not_before_s = time_s + MIN_CHAIN_S
        return self._begin(cut)

    def _find_cut(self, page: Page) -> _Cut | None:
        """Returns how the stream can be cut on `page`, behind the last packet that ends there."""
        self._waited += 1
        # The position of a page is where that packet ends. A stream that is over needs no title.
        ended = next((at for at in range(len(page.lacing), 0, -1) if page.lacing[at - 1] < _FULL), 0)
        if not ended or page.granule < 0 or page.is_last:
            return None
        middle = page.body + sum(page.lacing[:ended])
        left = page._replace(data=page.data[:middle], lacing=page.lacing[:ended], flags=page.flags | LAST)
        right = None
        if ended < len(page.lacing):
            right = page._replace(
                data=page.data[middle:],
                body=0,
                lacing=page.lacing[ended:],
                flags=0,
                granule=NO_GRANULE,
                sequence=page.sequence + 1,
            )
        lead = lead_in(self._codec.name, whole_packets([*self._pages, left]))
        if lead is None and self._waited < PATIENCE:
            return None
        if lead is None or len(_lacing(lead[0])) > _MOST_SEGMENTS:
            lead = [], 0
        return _Cut(left, right, *lead)

    def _begin(self, cut: _Cut) -> Rewritten:
        """Ends the logical stream and begins the next one."""
        assert self._song is not None
        data = self._renumbered(cut.left)
        comments = self._comments(*self._song)
        self._serial = self._new_serial(cut)
        first = self._first_packet(cut.lead_samples)
        headers = [
            write_page(lacing_of(first), first, flags=FIRST, granule=0, serial=self._serial, sequence=0),
            *write_pages(comments, self._serial, 1),
        ]
        begin = self._lead_page(cut, len(headers))
        next_sequence = cut.left.sequence + 1
        self._sequence_shift = len(headers) + (1 if begin else 0) - next_sequence
        # Positions begin at 0. They might go on, but VLC would then be silent for as long as the stream was before.
        self._granule_shift = cut.lead_samples - cut.left.granule
        if cut.right is not None:
            begin += self._renumbered(cut.right)
            self._sequence_shift += 1
        self._is_renumbered, self._present, self._song = True, self._song, None
        return Rewritten(data, b"".join(headers), begin)

    def _lead_page(self, cut: _Cut, sequence: int) -> bytes:
        """Returns the page with the packets that a decoder needs first."""
        if not cut.lead:
            return b""
        return write_page(
            _lacing(cut.lead),
            b"".join(cut.lead),
            flags=0,
            granule=cut.lead_samples,
            serial=self._serial,
            sequence=sequence,
        )

    def _new_serial(self, cut: _Cut) -> int:
        """Returns a serial number that no other logical stream nearby has: one that seems random, but is the same
        whenever the same bytes come in."""
        text = "\0".join(self._song or ())
        serial = crc32(text.encode("utf-8", "replace"), crc32(b"%d %d" % (self._serial, cut.left.granule)))
        return serial if serial not in (self._serial, cut.left.serial) else (serial + 1) % 2**32

    def _moved(self, granule: int) -> int:
        # An encoder whose positions go back must not make one that means "none", or one that is too large.
        return granule if granule == NO_GRANULE else min(max(granule + self._granule_shift, 0), _LAST_GRANULE)

    def _renumbered(self, page: Page) -> bytes:
        return write_page(
            page.lacing,
            page.data[page.body :],
            flags=page.flags,
            granule=self._moved(page.granule),
            serial=self._serial,
            sequence=page.sequence + self._sequence_shift,
        )

    def _first_packet(self, lead_samples: int) -> bytes:
        first = bytearray(self._first)
        if self._codec.name == "Opus":
            # Two packets of Opus are never that long (RFC 6716, 3.1), but broken ones may say so.
            first[_OPUS_SKIP] = min(lead_samples, 0xFFFF).to_bytes(2, "little")
        elif self._codec.name == "FLAC":
            # Of a part neither the length nor the digest of the whole are right.
            first[_FLAC_TOTAL] &= 0xF0
            first[_FLAC_TOTAL + 1 :] = bytes(len(first) - _FLAC_TOTAL - 1)
            count = int.from_bytes(first[_FLAC_COUNT])
            if count and self._comments_at() is None:
                first[_FLAC_COUNT] = (count + 1).to_bytes(2)
        return bytes(first)

    def _comments_at(self) -> int | None:
        """Returns which of the headers holds the comments."""
        return next(
            (at for at, packet in enumerate(self._headers) if self._codec.comments_at(packet, at + 2) is not None), None
        )

    def _comments(self, artist: str, title: str) -> list[bytes]:
        """Returns the headers with other comments."""
        at, headers = self._comments_at(), list(self._headers)
        if at is None:  # only FLAC can do without
            block = with_song(b"", artist, title)
            kind = _FLAC_COMMENTS | (0 if headers else _FLAC_LAST)
            return [flac_block(kind, block), *headers]
        packet = headers[at]
        begin = self._codec.comments_at(packet, at + 2)
        block = with_song(packet[begin:], artist, title)
        match self._codec.name:
            case "FLAC":
                headers[at] = flac_block(packet[0], block)
            case "Vorbis":
                headers[at] = self._codec.comment_head + block + b"\x01"
            case _:
                headers[at] = self._codec.comment_head + block
        return headers


def _lacing(packets: Iterable[bytes]) -> bytes:
    """Returns the segments of packets that are together on a page."""
    return b"".join(map(lacing_of, packets))


def _shown(artist: str, title: str) -> str:
    """Returns both in one, as players show them."""
    return " - ".join(filter(None, (artist, title)))
