"""Artist and title from Vorbis comments, whichever codec carries them.

Takes the comment block alone (codec framing already cut off) and lets mutagen read it. A block that cannot be read has
no tags: a broken title is no reason to end a stream. The one invariant: what comes out is of limited length. The mount
makes it clean, like every title. Pictures and everything else in the comments are ignored.
"""

from struct import Struct, error

MAX_COMMENTS = 1000
"""Comments that are looked at. Songs have some twenty; a block of 1 MiB could have a hundred thousand, and reading them
would take a second."""

_COUNT = Struct("<I")

MAX_TEXT = 1000
"""Characters of an artist or a title that are kept: an ICY block holds 4080 bytes, and no player shows more than a
line."""


def artist_and_title(comments: bytes) -> tuple[str, str]:
    """Returns artist and title of a Vorbis comment block (vorbis-spec section 5.2.1, without framing bit); "" for one
    that is not in it."""
    # Imported on the first Ogg stream, not at start: it costs more than the rest of the formats together.
    from mutagen import MutagenError
    from mutagen.flac import VCFLACDict

    try:
        fields: list[tuple[str, str]] = list(VCFLACDict(_first(comments)))  # type: ignore[no-untyped-call]
    except MutagenError:
        return "", ""
    return _text(fields, "artist"), _text(fields, "title")


def _first(comments: bytes) -> bytes:
    """Returns the block with `MAX_COMMENTS` comments at most: their number is written after the vendor's name."""
    try:
        at = _COUNT.size + _COUNT.unpack_from(comments)[0]
        if _COUNT.unpack_from(comments, at)[0] <= MAX_COMMENTS:
            return comments
    except error:  # too short: mutagen refuses it
        return comments
    return comments[:at] + _COUNT.pack(MAX_COMMENTS) + comments[at + _COUNT.size :]


def _text(fields: list[tuple[str, str]], name: str) -> str:
    """Returns all values of one field in one text."""
    return ", ".join(value.strip() for key, value in fields if key.lower() == name and value.strip())[:MAX_TEXT]
