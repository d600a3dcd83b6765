"""The configuration's manual, made from the schema: conf/pycast.toml and the tables of docs/configuration.md.

Neither is written by hand, and tests compare both with what this file makes. Pure: the schema in, text out. The one
invariant: the default file, loaded, gives the same `Config` as no file at all.
"""

import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pycast.config.problems import section_model
from pycast.config.schema import Config
from pycast.config.units import Size

_WIDTH = 100

_HEAD = """\
# pycast.toml: every setting of pycast with its default and why it is there.
#
# A line that begins with "#" and a key is a setting that has no default: it shows an example. To start a file of your
# own it is enough to write down what differs (see minimal.toml); `pycast check FILE` tells whether it is right, and
# SIGHUP makes a running server read it again.
#
# Sizes   bytes, or text with a unit of 1024: 65536  "64k"  "512KiB"  "1m"
#         burst_size and queue_size also as a time of audio: "4s"  "500ms"
# Times   seconds, or text with a unit: 10  0.5  "500ms"  "30s"  "2m"  "1h"
#
# Every setting can be overridden by a variable of the environment: PYCAST_LIMITS__BURST_SIZE=32k, and for sections
# that may be repeated with a number, from 0 on: PYCAST_LISTEN__0__PORT=9000.
"""

_HEADERS_SECTION = "http_headers"


def default_toml() -> str:
    """The whole default configuration as a commented TOML file."""
    return _HEAD + "".join(_toml_section(name) for name in Config.model_fields)


def reference_markdown() -> str:
    """One table for each section: key, type, default, meaning."""
    return "\n".join(_markdown_section(name) for name in Config.model_fields)


def toml_value(value: object) -> str:
    """A value as TOML writes it. Takes what the schema's keys hold: text, numbers, flags, sizes, networks, headers."""
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


def _toml_section(name: str) -> str:
    title = _title(name)
    model = section_model(name)
    if model is None:
        field = Config.model_fields[name]
        lines = [f"{toml_value(key)} = {toml_value(value)}" for key, value in Config().http_headers.items()]
        return "\n".join(["", _rule(title), "", *_comment(field.description or ""), f"[{name}]", *lines, ""])
    hidden = "#" if name == "mount" else ""  # a mount section without a name would be an error
    head = ["", _rule(title), "", *_comment(model.__doc__ or ""), f"{hidden}{title}", ""]
    return "\n".join([*head, *_toml_keys(model, hidden)])


def _toml_keys(model: type[BaseModel], hidden: str) -> Iterator[str]:
    said = ""
    for key, field in model.model_fields.items():
        text, example = field.description or "", _example(field)
        if text != said:  # neighbours that mean the same share their comment
            yield from ["", *_comment(text)] if said else _comment(text)
            said = text
        yield f"{hidden if example is None else '#'}{key} = {toml_value(field.default if example is None else example)}"
    yield ""


def _rule(title: str) -> str:
    return f"# {'-' * (_WIDTH - len(title) - 3)} {title}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _title(name: str) -> str:
    return f"[[{name}]]" if name in ("listen", "mount") else f"[{name}]"


def _example(field: FieldInfo) -> Any:
    extra = field.json_schema_extra
    return extra.get("example") if isinstance(extra, dict) else None


def _markdown_section(name: str) -> str:
    model = section_model(name)
    lines = [f"### `{_title(name)}`", ""]
    if model is None:
        field = Config.model_fields[name]
        default = ", ".join(f"`{toml_value(key)} = {toml_value(value)}`" for key, value in field.default.items())
        return "\n".join([*lines, f"{field.description} Default: {default}", ""])
    lines += [model.__doc__ or "", "", "| key | default | meaning |", "|---|---|---|"]
    for key, field in model.model_fields.items():
        default = "–" if field.default is None else f"`{toml_value(field.default)}`"
        default = '`"pycast VERSION"`' if key == "server_id" else default  # a release must not change the manual
        example = _example(field)
        shown = f" Example: `{toml_value(example)}`." if example is not None else ""
        lines.append(f"| `{key}` | {default} | {field.description}{shown} |".replace("*", "\\*"))
    return "\n".join([*lines, ""])
