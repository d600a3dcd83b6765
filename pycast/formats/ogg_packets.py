"""Which packets of an Ogg stream a decoder needs before it can go on in the middle.

A decoder that begins with a packet does not give what one gives that had the packets before: Vorbis overlaps each
packet with the one before, Opus predicts from some of them (RFC 7845, section 4.6 asks for 80 ms). FLAC's frames stand
alone. Reads a packet's first bytes and nothing of its audio. The one invariant: what is returned is at the end of what
came in, and its length in samples is exact.
"""

from collections.abc import Iterable, Sequence

from pycast.formats.ogg_page import Page

OPUS_LEAD = 3840
"""Samples of Opus before those that are played: 80 ms."""

_OPUS_SILK = (480, 960, 1920, 2880)
_OPUS_HYBRID = (480, 960)
_OPUS_CELT = (120, 240, 480, 960)


def whole_packets(pages: Iterable[Page]) -> list[bytes]:
    """Returns the packets that begin and end on `pages`, which follow each other."""
    packets: list[bytes] = []
    begin: bytes | None = None
    for page in pages:
        pieces = page.pieces()
        for number, (piece, is_end) in enumerate(pieces):
            is_rest = number == 0 and page.is_continued
            whole = piece if not is_rest else None if begin is None else begin + piece
            begin = None if is_end else whole
            if is_end and whole:
                packets.append(whole)
    return packets


def opus_samples(packet: bytes) -> int | None:
    """Returns how many samples (at 48 kHz) a packet of Opus has (RFC 6716, section 3.1); None if it is broken."""
    if not packet:
        return None
    kind, count = packet[0] >> 3, packet[0] & 3
    if kind < 12:
        frame = _OPUS_SILK[kind & 3]
    elif kind < 16:
        frame = _OPUS_HYBRID[kind & 1]
    else:
        frame = _OPUS_CELT[kind & 3]
    if count == 3:
        return frame * (packet[1] & 0x3F) if len(packet) > 1 else None
    return frame * (2 if count else 1)


def lead_in(codec: str, packets: Sequence[bytes]) -> tuple[list[bytes], int] | None:
    """Returns the packets at the end of `packets` that a decoder needs before what follows them, and how many samples
    it makes of them; None if `packets` are too few.
    """
    match codec:
        case "Vorbis":
            # The first packet of a stream gives no sample.
            return (list(packets[-1:]), 0) if packets else None
        case "Opus":
            return _opus_lead(packets)
    return [], 0


def _opus_lead(packets: Sequence[bytes]) -> tuple[list[bytes], int] | None:
    samples = 0
    for number in range(len(packets) - 1, -1, -1):
        samples += opus_samples(packets[number]) or 0
        if samples >= OPUS_LEAD:
            return list(packets[number:]), samples
    return None
