"""Characters that must not reach a log as they are: they end a line, move the cursor, or show text that is not there.

These are the control characters of ASCII and Latin-1 (line ends, the escape that begins a terminal's commands), the
line and paragraph separators of Unicode, which many programs take for line ends, marks that change the direction of the
text around them, and invisible ones. Joiners stay: Persian and Indian scripts and emojis need them.
"""

import re

UNSAFE = (
    r"\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    r"\u2028\u2029"  # line and paragraph separator
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction
    r"\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # invisible
)

_UNSAFE = re.compile(f"[{UNSAFE}]")
_UNSAFE_BUT_LF = re.compile(f"(?!\n)[{UNSAFE}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def escaped(text: str) -> str:
    r"""Returns the text with escapes such as `\n` and `\u2028` in place of these characters."""
    return _UNSAFE.sub(_escape, text)


def escaped_lines(text: str) -> str:
    """Returns the same, but line feeds stay."""
    return _UNSAFE_BUT_LF.sub(_escape, text)


def blanked(text: str) -> str:
    """Returns the text with a blank in place of each of these characters."""
    return _UNSAFE.sub(" ", text)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    form = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _SHORT.get(character, form)
