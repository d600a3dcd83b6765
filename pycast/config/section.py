"""Sections of the configuration: classes with one attribute for each key, whose values never change.

A class declares its keys, one `key()` each. An object holds only the values it was given; the others are read from the
class, where the defaults are. So a section of nothing but defaults costs nothing, and each section knows what it was
given.

Why not a library: every start of the server makes a configuration. With the usual modules loaded already, importing the
library and defining twelve sections of this size took 2 ms in this way, 17 ms with msgspec, 22 ms as frozen
dataclasses, 36 ms with attrs and 180 ms with pydantic (on a busy machine; only the proportions count). A library would
not replace the checks of values.py: they read what Icecast's files and the environment have, and their texts say what
was expected.

A key whose kind is marked as a secret gets a twin by itself: with `password` a section also has `password_file`, the
name of a file that holds the password (secret_files.py reads it).

The one invariant: two sections are equal if all their keys have equal values, whether given or not.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, NoReturn, Self, dataclass_transform, get_origin

from pycast.config.values import SECRET, Check, Text, choices

_BOUNDS: tuple[tuple[str, str, Callable[[float, float], bool]], ...] = (
    ("ge", "expected {:g} or more", lambda value, bound: value >= bound),
    ("gt", "expected more than {:g}", lambda value, bound: value > bound),
    ("le", "expected {:g} or less", lambda value, bound: value <= bound),
    ("lt", "expected less than {:g}", lambda value, bound: value < bound),
)

UNSET = object()
"""The default of a key that must always be given."""


class Key(NamedTuple):
    """The description of one key, as schema.py has it."""

    default: Any
    text: str
    """The sentence that explains it."""
    example: Any = None
    """The value that the manual shows if there is no default."""
    needs_restart: bool = False
    """Whether a change takes effect only after a restart."""
    inherits: str = ""
    """The key, with its section, whose value holds for a mount that does not set this one."""
    icecast: tuple[str, ...] | None = None
    """The elements of icecast.xml that mean the same. None: one, of the same name with dashes."""
    bounds: Mapping[str, float] = {}
    name: str = ""
    kind: Any = None
    """The annotation."""
    secret: str = ""
    """For the name of a file that holds a secret: the key of that secret."""

    def elements(self) -> tuple[str, ...]:
        """Returns the elements of icecast.xml that become this key."""
        return (self.name.replace("_", "-"),) if self.icecast is None else self.icecast

    def read(self, value: object) -> Any:
        """Returns `value` in its final form. Raises ValueError whose text begins with "expected"."""
        check = _check_of(self.kind)
        found: Any = _one_of(self.kind, value) if check is None else check(value)
        for name, text, is_within in _BOUNDS:
            if name in self.bounds and not is_within(found, self.bounds[name]):
                raise ValueError(text.format(self.bounds[name]))
        return found

    @property
    def section(self) -> "type[Section] | None":
        """The class of the section that is under this key, once or repeated; None for a plain value."""
        kind = self.kind.__args__[0] if self.is_array else self.kind
        return kind if isinstance(kind, type) and issubclass(kind, Section) else None

    @property
    def is_secret(self) -> bool:
        """Whether the value is a password or the like, which is never shown."""
        return any(
            SECRET in getattr(one, "__metadata__", ()) for one in (self.kind, *getattr(self.kind, "__args__", ()))
        )

    @property
    def is_array(self) -> bool:
        """Whether this key is a section that can be repeated."""
        return get_origin(self.kind) is tuple


def key(
    default: Any,
    text: str = "",
    *,
    example: object = None,
    restart: bool = False,
    inherits: str = "",
    icecast: tuple[str, ...] | None = None,
    **bounds: float,
) -> Any:
    """Declares a key: its default, the sentence that explains it, and for keys without a default an example.

    `bounds` are `ge`, `gt`, `le` and `lt`, with their usual meaning. The other arguments are those of `Key`.
    """
    return Key(default, text, example, restart, inherits, icecast, bounds)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Section:
    """A table of the configuration file."""

    KEYS: ClassVar[Mapping[str, Key]] = {}
    """The keys by name, in the order of the manual."""

    def __init_subclass__(cls, some_of: "type[Section] | None" = None) -> None:
        """Collects the keys. With `some_of`, the class also has each key of that class, with None as default."""
        kinds = cls.__annotations__
        own = {name: found for name, found in vars(cls).items() if isinstance(found, Key)}
        keys: dict[str, Key] = {}
        for name, found in own.items():
            keys[name] = found._replace(name=name, kind=kinds[name])
            if keys[name].is_secret:
                keys[f"{name}_file"] = _file_of(keys[name])
        for name, found in some_of.KEYS.items() if some_of else ():
            keys.setdefault(name, found._replace(default=None))
        for name, found in keys.items():
            if found.default is UNSET:
                delattr(cls, name)
            else:
                setattr(cls, name, found.default)
        cls.KEYS = keys

    def __init__(self, **values: Any) -> None:
        for name in values:
            if name not in self.KEYS:
                raise TypeError(f"{type(self).__name__} has no key {name}")
        vars(self).update(values)

    @property
    def given(self) -> Mapping[str, Any]:
        """The keys that were given, with their values."""
        return {name: value for name, value in vars(self).items() if name in self.KEYS}

    def replace(self, **values: Any) -> Self:
        """Returns a copy of the section with `values` changed."""
        return type(self)(**{**self.given, **values})

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Section) or type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.KEYS)

    __hash__ = None  # type: ignore[assignment]  # some have tables of headers

    def __repr__(self) -> str:
        shown = {name: "(not shown)" if self.KEYS[name].is_secret else repr(one) for name, one in self.given.items()}
        return f"{type(self).__name__}({', '.join(f'{name}={text}' for name, text in shown.items())})"


def _file_of(secret: Key) -> Key:
    """Returns the key for a file that holds a secret."""
    content = "them, with commas between," if isinstance(secret.default, tuple) else "it"
    return Key(
        default="",
        text=f"In place of {secret.name}: a file that has {content} as its only line."
        + ("" if secret.needs_restart else " A reload reads it again."),
        example=f"/run/secrets/{secret.name}",
        needs_restart=secret.needs_restart,
        icecast=(),
        name=f"{secret.name}_file",
        kind=Text,
        secret=secret.name,
    )


def _check_of(kind: Any) -> Check | None:
    """Returns the check in an annotation `Annotated[T, check]`, or `Annotated[T, check] | None`."""
    for one in (kind, *getattr(kind, "__args__", ())):
        for check in getattr(one, "__metadata__", ()):
            return check  # type: ignore[no-any-return]
    return None


def _one_of(kind: Any, value: object) -> object:
    assert get_origin(kind) is Literal, kind
    if value not in kind.__args__:
        raise ValueError(choices(kind.__args__, value))
    return value
