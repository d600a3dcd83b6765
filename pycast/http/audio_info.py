"""`ice-audio-info: bitrate=128;channels=2;samplerate=44100`: pairs that become stats of the mount.

Keys stay as sent (`bitrate` and `ice-bitrate` are different stats), values are percent-decoded (`+` is no blank).
Sizes are Icecast's: a key of more than 99 characters is left out, a value is cut at 199. Left out too, where Icecast
would write XML that no parser reads: keys that cannot be an element's name.
"""

import re
from urllib.parse import unquote_to_bytes

from pycast.http.charset import decode

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,98}\Z")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LONGEST_VALUE = 199


def parse_audio_info(raw: str) -> dict[str, str]:
    """Key to value; a key that comes twice keeps its last value. Never raises: what cannot be read is left out."""
    pairs = {}
    for item in raw.split(";"):
        key, _, value = item.partition("=")
        key, text = key.strip(), _value(value.strip())
        if text and _KEY.match(key):
            pairs[key] = text
    return pairs


def _value(raw: str) -> str:
    """Decoded, or "" if it has a bad escape or a NUL."""
    if _BAD_ESCAPE.search(raw):
        return ""
    text = decode(unquote_to_bytes(raw))
    return "" if "\0" in text else text[:_LONGEST_VALUE]
