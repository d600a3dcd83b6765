"""Turns the keywords of a test into the text of a config file.

`limits={"clients": 10}` is a section, `mount=[{…}]` a list of sections, and any other keyword is the name of a setting,
which goes to the section that has it. The names are those of the config schema, which is imported only if such a name
is used. Values are not checked here but by the server, whose error says what is wrong. The one invariant: what
`arrange` returns has only sections.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

__tracebackhide__ = True


def arrange(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the sections of the config file.

    A setting that mounts have of their own goes to the default mount, so it applies to every mount.

    Raises TypeError for a name that no section has, with the most similar one, and for one that several have.
    """
    arranged: dict[str, Any] = {}
    leaves: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and _is_section(name):
            arranged[name] = dict(value)
        elif isinstance(value, (list, tuple)) and _is_array(name):
            arranged[name] = [dict(entry) for entry in value]
        else:
            leaves[name] = value
    for name, value in leaves.items():
        section = section_of(name)
        (default_mount(arranged) if section == "mount" else arranged.setdefault(section, {}))[name] = value
    return arranged


def default_mount(arranged: dict[str, Any]) -> dict[str, Any]:
    """Returns the section that sets values for all mounts; adds it if there is none."""
    mounts: list[dict[str, Any]] = arranged.setdefault("mount", [])
    for mount in mounts:
        if mount.get("type") == "default":
            return mount
    mounts.append({"type": "default"})
    return mounts[-1]


def section_of(name: str) -> str:
    """Returns the section that has the setting `name`; if mounts take over the global one (`burst_size`: limits), that.
    What mounts have besides (`max_listeners`) is theirs.

    Raises TypeError if no section has it, or if several have and so it does not say which is meant.
    """
    from pycast.config.schema import Config, MountSettings  # imported only if needed

    if name in MountSettings.KEYS and not MountSettings.KEYS[name].inherits:
        return "mount"
    sections = [key for key in Config.KEYS.values() if key.section and name in key.section.KEYS]
    if name in MountSettings.KEYS and MountSettings.KEYS[name].inherits.endswith(f".{name}"):
        sections = [key for key in sections if key.name != "mount"]
    if not sections:
        raise TypeError(f"no section of pycast's config has a setting {name!r}{_meant(name)}")
    if len(sections) > 1 or sections[0].is_array:
        ways = " or ".join(
            f"{one.name}=[{{{name!r}: …}}]" if one.is_array else f"{one.name}={{{name!r}: …}}" for one in sections
        )
        why = "more than one section has" if len(sections) > 1 else "a section that may be repeated has"
        raise TypeError(f"{why} a setting {name!r}; say which: {ways}")
    return sections[0].name


def _meant(name: str) -> str:
    """Returns the question whether the most similar setting, or section, was meant."""
    from difflib import get_close_matches

    from pycast.config.schema import Config

    settings = [setting for key in Config.KEYS.values() if key.section for setting in key.section.KEYS]
    near = get_close_matches(name.lower(), [*settings, *Config.KEYS], n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else ""


def _is_section(name: str) -> bool:
    """Whether there is a section of that name. A mistake is told here, where it was made, as for other names."""
    from pycast.config.schema import Config

    return name in Config.KEYS


def _is_array(name: str) -> bool:
    from pycast.config.schema import Config

    return name in Config.KEYS and Config.KEYS[name].is_array


def to_toml(arranged: Mapping[str, Any]) -> str:
    """Returns the text of the config file."""
    return "\n".join(_lines(arranged)) + "\n"


def _lines(arranged: Mapping[str, Any]) -> Iterator[str]:
    for section, content in arranged.items():
        if isinstance(content, list):
            for entry in content:
                yield f"[[{section}]]"
                yield from _pairs(entry)
        else:
            yield f"[{section}]"
            yield from _pairs(content)


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        yield f"{_string(key)} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_string(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    return _string(str(value))


def _string(text: str) -> str:
    # A JSON string is a TOML string but for DEL, and for surrogate pairs, which are not made without ensure_ascii.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
