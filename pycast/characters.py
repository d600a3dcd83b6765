"""Characters that must not reach a log, a title, a header or a terminal as they are: they end a line, move the cursor,
or show text that is not there.

These are the control characters of ASCII and Latin-1 (line ends, the escape that begins a terminal's commands), the
line and paragraph separators of Unicode, which many programs take for line ends, marks that change the direction of the
text around them, and invisible ones. Joiners stay: Persian and Indian scripts and emojis need them.
"""

import re

from pycast.patterns import pattern

UNSAFE = (
    r"\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    r"\u2028\u2029"  # line and paragraph separator
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction
    r"\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # invisible
)

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


_UNSAFE = pattern(f"[{UNSAFE}]")
_UNSAFE_BUT_LF = pattern(f"(?!\n)[{UNSAFE}]")
# Flags of England, Scotland and Wales are written with invisible letters behind a black flag.
_UNSAFE_RUN = pattern(f"(\U0001f3f4[\U000e0061-\U000e007a]{{1,6}}\U000e007f)|[{UNSAFE}]+")
# A joiner joins what is before it; more than one, or one behind a blank, only hides something.
_IDLE_JOINERS = pattern("(?<!\\S)[\u200c\u200d]+|(?<=[\u200c\u200d])[\u200c\u200d]+")
_NO_TEXT = pattern("[\ud800-\udfff\ufffe\uffff]")


def escaped(text: str) -> str:
    r"""Returns the text with escapes such as `\n` and `\u2028` in place of these characters."""
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def escaped_lines(text: str) -> str:
    """Returns the same, but line feeds stay."""
    return text if text.isprintable() else _UNSAFE_BUT_LF.sub(_escape, text)


def blanked(text: str) -> str:
    """Returns the text with a blank in place of each of these characters."""
    return text if text.isprintable() else _UNSAFE.sub(" ", text)


def clean_line(text: str) -> str:
    """Returns the text as one line that is fit to be shown: a blank for each run of these characters with the blanks
    around it, none at its ends; U+FFFD for what is no character (half of a surrogate pair). What is clean stays.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    line = _UNSAFE_RUN.sub(_flag_or_end, _NO_TEXT.sub("\ufffd", text))
    pieces = _IDLE_JOINERS.sub("", line).split("\n")
    return " ".join(filter(None, map(str.strip, pieces)))


def _flag_or_end(found: re.Match[str]) -> str:
    return found[1] or "\n"


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    form = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _SHORT.get(character, form)
