"""Makes a `Config` from a file and the environment, or from defaults alone. ConfigError lists all errors at once.

A file is TOML, or Icecast's XML, told apart by what it begins with: an icecast.xml becomes the tables that
`pycast import-icecast` would write (icecast_xml.py), and what came of it otherwise is in the configuration's `notes`.

The environment overrides the file: PYCAST_LIMITS__BURST_SIZE=32k, PYCAST_LISTEN__0__PORT=9000. Only names with a "__"
count: an orchestrator may set PYCAST_PORT and the like for a service of that name. The environment is an argument; this
file does not read it. Together with secret_files.py, which reads passwords, it is the one file of the pure packages
that reads files.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import tomli

from pycast.config.included_lines import place_of
from pycast.config.parse import parse
from pycast.config.problems import Origin, not_toml, other_form, unknown_key, unknown_variable, variable_names
from pycast.config.problems import Path as KeyPath
from pycast.config.random_passwords import Rng, random_password
from pycast.config.rules import conflicts
from pycast.config.schema import Config
from pycast.config.secret_files import Reader, read_secret, with_secrets
from pycast.errors import ConfigError

if TYPE_CHECKING:
    from pycast.config.icecast_includes import IncludedFile

SEARCH_PATH = (Path("pycast.toml"), Path("/etc/pycast/pycast.toml"))
"""Where `pycast serve` looks for its configuration without --config, in this order."""

_PREFIX = "PYCAST_"


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Loads the file `path` (None: only defaults), overridden by `environ`. Raises ConfigError."""
    return loads("", environ, "defaults") if path is None else loads(read_text(path), environ, str(path))


def read_text(path: Path) -> str:
    """Reads the text of a configuration file. Raises ConfigError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    if is_xml(content.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")):
        return _xml_text(content, path)
    try:
        return content.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        raise ConfigError(
            [f"{path}: expected UTF-8 text, but byte {error.start} is not UTF-8: save it as UTF-8"]
        ) from error


def is_xml(text: str | bytes) -> bool:
    """Whether a file that begins so, after blanks, is XML; no TOML file begins like that."""
    return text[:1] in ("<", b"<")


def loads(text: str, environ: Mapping[str, str], filename: str, read: Reader = read_secret) -> Config:
    """Loads the `text` of a file, overridden by `environ`; `filename` is for messages. Raises ConfigError.

    `read` returns the secret in a file.
    """
    return loads_from(text, environ, filename, read)[0]


def loads_from(
    text: str, environ: Mapping[str, str], filename: str, read: Reader = read_secret
) -> tuple[Config, Origin]:
    """Does the same as `loads`, and also returns where the values are from. Raises ConfigError."""
    found = _tables(text, environ, filename)
    variables, problems = _overlay(found.data, environ)
    origin = Origin(filename, variables, text, found.lines)
    config, wrong = parse(found.data)
    config, unreadable = with_secrets(config.noted(found.notes) if found.notes else config, read)
    problems += [origin.line(*problem) for problem in [*wrong, *unreadable] or conflicts(config)]
    if problems:
        raise ConfigError(problems)
    return config, origin


def made_up_passwords(rng: Rng) -> dict[str, str]:
    """Returns a new random password for each key of [authentication] that needs one."""
    return {name: random_password(rng) for name in ("source_password", "relay_password", "admin_password")}


def embedded_text(passwords: Mapping[str, str]) -> str:
    """Returns the text of a configuration file that has nothing but these passwords."""
    return "\n".join(["[authentication]", *(f'{name} = "{password}"' for name, password in passwords.items())])


def in_force(passwords: Mapping[str, str], config: Config) -> frozenset[str]:
    """Returns the keys of [authentication] whose value is one of `passwords`: the environment has not replaced it."""
    return frozenset(name for name, one in passwords.items() if getattr(config.authentication, name) == one)


def with_port(config: Config, port: int) -> Config:
    """Returns `config` with another port in its first [[listen]] section. Raises ConfigError if another one uses it."""
    first, *others = config.listen
    changed = config.replace(listen=(first.replace(port=port), *others))
    problems = [Origin("--port", {}).line(*conflict) for conflict in conflicts(changed)]
    if problems:
        raise ConfigError(problems)
    return changed


class _Tables(NamedTuple):
    """What a file says."""

    data: dict[str, Any]
    lines: Mapping[KeyPath, int] | None = None
    """The line of each key, if they are known. The lines of TOML are looked for where there is an error."""
    notes: tuple[str, ...] = ()


def _tables(text: str, environ: Mapping[str, str], filename: str) -> _Tables:
    """Returns the tables of a file. Raises ConfigError."""
    if is_xml(text.lstrip()):
        return _xml_tables(text, environ, filename)
    try:
        return _Tables(tomli.loads(text))
    except ValueError as error:  # a TOMLDecodeError, or a number of more digits than Python reads
        raise ConfigError(not_toml(text, filename, str(error))) from error
    except RecursionError as error:
        raise ConfigError([f"{filename}: too deeply nested"]) from error


class _Device:
    """The system's randomness, read from its device: for the passwords that an icecast.xml does not have."""

    def choice(self, seq: str, /) -> str:
        with Path("/dev/urandom").open("rb", buffering=0) as device:
            number = int.from_bytes(device.read(8))
        return seq[number % len(seq)]


