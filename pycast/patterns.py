"""Regular expressions that are compiled when they are first used.

Python takes 0.1 to 0.8 ms to compile one. A node that starts has read some sixty that it does not use yet, which would
be a twentieth of its start.
"""

import re
from collections.abc import Iterator
from typing import Any, AnyStr, cast

_METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn")

_waiting: "list[_LatePattern]" = []


class _LatePattern:
    """Has all that a compiled pattern has. After the first use its methods are the compiled pattern's own."""

    __slots__ = ("_flags", "_text", *_METHODS)

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text, self._flags = text, flags
        _waiting.append(self)

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(self._text, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Does what re.compile(text, flags) does, but later. Whether the text can be compiled is seen then."""
    return cast("re.Pattern[AnyStr]", _LatePattern(text, flags))


def compile_patterns() -> Iterator[None]:
    """Compiles the patterns that were not used yet, one at each step: now is a better time than later."""
    while _waiting:
        _waiting.pop().match  # noqa: B018  # to name it is to use it
        yield
