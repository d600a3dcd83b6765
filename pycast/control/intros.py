"""The intros of mounts: which one a new listener hears, if any.

An intro is a file below `paths.webroot` that is read whole, once, and again when it has changed. Who has heard all of
it does not hear it again within `intro_skip_replay`: players lose their connection, and nobody wants the same words
each time. A player is known by its address and its agent, to the process to which it connects: another worker or node
plays the intro again, which is what Icecast does at each connection. Telling all of them of each player costs more than
it is worth.

The one invariant: an intro goes before a stream only if a decoder can go on from one to the other: format, sample rate,
channels and kind of samples are the same.
"""

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from gevent.event import Event

from pycast.config.live import Live
from pycast.control.local_streams import below
from pycast.disk.calls import begin_off_hub, off_hub
from pycast.errors import ExternalError, FormatError
from pycast.formats.content_types import is_same_format
from pycast.stream.events import IntroHeard
from pycast.stream.mount import Mount

if TYPE_CHECKING:
    from pycast.disk.looped_file import Identity
    from pycast.stream.intro import Intro

log = logging.getLogger(__name__)

MOST_INTRO = 16 << 20
"""Bytes of an intro, which is kept in memory: some ten minutes."""

# Players that are remembered. A storm of more than these has some hear an intro twice.
MOST_HEARD = 50_000

# Between two looks whether a file has changed.
LOOK_S = 2.0

# What has to be the same, under Icecast's names.
_SAME = {"subtype": "codec", "audio_samplerate": "sample rate", "audio_channels": "number of channels"}

MOST_SAID = 1000

# The name of an intro that is no file.
ANSWER = "of a server that is asked"


class _Loaded(NamedTuple):
    """A file as it was read: the intro, None if it cannot be used."""

    intro: "Intro | None"
    identity: "Identity | None"
    looked_at: float


