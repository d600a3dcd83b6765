"""A section of a pycast.toml that is being written: its values, a word behind some of them, and lines that are off.

Pure. The one invariant: what is written loads as the values that were set; words and lines that are off are comments.
"""

from pycast.config.reference import toml_value


class TomlTable:
    """One section. `title` is its line in the file, `line` where it stands in the file that it comes from. `is_wanted`
    says that it is written even without a key, as its presence means something.
    """

    def __init__(self, title: str, line: int = 0, *, is_wanted: bool = False) -> None:
        self.title = title
        self.line = line
        self._is_wanted = is_wanted
        self.values: dict[str, object] = {}
        self.lines: dict[str, int] = {}
        """Where each value stands there, as far as it was said."""
        self._words: dict[str, str] = {}
        self._off: list[str] = []

    def set(self, key: str, value: object, word: str = "", line: int = 0) -> None:
        """Sets a key; None removes it. `word` stands behind it as a comment; `line` is where it is from."""
        self._words.pop(key, None)
        self.lines[key] = line
        if value is None:
            self.values.pop(key, None)
            return
        self.values[key] = value
        if word:
            self._words[key] = word

    def set_off(self, key: str, value: object, word: str) -> None:
        """Adds a key as a comment, with the reason."""
        self._off.append(f"# {key} = {toml_value(value)}  # {word}")

    def text(self) -> str:
        """Returns the section, an empty text if it has no line."""
        lines = [f"{_bare(key)} = {toml_value(value)}{self._word(key)}" for key, value in self.values.items()]
        return "\n".join([self.title, *lines, *self._off, ""]) if lines or self._off or self._is_wanted else ""

    def _word(self, key: str) -> str:
        return f"  # {self._words[key]}" if key in self._words else ""


def _bare(key: str) -> str:
    """Returns a key as TOML: without quotes where it needs none."""
    return key if key.replace("_", "").isalnum() and key.isascii() else toml_value(key)
