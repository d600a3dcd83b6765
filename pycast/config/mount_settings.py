"""The settings of a mount: the keys, each written once, and the look-up of a mount's effective settings. A value comes
from the mount's own section, else from the default section, else from [limits], [authentication] or [cluster].

The look-up follows Icecast. The mount's section is the one with its exact name, else the first in the file whose
pattern matches. What that section does not set comes from the first section of type "default" that has no name or a
matching pattern. Unlike in Icecast, an exact name wins over an earlier pattern: the order of sections should not matter
where the file is that specific.

The one invariant: every key of `MountSettings` has an effective value, so no other code looks anything up again.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pycast.config.address_values import MaybeAddress
from pycast.config.mount_authentication import MountAuthentication
from pycast.config.section import UNSET, Section, key
from pycast.config.status_headers import HeaderValue
from pycast.config.units import Size
from pycast.config.values import (
    Bitrate,
    Bits,
    Charset,
    Fallback,
    Flag,
    Headers,
    MaybeSecret,
    MountName,
    Override,
    Public,
    RequiredText,
    Seconds,
    Secret,
    SectionType,
    Span,
    Text,
    Whole,
)
from pycast.patterns import pattern

DEFAULT_METADATA_INTERVAL = 16000
"""Icecast's value: about a second of 128 kbit/s between two places where the title can change."""

SHORTEST_PATIENCE_S = 19.0
"""Players and balancers give up a silent connection after 20 to 60 s; if it is closed before, the player connects
again, maybe to another node. Less than 20, as mounts are looked at twice a second."""

LOCAL_BURST = Size(seconds=4)
"""A time, because silence may have so few bytes that a burst of the usual size would be minutes."""

_WEB_ADDRESS = pattern(r"https?://[^\s\"'<>\\^`|{}/?#]+(/([^\s\"'<>\\^`|{}]|\$\{mount\})*)?")


def _redirect_to(value: object) -> str:
    text = str(value).strip()
    if text and not (text.isascii() and text.isprintable() and _WEB_ADDRESS.fullmatch(text)):
        raise ValueError('expected a web address, such as "https://cdn.example.org/${mount}"')
    return text


RedirectTo = Annotated[str, _redirect_to]

_MAX_CACHED = 4096
"""Names come from requests, so the cache needs a limit."""