class Intros:
    """The intros of this node's mounts."""

    def __init__(self, settings: Live, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._loaded: dict[str, _Loaded] = {}
        self._loading: dict[str, Event] = {}
        self._unfit: dict[str, str] = {}
        """Why a file could not be played when it was read last; empty if it could."""
        self._heard: dict[int, float] = {}
        self._said: set[tuple[str, int]] = set()
        self._answered: WeakValueDictionary[bytes, Intro] = WeakValueDictionary()
        """What servers have sent and somebody hears, by its digest: mostly it is the same for all."""

    def is_at_hand(self, path: str) -> bool:
        """Whether `of` returns at once: the mount of that name has no intro, or it is read already. Never switches."""
        name = self._settings.now.for_mount(path).intro
        return not name or self._file(name) in self._loaded

    def of(self, path: str) -> "Intro | None":
        """Returns the intro of the mount of that name, None if it has none that can be used. May switch, unless it is
        at hand.
        """
        name = self._settings.now.for_mount(path).intro
        if not name:
            return None
        file = self._file(name)
        while (loading := self._loading.get(file)) is not None:
            loading.wait()
        loaded = self._loaded.get(file)
        if loaded is None:
            loaded = self._load(path, file)
        elif self._clock() - loaded.looked_at >= LOOK_S:
            self._look(file, loaded)
        return loaded.intro

    def of_answer(self, data: bytes) -> "Intro | None":
        """Returns what a server that was asked has sent to be heard first, None if it cannot be played. May switch."""
        try:
            digest = off_hub(_digest, data)
            intro = self._answered.get(digest)
            if intro is None:
                intro = self._answered[digest] = off_hub(_made, ANSWER, data)
        except (ExternalError, FormatError) as error:
            level = logging.DEBUG if (ANSWER, 0) in self._said else logging.WARNING
            self._said.add((ANSWER, 0))
            log.log(level, "what a server that is asked sent to be heard first cannot be played: %s", error)
            return None
        return intro

    def may_precede(self, intro: "Intro", mount: Mount, path: str, ip: str, agent: str) -> bool:
        """Whether a listener of `mount` that asked for `path` hears the intro now. Never switches."""
        return not self._has_heard(path, ip, agent) and self.fits(intro, mount)

    def on_intro_heard(self, event: IntroHeard) -> None:
        """Remembers that a player has heard the intro of the mount that it asked for."""
        listener = event.listener
        path = listener.requested_mount or event.mount
        if not self._settings.now.for_mount(path).intro_skip_replay:
            return
        key = hash((path, listener.identity.ip, listener.identity.user_agent))
        self._heard.pop(key, None)
        self._heard[key] = self._clock()
        if len(self._heard) > MOST_HEARD:
            del self._heard[next(iter(self._heard))]

    def _file(self, name: str) -> str:
        webroot = self._settings.now.paths.webroot
        return below(webroot, name) if webroot else ""

    def _has_heard(self, path: str, ip: str, agent: str) -> bool:
        heard = self._heard.get(hash((path, ip, agent)))
        return heard is not None and self._clock() - heard < self._settings.now.for_mount(path).intro_skip_replay

    def _load(self, path: str, file: str) -> _Loaded:
        loading = self._loading[file] = Event()
        try:
            intro, identity, why = off_hub(_read, file)
        except ExternalError as error:
            intro, identity, why = None, None, str(error)
        finally:
            del self._loading[file]
            loading.set()
        self._forget_others()
        loaded = _Loaded(intro, identity, self._clock())
        if not why:
            log.info("mount %s: its intro %s is read", path, file)
        elif why != self._unfit.get(file):
            log.warning("mount %s: its intro %s cannot be played: %s", path, file or "(no paths.webroot)", why)
        self._unfit[file] = why
        self._loaded[file] = loaded
        return loaded

    def _forget_others(self) -> None:
        """Lets go of the files that no mount names any more: a station may have a new one each day."""
        named = {self._file(mount.intro) for mount in self._settings.now.mount if mount.intro}
        for file in self._unfit.keys() - named:
            del self._unfit[file]
            self._loaded.pop(file, None)

    def _look(self, file: str, loaded: _Loaded) -> None:
        """Begins to look whether the file has changed; if so, the next listener has it read. Never switches."""
        self._loaded[file] = loaded._replace(looked_at=self._clock())
        begin_off_hub(partial(_has_changed, file, loaded.identity), partial(self._on_look, file))

    def _on_look(self, file: str, has_changed: bool) -> None:
        if has_changed:
            self._loaded.pop(file, None)

    def fits(self, intro: "Intro", mount: Mount) -> bool:
        """Whether a decoder can go on from the intro to the stream. Never switches."""
        wanted = mount.description.format_name
        if not is_same_format(intro.format, wanted):
            self._say(intro, mount, f"it is {intro.format}, and the stream {wanted}")
            return False
        stats: Mapping[str, str] = mount.all_stats()
        for key, words in _SAME.items():
            has, other = intro.stats.get(key), stats.get(key)
            if has and other and has != other:
                self._say(intro, mount, f"its {words} is {has}, and that of the stream {other}")
                return False
        return wanted != "wav" or self._fits_samples(intro, mount)

    def _fits_samples(self, intro: "Intro", mount: Mount) -> bool:
        from pycast.formats.wav import sample_kind  # the intro has loaded it

        has, other = sample_kind(intro.header), sample_kind(mount.timeline.header_at(mount.ring.head))
        if other is not None and has != other:
            self._say(intro, mount, "its samples have another size or form than those of the stream")
            return False
        return True

    def _say(self, intro: "Intro", mount: Mount, why: str) -> None:
        # Of a file each version; of what servers send all in one.
        key = mount.name, 0 if intro.name == ANSWER else id(intro)
        if key not in self._said and len(self._said) < MOST_SAID:
            self._said.add(key)
            log.warning("mount %s: its intro %s is not played: %s", mount.name, intro.name, why)


def _read(file: str) -> "tuple[Intro | None, Identity | None, str]":
    """Returns an intro, or why there is none, and the identity of the file if it was read: the same one need not be
    read again. Blocks.
    """
    from pycast.disk.looped_file import read_file

    if not file:
        return None, None, "expected paths.webroot, the folder that has it"
    try:
        data, identity = read_file(file, MOST_INTRO)
    except ExternalError as error:  # what is in the way may go without a change of the file
        return None, None, str(error)
    try:
        return _made(file, data), identity, ""
    except (ExternalError, FormatError) as error:
        return None, identity, str(error)


def _made(name: str, data: bytes) -> "Intro":
    """Returns the intro of a file's bytes. Raises ExternalError or FormatError."""
    from pycast.formats.file_audio import EXPECTED_BEFORE_STREAM, FileAudio, detect_before_stream
    from pycast.stream.intro import Intro

    format = detect_before_stream(lambda offset, size: data[offset : offset + size])
    if not format:
        raise ExternalError(EXPECTED_BEFORE_STREAM)
    audio = FileAudio(format, 0, lambda: int.from_bytes(os.urandom(4)))
    units = [*audio.feed(data), *audio.finish()]
    if not units:
        raise ExternalError(EXPECTED_BEFORE_STREAM)
    return Intro(name, format, units)


def _digest(data: bytes) -> bytes:
    from hashlib import blake2b  # not at the start

    return blake2b(data, digest_size=16).digest()


def _has_changed(file: str, identity: "Identity | None") -> bool:
    from pycast.disk.looped_file import identity_of, is_settled

    found = identity_of(file) if file else None
    return found is not None and found != identity and is_settled(found)
