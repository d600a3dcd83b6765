"""The text of configuration errors: the place, the value there, and what was expected.

Each error is one line: `pycast.toml: limits.burst_size = "lots": expected bytes such as 65536 …`. Passwords are never
shown.
"""

from collections.abc import Mapping, Sequence

from pycast.config.schema import Config

Path = tuple[str | int, ...]

Problem = tuple[Path, object, str]
"""The path of keys, the value there, and what was expected."""


class Origin:
    """The origin of values: the file, or for some paths an environment variable."""

    def __init__(self, filename: str, variables: Mapping[Path, str]) -> None:
        self._filename = filename
        self._variables = variables

    def line(self, path: Path, value: object, expected: str) -> str:
        """Returns `where: section.key = value: expected …`."""
        where = next((name for known, name in self._variables.items() if known[: len(path)] == path), self._filename)
        return f"{where}: {dotted(path)}{_shown(path, value)}: {expected}"


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
        return f"unknown key; did you mean {near[0]}?"
    if elsewhere:
        return f"unknown key here; it belongs in {' or '.join(f'[{place}]' for place in elsewhere)}"
    return f"unknown {'key; the keys here are' if section else 'section; there are'} {', '.join(sorted(known))}"


def keys_of(section: Sequence[str | int]) -> list[str]:
    """Returns the keys that a section can have: for () the sections, for ("listen", 0) the keys of [[listen]]."""
    if not section:
        return list(Config.KEYS)
    found = Config.KEYS.get(str(section[0]))
    return list(found.section.KEYS) if found and found.section else []


def _shown(path: Path, value: object) -> str:
    if value is None or isinstance(value, Mapping | list):
        return ""
    if "password" in str(path[-1]) or path[-1] == "secret":
        return " = (not shown)"
    if isinstance(value, bool) or not isinstance(value, int | str):
        return f" = {str(value).lower()}"
    # A number may be too long for str(), which Python refuses from 4,300 digits on.
    text = value if isinstance(value, str) else str(value) if value.bit_length() < 200 else "a huge number"
    text = text if len(text) <= 60 else text[:57] + "…"
    return f' = "{text}"' if isinstance(value, str) else f" = {text}"