class MountSettings(Section):
    """The effective settings of one mount. Times are seconds; an empty text means "not set".

    A key that no section sets has its default, or the value of the key that `inherits` names.
    """

    mount_name: str = key(UNSET)
    type: Text = key("")
    """The content type that is shown; empty: that of the stream."""
    username: RequiredText = key(
        UNSET, "The mount's own source user.", example="source", inherits="authentication.source_user"
    )
    password: Secret = key(
        UNSET, "The mount's own source password.", example="secret", inherits="authentication.source_password"
    )
    max_listeners: Whole = key(-1, "The most listeners at the same time. -1: no limit.", example=-1, ge=-1)
    max_listener_duration: Seconds = key(0.0, "After this time a listener is disconnected. 0: never.", example=0)
    max_bandwidth: Bits = key(
        0,
        "The most that the mount's listeners may need together, as in [limits]. 0: no limit.",
        example="100M",
    )
    limit_rate: Bits = key(
        0,
        "The most that the source may send, in bit/s or with a unit. One that sends more for longer than a few seconds "
        "is read more slowly. It should be well above the stream's bitrate. 0: no limit.",
        example="400k",
    )
    fallback_mount: Fallback = key(
        "",
        "What listeners hear while this mount has no source: another mount, a file below paths.webroot, which is "
        'played again and again, or "silence". It must have the same kind of stream. A mount may have a fallback '
        "itself.",
        example="/backup.mp3",
    )
    fallback_override: Override = key(
        "none",
        'Who is moved back when this mount has a source again: "own", those who came from it (or true), "all", '
        'everybody on the fallback mount, as in Icecast 2.4, or "none" (or false), the default.',
        example="own",
    )
    fallback_when_full: Flag = key(
        False, "Whether listeners get the fallback mount when this mount is full.", example=False
    )
    no_mount: Flag = key(
        False, "Whether nobody may listen to this mount but those who come to it as a fallback.", example=True
    )
    allow_direct_access: Flag = key(True, "Icecast 2.5's word for the same, the other way round.", example=False)
    redirect_to: RedirectTo = key(
        "",
        "Where all who want to listen to this mount are sent instead, with ${mount} for its name. Other servers that "
        "log in as relays are served here.",
        example="https://cdn.example.org/${mount}",
    )
    intro: Text = key(
        "",
        "A file below paths.webroot that each listener hears first. It must have the format, the sample rate and the "
        "channels of the stream.",
        example="/intro.mp3",
    )
    intro_skip_replay: Seconds = key(
        3600.0,
        "A listener who connects again so soon after the intro does not hear it once more. Not set: an hour. 0: it "
        "is heard each time.",
        example="1h",
    )
    dump_file: Text = key(
        "",
        "A file that records what the source sends. %Y, %m, %d, %H, %M and %S stand for the time at which the source "
        "connected, {mount} for the mount's name (%2F for a slash in it). An existing file is continued.",
        example="/var/spool/pycast/live-%Y%m%d-%H%M%S.mp3",
    )
    access_log: Text = key(
        "",
        "A log of the listeners who asked for this mount, beside that in [logging] and in the same format.",
        example="/var/log/pycast/live.log",
        icecast=("accesslog",),
    )
    hidden: Flag = key(False, "Whether the mount is left out of the status page and status-json.xsl.", example=False)
    public: Public = key(
        None, "Whether directories may list the mount. Unset (or Icecast's -1): the source decides.", example=False
    )
    cluster_password: MaybeSecret = key(
        "",
        "A password for directories, which show mounts of the same name and password as one station.",
        example="secret",
    )
    burst_size: Span = key(UNSET, "As in [limits], but for this mount.", example="64k", inherits="limits.burst_size")
    queue_size: Span = key(UNSET, "As in [limits], but for this mount.", example="512k", inherits="limits.queue_size")
    source_timeout: Seconds = key(
        UNSET, "As in [limits], but for this mount.", gt=0, example=10, inherits="limits.source_timeout"
    )
    source_grace: Seconds = key(
        UNSET, "As in [limits], but for this mount.", example=5, inherits="limits.source_grace", icecast=()
    )
    listener_patience: Seconds = key(
        UNSET, "As in [limits], but for this mount.", example="2m", inherits="limits.listener_patience", icecast=()
    )
    source_takeover: Flag = key(
        UNSET, "As in [limits], but for this mount.", example=True, inherits="limits.source_takeover", icecast=()
    )
    on_conflict: Literal["standby", "reject", "take_over"] = key(
        UNSET,
        'As in [cluster], but for this mount. Without a cluster: "reject".',
        example="standby",
        inherits="cluster.on_conflict",
        icecast=(),
    )
    mp3_metadata_interval: Whole = key(
        DEFAULT_METADATA_INTERVAL,
        f"Bytes of audio between two title blocks in the stream, {DEFAULT_METADATA_INTERVAL} by default. 0: no titles.",
        example=16000,
        ge=0,
        le=1 << 24,
        icecast=("mp3-metadata-interval", "icy-metadata-interval", "metadata-interval"),
    )
    charset: Charset = key(
        "",
        "The character set of titles that sources send without naming one, and of titles sent to players.",
        example="UTF-8",
    )
    stream_name: Text = key("", "Replaces the name that the source sends.", example="Radio Example")
    stream_description: Text = key("", "Replaces the source's description.", example="All day, all night")
    stream_url: Text = key("", "Replaces the source's URL.", example="https://radio.example.org/")
    listenurl: MaybeAddress = key(
        "",
        "What listeners use for this mount instead of server.public_url: the whole address of the stream, or without a "
        "path only what stands before the mount's name.",
        example="https://cdn.example.org/live.mp3",
    )
    genre: Text = key("", "Replaces the source's genre.", example="various")
    subtype: Text = key("", "Replaces the names of the codecs in the statistics and in directories.", example="Vorbis")
    bitrate: Bitrate = key("", "Replaces the source's bitrate, in kbit/s.", example="128")
    on_connect: Text = key(
        "",
        "A program to run when a source connects, with the mount's name as its argument.",
        example="/usr/local/bin/on-air",
    )
    on_disconnect: Text = key(
        "", "A program to run when the source has gone, with the same argument.", example="/usr/local/bin/off-air"
    )
    http_headers: Headers = key(
        {},
        "Headers of replies to listeners, added to [http_headers]. One of the same name replaces that one, an "
        "empty one removes it. Refusals have those of them that are for their status.",
        example={"X-Station": "demo"},
    )
    authentication: MountAuthentication = key(
        MountAuthentication(), "Who may listen, and whom a server of yours is asked about.", icecast=()
    )

    @property
    def longest_silence(self) -> float:
        """Seconds without audio after which listeners are disconnected."""
        # Not while the source may still go on, nor before its fallback could take them. The second is for those who
        # have no grace: the end of the source has to come first.
        return self.listener_patience or max(SHORTEST_PATIENCE_S, self.source_timeout + max(self.source_grace, 1.0))

    @cached_property
    def is_plain(self) -> bool:
        """Whether everybody who asks for it is a listener at once: nobody else is asked."""
        is_open = self.allow_direct_access and not self.no_mount
        return is_open and not (self.redirect_to or self.authentication.follows_listeners)


