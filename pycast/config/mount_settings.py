"""Which settings hold for a mount: its own section, then the default section, then [limits] and [authentication].

Look-up as Icecast does it: the section with that exact name, else the first whose pattern matches, in the order of the
file; then what is unset comes from the first section of type "default" that has no name or a matching pattern. Unlike
Icecast, an exact name wins over an earlier pattern: order should not matter where the file is that specific.

The one invariant: every field of `MountSettings` has an effective value, so nobody downstream looks anything up again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Protocol

from pycast.config.units import Size

DEFAULT_METADATA_INTERVAL = 16000
"""Icecast's: about a second of 128 kbit/s between two chances to change the title."""

_MAX_CACHED = 4096
"""Names come from requests, so the cache must not grow with them."""


@dataclass(frozen=True, slots=True)
class MountSettings:
    """The effective settings of one mount. Times are seconds; an empty text means "not set"."""

    mount_name: str
    username: str
    password: str
    burst_size: Size
    queue_size: Size
    source_timeout: float
    source_grace: float
    source_takeover: bool
    on_conflict: str = "reject"
    """"standby", "reject" or "take_over"."""
    max_listeners: int = -1
    """-1: no limit; 0: nobody."""
    max_listener_duration: float = 0.0
    """0: no limit."""
    fallback_mount: str = ""
    fallback_override: bool = False
    fallback_when_full: bool = False
    dump_file: str = ""
    """May contain strftime fields."""
    hidden: bool = False
    public: bool | None = None
    """None: the source decides."""
    mp3_metadata_interval: int = DEFAULT_METADATA_INTERVAL
    """0: no titles in the stream."""
    charset: str = ""
    """Empty: what is right for the format."""
    stream_name: str = ""
    stream_description: str = ""
    stream_url: str = ""
    genre: str = ""
    bitrate: str = ""
    on_connect: str = ""
    on_disconnect: str = ""
    http_headers: Mapping[str, str] = field(default_factory=dict)
    """The global ones first, then the mount's; one of the same name has replaced the global one."""


_KEYS = tuple(key.name for key in fields(MountSettings))


class MountKeys(Protocol):
    """A [[mount]] section. Beside these two it has one attribute for each field below, None where it is unset."""

    @property
    def mount_name(self) -> str | None: ...
    @property
    def type(self) -> str: ...


class _Limits(Protocol):
    @property
    def burst_size(self) -> Size: ...
    @property
    def queue_size(self) -> Size: ...
    @property
    def source_timeout(self) -> float: ...
    @property
    def source_grace(self) -> float: ...
    @property
    def source_takeover(self) -> bool: ...


class _SourceLogin(Protocol):
    @property
    def source_user(self) -> str: ...
    @property
    def source_password(self) -> str: ...


class MountTable:
    """The [[mount]] sections, ready to be asked for a name."""

    def __init__(
        self,
        sections: Sequence[MountKeys],
        limits: _Limits,
        authentication: _SourceLogin,
        http_headers: Mapping[str, str],
        on_conflict: str = "reject",
    ) -> None:
        self._normal = [section for section in sections if section.type == "normal" and section.mount_name]
        self._exact = {section.mount_name: section for section in reversed(self._normal)}
        self._default = [section for section in sections if section.type == "default"]
        self._http_headers = merge_headers({}, http_headers)
        self._base: dict[str, Any] = {
            "username": authentication.source_user,
            "password": authentication.source_password,
            "burst_size": limits.burst_size,
            "queue_size": limits.queue_size,
            "source_timeout": limits.source_timeout,
            "source_grace": limits.source_grace,
            "source_takeover": limits.source_takeover,
            "on_conflict": on_conflict,
        }
        self._cache: dict[str, MountSettings] = {}

    def settings(self, name: str) -> MountSettings:
        """The effective settings of the mount `name`."""
        found = self._cache.get(name)
        if found is None:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            found = self._cache[name] = self._merged(name)
        return found

    def _merged(self, name: str) -> MountSettings:
        values = dict(self._base)
        headers = self._http_headers
        for section in (self._default_for(name), self._normal_for(name)):
            own = {key: value for key in _KEYS if (value := getattr(section, key, None)) is not None}
            headers = merge_headers(headers, own.pop("http_headers", {}))
            values |= own
        return MountSettings(**values | {"mount_name": name, "http_headers": headers})

    def _normal_for(self, name: str) -> MountKeys | None:
        if name in self._exact:
            return self._exact[name]
        return next((section for section in self._normal if mount_matches(section.mount_name or "", name)), None)

    def _default_for(self, name: str) -> MountKeys | None:
        matching = (s for s in self._default if s.mount_name is None or mount_matches(s.mount_name, name))
        return next(matching, None)


def mount_matches(pattern: str, name: str) -> bool:
    """Whether the mount `name` fits `pattern`: `*`, `?` and `[abc]` stop at a "/", as in a shell and in Icecast."""
    wanted, given = pattern.split("/"), name.split("/")
    return len(wanted) == len(given) and all(map(fnmatchcase, given, wanted))


def merge_headers(base: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """`base` with `own` added: a header of the same name (in any case) replaces, an empty one removes."""
    replaced = {name.lower() for name in own}
    merged = {name: value for name, value in base.items() if name.lower() not in replaced}
    return merged | {name: value for name, value in own.items() if value}
