"""Reads secrets from files: the file that a key such as `admin_password_file` names has the value of `admin_password`.

Which keys are secrets is said by their kinds (values.py), and section.py gives each of them its `_file` twin; nothing
here names a key. Such a file is what Docker, Kubernetes and systemd make of a secret. It has one line, whose end does
not belong to the secret. With load.py it is the one file of the pure packages that reads files.

The one invariant: no text of an error or a warning has anything of what a file holds.
"""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pycast.config.problems import Path as KeyPath
from pycast.config.problems import Problem, dotted
from pycast.config.schema import Config
from pycast.config.section import Key, Section

S = TypeVar("S", bound=Section)

Reader = Callable[[str], str]
"""Returns what the file of that name holds. Raises ValueError whose text begins with "expected"."""

# Far longer than any secret. A file that was named by mistake, such as a recording, is not read whole.
_MAX_SIZE = 4096


def read_secret(name: str) -> str:
    """Returns the secret in the file `name`. Raises ValueError."""
    path = Path(name)
    try:
        # Only a regular file: a pipe would be empty at the next reload, or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("expected a file that holds the secret; this is none")
        with path.open("rb") as file:
            data = file.read(_MAX_SIZE + 1)
    except OSError as error:
        hint = " for the user that runs pycast" if isinstance(error, PermissionError) else ""
        raise ValueError(f"expected a file that can be read{hint}: {error.strerror}") from error
    try:
        secret = data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError("expected a file of UTF-8 text") from error
    if not secret:
        raise ValueError("expected a file with the secret in its first line; it is empty")
    if len(data) > _MAX_SIZE or any(letter < " " or letter == "\x7f" for letter in secret):
        raise ValueError("expected a file of one line, which is the secret; it has more lines, or control characters")
    return secret


def with_secrets(config: Config, read: Reader = read_secret) -> tuple[Config, list[Problem]]:
    """Returns `config` with the secrets that its files hold, and a problem for each file that cannot be used."""
    problems: list[Problem] = []
    return _filled(config, (), read, problems), problems


def secrets_by_file(config: Config) -> dict[str, str]:
    """Returns what each file held when it was read for `config`, by the file's name."""
    held = ((name, getattr(section, key.secret)) for _, section, key, name in _files(config, ()))
    # A list is in its file as in a variable of the environment.
    return {name: value if isinstance(value, str) else ",".join(value) for name, value in held}


def secrets_in(section: Section, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yields the path and the value of each secret that is set or has a default."""
    for name, key in section.KEYS.items():
        value = getattr(section, name, None)
        if isinstance(value, Section):
            yield from secrets_in(value, (*path, name))
        elif key.is_array and key.section:
            for index, one in enumerate(value or ()):
                yield from secrets_in(one, (*path, name, index))
        elif key.is_secret and value:
            yield from (((*path, name), one) for one in (value if isinstance(value, tuple) else (value,)))


def file_advice(config: Config) -> Iterator[str]:
    """Yields a line for each file of a secret that every user of the machine may read."""
    for path, _, _, name in _files(config, ()):
        try:
            mode = Path(name).stat().st_mode
        except OSError:
            continue
        if mode & stat.S_IROTH:
            yield f'{dotted(path)} = "{name}": every user of this machine can read it; chmod o-r makes it private'


def _filled(section: S, path: KeyPath, read: Reader, problems: list[Problem]) -> S:
    changed: dict[str, object] = {}
    for name, value in section.given.items():
        key = section.KEYS[name]
        if isinstance(value, Section):
            changed[name] = _filled(value, (*path, name), read, problems)
        elif key.is_array and key.section:
            changed[name] = tuple(_filled(one, (*path, name, index), read, problems) for index, one in enumerate(value))
        elif key.secret and value:
            try:
                changed[key.secret] = section.KEYS[key.secret].read(read(value))
            except ValueError as error:
                problems.append(((*path, name), value, str(error)))
    return section.replace(**changed) if changed else section


def _files(section: Section, path: KeyPath) -> Iterator[tuple[KeyPath, Section, Key, str]]:
    """Yields each key that names a file with a secret: its path, its section, the key and the file's name."""
    for name, value in section.given.items():
        key = section.KEYS[name]
        if isinstance(value, Section):
            yield from _files(value, (*path, name))
        elif key.is_array and key.section:
            for index, one in enumerate(value):
                yield from _files(one, (*path, name, index))
        elif key.secret and value:
            yield (*path, name), section, key, value