class MountSection(Section, some_of=MountSettings):
    """Settings of one mount. Needed only for mounts that differ from [limits] and [authentication]."""

    mount_name: MountName | None = key(
        None,
        "The mount, or a pattern: * ? and [abc] match within one part of the path. An exact name wins over a pattern, "
        "and an earlier pattern over a later one.",
        example="/live.mp3",
    )
    type: SectionType = key(
        "normal",
        'A section of type "default" gives values to every mount that does not set its own. In any other section, a '
        "content type replaces that of the stream in the statistics and in directories.",
    )

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Every key of `MountSettings`; None where the section does not set it."""


class MountTable:
    """The [[mount]] sections, looked up by the name of a mount."""

    def __init__(
        self, sections: Sequence[MountSection], inherited: Mapping[str, object], http_headers: Mapping[str, HeaderValue]
    ) -> None:
        """`inherited` has a value for each key of `MountSettings` that inherits one."""
        self._normal = [section for section in sections if section.type != "default" and section.mount_name]
        self._exact = {section.mount_name: section for section in reversed(self._normal)}
        self._default = [section for section in sections if section.type == "default"]
        self._http_headers = merge_headers({}, http_headers)
        self._inherited = inherited
        self._cache: dict[str, MountSettings] = {}

    def settings(self, name: str) -> MountSettings:
        """Returns the effective settings of the mount `name`."""
        found = self._cache.get(name)
        if found is None:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            found = self._cache[name] = self._merged(name)
        return found

    def names(self, name: str) -> bool:
        """Whether there is a section for exactly this mount."""
        return name in self._exact

    def describes(self, name: str) -> bool:
        """Whether there is a section for this mount, by its name or by a pattern."""
        return self._normal_for(name) is not None

    def _merged(self, name: str) -> MountSettings:
        values: dict[str, Any] = dict(self._inherited)
        if is_local(name):
            return MountSettings(**values | {"mount_name": name, "hidden": True, "burst_size": LOCAL_BURST})
        headers = self._http_headers
        for section in (self._default_for(name), self._normal_for(name)):
            if section:
                values |= {key: value for key, value in section.given.items() if value is not None}
                headers = merge_headers(headers, section.http_headers or {})
        if "/" not in values.get("type", ""):  # it is a kind of section
            values.pop("type", None)
        return MountSettings(**values | {"mount_name": name, "http_headers": headers})

    def _normal_for(self, name: str) -> MountSection | None:
        if name in self._exact:
            return self._exact[name]
        return next((section for section in self._normal if mount_matches(section.mount_name or "", name)), None)

    def _default_for(self, name: str) -> MountSection | None:
        matching = (s for s in self._default if s.mount_name is None or mount_matches(s.mount_name, name))
        return next(matching, None)


def is_local(name: str) -> bool:
    """Whether it is the name of what a node plays by itself in place of a mount. It is no path: no source, listener or
    other node can ask for it, and no section of the file is for it.
    """
    return bool(name) and not name.startswith("/")


def mount_matches(pattern: str, name: str) -> bool:
    """Whether the mount `name` matches `pattern`: `*`, `?` and `[abc]` stop at a "/", as in a shell and in Icecast."""
    wanted, given = pattern.split("/"), name.split("/")
    return len(wanted) == len(given) and all(map(fnmatchcase, given, wanted))


def merge_headers(base: Mapping[str, HeaderValue], own: Mapping[str, HeaderValue]) -> dict[str, HeaderValue]:
    """Returns `base` with `own` added: a header of the same name (in any case) replaces, an empty one removes."""
    replaced = {name.lower() for name in own}
    merged = {name: value for name, value in base.items() if name.lower() not in replaced}
    return merged | {name: value for name, value in own.items() if value}
