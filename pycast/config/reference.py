"""The manual of the configuration, made from the schema: conf/pycast.toml and the tables of docs/configuration.md.

Neither is written by hand; tests compare both with what this file makes. Pure: the schema in, text out. The one
invariant: the default file, when loaded, gives the same `Config` as no file at all.
"""

import textwrap
from collections.abc import Iterator

from pycast.config.schema import Config
from pycast.config.section import Key, Section
from pycast.config.units import Size

_WIDTH = 100

_HEAD = """\
# pycast.toml: every setting of pycast, with its default and its meaning.
#
# A commented-out setting has no default; the line shows an example. A file of your own needs only the settings that
# differ (see minimal.toml). `pycast check FILE` checks it. SIGHUP makes a running server read it again; a setting that
# "needs a restart" keeps its old value until then.
#
# Sizes   bytes, or text with a unit of 1024: 65536  "64k"  "512KiB"  "1m"
#         burst_size and queue_size also as a time of audio: "4s"  "500ms"
# Times   seconds, or text with a unit: 10  0.5  "500ms"  "30s"  "2m"  "1h"
#
# An environment variable overrides a setting: PYCAST_LIMITS__BURST_SIZE=32k. Sections that can be repeated have a
# number, from 0 on: PYCAST_LISTEN__0__PORT=9000.
"""


def default_toml() -> str:
    """Returns the whole default configuration as a commented TOML file."""
    return _HEAD + "".join(_toml_section(key) for key in Config.KEYS.values())


def reference_markdown() -> str:
    """Returns a table for each section: key, default, meaning, and whether a change needs a restart."""
    return "\n".join(_markdown_section(key) for key in Config.KEYS.values())


def toml_value(value: object) -> str:
    """Returns a value as TOML: any value of the schema's keys (text, numbers, flags, sizes, networks, headers)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Size) and str(value).isdecimal():
        return str(value)
    if isinstance(value, str | Size):
        return f'"{_escaped(str(value))}"'
    if isinstance(value, tuple):
        return f"[{', '.join(toml_value(str(one)) for one in value)}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{toml_value(name)} = {toml_value(content)}" for name, content in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return str(value)


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in text)


def _toml_section(key: Key) -> str:
    title = _title(key)
    if key.section is None:
        lines = [f"{toml_value(name)} = {toml_value(value)}" for name, value in key.default.items()]
        return "\n".join(["", _rule(title), "", *_comment(key.text), f"[{key.name}]", *lines, ""])
    # A section without defaults, such as a mount without a name, would be an error.
    hidden = "" if key.default else "#"
    head = ["", _rule(title), "", *_comment(key.section.__doc__ or ""), f"{hidden}{title}", ""]
    lines = [*head, *_toml_keys(key.section, hidden)]
    for inner, section in _nested(key):
        lines += ["", *_comment(section.__doc__ or ""), f"{hidden}{inner}", "", *_toml_keys(section, hidden)]
    return "\n".join(lines)


def _toml_keys(section: type[Section], hidden: str) -> Iterator[str]:
    shown_text = ""
    for name, key in _plain(section):
        text = f"{key.text} Needs a restart." if key.needs_restart else key.text
        if text != shown_text:  # neighbouring keys with the same text share one comment
            yield from ["", *_comment(text)] if shown_text else _comment(text)
            shown_text = text
        shown = key.default if key.example is None else key.example
        yield f"{hidden if key.example is None else '#'}{name} = {toml_value(shown)}"
    yield ""


def _plain(section: type[Section]) -> list[tuple[str, Key]]:
    return [(name, key) for name, key in section.KEYS.items() if key.section is None]


def _nested(key: Key) -> Iterator[tuple[str, type[Section]]]:
    """Yields the sections inside of a section, each with its title."""
    for name, inner in key.section.KEYS.items() if key.section else ():
        if inner.section is not None:
            yield f"[{key.name}.{name}]", inner.section


def _rule(title: str) -> str:
    return f"# {'-' * (_WIDTH - len(title) - 3)} {title}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _title(key: Key) -> str:
    return f"[[{key.name}]]" if key.is_array else f"[{key.name}]"


def _markdown_section(key: Key) -> str:
    lines = [f"### `{_title(key)}`", ""]
    if key.section is None:
        default = ", ".join(f"`{toml_value(name)} = {toml_value(value)}`" for name, value in key.default.items())
        return "\n".join([*lines, f"{key.text} Default: {default}", ""])
    lines += _markdown_table(key.section)
    for inner, section in _nested(key):
        lines += ["", f"### `{inner}`", "", *_markdown_table(section)]
    return "\n".join([*lines, ""])


def _markdown_table(section: type[Section]) -> list[str]:
    head = [section.__doc__ or "", "", "| key | default | meaning | restart |", "|---|---|---|---|"]
    return [*head, *(_markdown_row(one) for _, one in _plain(section))]


def _markdown_row(key: Key) -> str:
    default = "–" if key.default is None else f"`{toml_value(key.default)}`"
    default = '`"pycast VERSION"`' if key.name == "server_id" else default  # a release must not change the manual
    shown = f" Example: `{toml_value(key.example)}`." if key.example is not None else ""
    restart = "yes" if key.needs_restart else ""
    return f"| `{key.name}` | {default} | {key.text}{shown} | {restart} |".replace("*", "\\*")