def included_files(pattern: str) -> "list[IncludedFile]":
    """Returns the files that an icecast.xml includes by this name or pattern. Raises ValueError if one cannot be
    read.
    """
    from glob import glob  # for such a file only

    from pycast.config.icecast_includes import IncludedFile
    from pycast.config.xml_tree import decoded

    found = []
    for name in sorted(glob(pattern)):
        try:
            found.append(IncludedFile(name, str(Path(name).resolve()), decoded(Path(name).read_bytes())))
        except OSError as error:
            raise ValueError(f"{name}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return found


def _xml_text(content: bytes, path: Path) -> str:
    from pycast.config.xml_tree import decoded

    try:
        return decoded(content)
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"]) from error


def _xml_tables(text: str, environ: Mapping[str, str], filename: str) -> _Tables:
    """Returns the tables that an icecast.xml becomes. Raises ConfigError if it is none, or cannot be used."""
    from pycast.config.icecast_settings import Host  # with what it imports: for such a file only
    from pycast.config.icecast_xml import convert

    try:
        host = Host(_Device(), environ, included_files, str(Path(filename).resolve()))
        imported = convert(text, host)
    except ConfigError as error:
        raise ConfigError([f"{filename}: {problem}" for problem in error.problems]) from error
    if refused := imported.refused:
        raise ConfigError([f"{place_of(filename, note.line)}: {note.text}" for note in refused])
    lines = [f"{place_of(filename, note.line)}: {note.kind.value}: {note.text}" for note in imported.unlike]
    return _Tables(tomli.loads(imported.body), imported.lines, tuple(lines))


def _overlay(data: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[KeyPath, str], list[str]]:
    """Writes the variables into `data`. Returns the variable that each path came from, and the errors."""
    variables: dict[KeyPath, str] = {}
    problems = _misspelt(environ)
    for name in sorted(environ, key=_by_number):
        if name.startswith(_PREFIX) and "__" in name:
            path = _path(name)
            try:
                table = _assign(data, path, environ[name])
                variables[path] = name
                # It replaces the file's value in either form, itself or the name of a file that holds it.
                twin = other_form(path)
                if twin and (*path[:-1], twin) not in variables:
                    table.pop(twin, None)
            except ValueError as error:
                problems.append(f"{name}: {error}")
    return variables, problems


def _misspelt(environ: Mapping[str, str]) -> list[str]:
    """Returns a line for each variable that would be a setting with two underscores in place of one.

    Ignored, it would leave a password or a limit at its default without a word.
    """
    single = [name for name in sorted(environ) if name.startswith(_PREFIX) and "__" not in name]
    meant = {name.replace("__", "_"): name for name in variable_names()} if single else {}
    return [f"{name}: two underscores after the section: {meant[name]}" for name in single if name in meant]


def _path(name: str) -> KeyPath:
    parts = name.removeprefix(_PREFIX).lower().split("__")
    path: list[str | int] = [int(part) if part.isdecimal() and len(part) < 5 else part for part in parts]
    if "http_headers" in path[:-1]:
        path[-1] = "-".join(word.capitalize() for word in parts[-1].split("_"))
    return tuple(path)


def _assign(data: dict[str, Any], path: KeyPath, value: str) -> dict[str | int, Any]:
    """Sets the value at `path`. Returns the table that it is in. Raises ValueError."""
    section = str(path[0])
    found = Config.KEYS.get(section)
    if found is None:
        raise ValueError(unknown_variable(path) if len(path) > 1 else unknown_key(path))
    if found.is_array and (len(path) < 3 or not isinstance(path[1], int)):
        raise ValueError(f"expected a name with a number, such as PYCAST_{section.upper()}__0__KEY")
    if found.section and len(path) == (3 if found.is_array else 2) and path[-1] not in found.section.KEYS:
        raise ValueError(unknown_variable(path))
    table = _table(data, path[:-1])
    table[path[-1]] = value
    return table


def _table(data: Any, path: KeyPath) -> dict[str | int, Any]:
    """Returns the table at `path`, which is made if it is missing; a list grows by one at most."""
    found = data
    for depth, part in enumerate(path):
        if isinstance(found, list) and isinstance(part, int):
            if part > len(found):
                raise ValueError(f"expected a number up to {len(found)}: there are {len(found)} [[{path[0]}]] sections")
            if part == len(found):
                found.append({})
            found = found[part]
        elif isinstance(found, dict):
            found = found.setdefault(part, _new_value(path[: depth + 1]))
        else:
            break
    if not isinstance(found, dict):
        raise ValueError("expected the name of a key in a section")
    return found


def _new_value(path: KeyPath) -> Any:
    """Returns the value to add variables to where the file has none: the default, if they must not replace it."""
    key = Config.KEYS[str(path[0])] if len(path) == 1 else None
    if key is not None and key.is_array:
        return [{} for _ in key.default]
    return dict(key.default) if key is not None and key.section is None else {}


def _by_number(name: str) -> list[int | str]:
    """Returns a key that sorts PYCAST_MOUNT__10__… after PYCAST_MOUNT__9__…, so that lists grow in order."""
    return [part.zfill(6) if part.isdecimal() else part for part in re.split("__", name)]
