"""The text of configuration errors: the place, the value there, and what was expected.

Each error is one line: `pycast.toml: limits.burst_size = "lots": expected bytes such as 65536 …`. Passwords are never
shown.
"""

import re
from collections.abc import Mapping, Sequence

from pycast.config.included_lines import place_of
from pycast.config.schema import Config
from pycast.config.section import Key, Section
from pycast.patterns import pattern

Path = tuple[str | int, ...]

Problem = tuple[Path, object, str]
"""The path of keys, the value there, and what was expected."""


_AT_LINE = pattern(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)
_DOTTED = pattern(r"([a-z_]+)(?:\[(\d+)\])?(?:\.([a-z_]+))?")
_LIKE_A_SECRET = pattern("pass|passwd|pwd|secret|token|credential|private")


class Origin:
    """The origin of values: the file with this text, or for some paths an environment variable. `lines` are those of
    the keys, where they are known; else the text is searched for them.
    """

    def __init__(
        self, filename: str, variables: Mapping[Path, str], text: str = "", lines: Mapping[Path, int] | None = None
    ) -> None:
        self._filename = filename
        self._variables = variables
        self._text = text
        self._lines = lines

    def line(self, path: Path, value: object, expected: str) -> str:
        """Returns `where: section.key = value: expected …`."""
        return f"{self.where(path)}: {dotted(path)}{_shown(path, value)}: {expected}"

    def located(self, text: str) -> str:
        """Returns `text`, which begins with a key such as `listen[0].port`, after the place that has set that key."""
        found = _DOTTED.match(text)
        parts = [found[1], int(found[2]) if found[2] else None, found[3]] if found else []
        return f"{self.where(tuple(part for part in parts if part is not None))}: {text}"

    def where(self, path: Path) -> str:
        """Returns the environment variable, or the file and the line, that set what is at `path`."""
        variable = next((name for known, name in self._variables.items() if known[: len(path)] == path), None)
        if variable or not self._text:
            return variable or self._filename
        number = self._line(path)
        return place_of(self._filename, number) if number else self._filename

    def _line(self, path: Path) -> int | None:
        if self._lines is not None:
            known = (self._lines.get(path[:depth]) for depth in range(len(path), 0, -1))
            return next(filter(None, known), None)
        from pycast.config.lines import line_of  # for a mistake only

        return line_of(self._text, path)


def dotted(path: Path) -> str:
    """Returns "listen[0].port" for ("listen", 0, "port"). Numbers count from 0, as in environment variables."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def unknown_key(path: Path) -> str:
    """Returns the text for a key that does not exist: the most similar key, or the section that has it."""
    from difflib import get_close_matches  # imported for a mistake only, to keep the start of the server short

    section, name = path[:-1], str(path[-1])
    known = keys_of(section)
    wanted = name.lower().replace("-", "_")
    near = get_close_matches(wanted, known, n=1, cutoff=0.7)
    elsewhere = [place for place in Config.KEYS if wanted in keys_of((place, 0))]
    if near and (near[0] == wanted or not elsewhere):
        return (
            f"unknown key; did you mean {near[0]}?" if section else f"unknown section; did you mean {titled(near[0])}?"
        )
    if elsewhere:
        return f"unknown key here; it belongs in {' or '.join(titled(place) for place in elsewhere)}"
    return f"unknown {'key; the keys here are' if section else 'section; there are'} {', '.join(sorted(known))}"


def titled(section: str) -> str:
    """Returns the name of a section as it begins in a file: `[limits]`, `[[listen]]`."""
    return f"[[{section}]]" if Config.KEYS[section].is_array else f"[{section}]"


def unknown_variable(path: Path) -> str:
    """Returns the text for a variable of the environment that sets no key: the one that was probably meant."""
    from difflib import get_close_matches

    name = f"PYCAST_{'__'.join(map(str, path))}".upper()
    near = get_close_matches(name, variable_names(path), n=1, cutoff=0.85)
    return f"unknown setting; did you mean {near[0]}?" if near else unknown_key(path)


def variable_names(path: Path = ()) -> list[str]:
    """Returns the variables of all keys. Sections that are repeated have the number of `path`, else 0."""
    number = next((part for part in path if isinstance(part, int)), 0)
    names = []
    for name, key in Config.KEYS.items():
        place = f"PYCAST_{name}__{number}" if key.is_array else f"PYCAST_{name}"
        names += [f"{place}__{one}".upper() for one in (key.section.KEYS if key.section else ())]
    return names


def keys_of(section: Sequence[str | int]) -> list[str]:
    """Returns the keys that a section can have: for () the sections, for ("listen", 0) the keys of [[listen]]."""
    if not section:
        return list(Config.KEYS)
    found = key_at(tuple(section))
    return list(found.section.KEYS) if found and found.section else []


def not_toml(text: str, filename: str, error: str) -> list[str]:
    """Returns the lines for a file that the parser of TOML refuses with `error`: where, what, and what is probably
    meant.
    """
    found = _AT_LINE.fullmatch(error)
    if found is None:
        return [f"{filename}: not TOML: {error}"]
    what, line, column = found[1], int(found[2]), found[3]
    hint = "; text needs quotes around it" if what == "Invalid value" else ""
    return [f"{filename}:{line}: not TOML, at column {column}: {what}{hint}"]


def other_form(path: Path) -> str:
    """Returns the other name under which the value at `path` can be given, if it is a secret: itself, or its file."""
    key = key_at(path)
    return "" if key is None else f"{key.name}_file" if key.is_secret else key.secret


def key_at(path: Path) -> Key | None:
    """Returns the key at `path`, None if there is no such key."""
    section: type[Section] | None = Config
    found = None
    for part in path:
        if isinstance(part, int):
            continue
        found = section.KEYS.get(part) if section else None
        if found is None:
            return None
        section = found.section
    return found


def _is_secret(path: Path) -> bool:
    """Whether the value at `path` must not be shown: that of a secret, and of a key that may be one misspelt."""
    key = key_at(path)
    if key is not None:
        return key.is_secret
    from difflib import get_close_matches

    name = str(path[-1]).lower()
    return bool(_LIKE_A_SECRET.search(name) or get_close_matches(name, _secret_names(Config), n=1, cutoff=0.6))


def _secret_names(section: type[Section]) -> list[str]:
    inner = [one for key in section.KEYS.values() if key.section for one in _secret_names(key.section)]
    return [*(key.name for key in section.KEYS.values() if key.is_secret), *inner]


def _shown(path: Path, value: object) -> str:
    if value is None or isinstance(value, Mapping | list):
        return ""
    if _is_secret(path):
        return " = (not shown)"
    if isinstance(value, bool) or not isinstance(value, int | str):
        return f" = {str(value).lower()}"
    # A number may be too long for str(), which Python refuses from 4,300 digits on.
    text = value if isinstance(value, str) else str(value) if value.bit_length() < 200 else "a huge number"
    text = text if len(text) <= 60 else text[:57] + "…"
    return f' = "{text}"' if isinstance(value, str) else f" = {text}"
