"""What this node plays by itself when a mount has no source: files below `paths.webroot`, and silence.

Each is a mount that only this node has, named for what it plays (`file:/jingle.mp3`), with one position for all who are
moved to it. It begins when it is first needed and ends when nobody has listened for a while. No source, listener or
other node can ask for it by its name, so it is never claimed, mirrored or refused to anybody.

The one invariant: nobody is moved to a stream that his player could not go on with: the format is the same, or nobody
has had the stream yet.
"""

import logging
import time
from typing import TYPE_CHECKING

from gevent.event import Event

from pycast.config.live import Live
from pycast.config.values import SILENCE
from pycast.control.sound_match import difference
from pycast.disk.calls import off_hub
from pycast.errors import ExternalError
from pycast.formats.content_types import is_same_format
from pycast.net.group import Group
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts

if TYPE_CHECKING:
    from pycast.disk.looped_file import LoopedContent
    from pycast.formats.silence import StreamShape
    from pycast.stream.file_player import FilePlayer

log = logging.getLogger(__name__)

# A file that is not there is not looked for again so soon: players that come back all at once would each ask the disk.
ABSENT_S = 1.0

# What is said to be unfit, once each.
MOST_SAID = 1000


class LocalStreams:
    """The streams of this node by what they play."""

    def __init__(self, settings: Live, mounts: Mounts, group: Group) -> None:
        self._settings = settings
        self._mounts = mounts
        self._group = group
        self._players: dict[str, FilePlayer] = {}
        self._starting: dict[str, Event] = {}
        self._absent: dict[str, float] = {}
        self._said: set[tuple[str, str]] = set()

    def open(self, name: str, asked: str, like: Mount | None) -> Mount | None:
        """Returns the stream of the fallback `name`, for listeners of the mount `asked`; None if it is not one, or not
        one for them. `like` is the mount that they have heard, None if none. May switch.
        """
        if name != SILENCE and (not self._settings.now.paths.webroot or self._settings.now.names_mount(name)):
            return None
        if name == SILENCE:
            shape = _shape(asked, like)
            return self._opened(f"{SILENCE}:{'-'.join(map(str, shape))}", asked, like, shape)
        return self._opened(f"file:{name}", asked, like, None)

    def _opened(self, key: str, asked: str, like: Mount | None, shape: "StreamShape | None") -> Mount | None:
        while (starting := self._starting.get(key)) is not None:
            starting.wait()
        player, mount = self._players.get(key), self._mounts.get(key)
        if player is None or mount is None or mount.state is not MountState.LIVE:
            mount = self._start(key, asked, shape)
        else:
            player.wanted_at = time.monotonic()
        return mount if mount is not None and self._suits(key, mount, like) else None

    def _start(self, key: str, asked: str, shape: "StreamShape | None") -> Mount | None:
        """Begins to play; returns None, and logs why, if that is not possible. May switch."""
        if time.monotonic() < self._absent.get(key, 0.0):
            return None
        from pycast.stream.file_player import FilePlayer  # with the first one, not at the start of the server

        starting = self._starting[key] = Event()
        try:
            player = FilePlayer(key, self._content(key, shape), self._mounts, time.monotonic)
            mount = player.start()
        except ExternalError as error:
            self._absent = {one: until for one, until in self._absent.items() if until > time.monotonic()}
            self._absent[key] = time.monotonic() + ABSENT_S
            self._say(key, str(error), "mount %s: its fallback %s cannot be played: %s", asked, key, error)
            return None
        finally:
            del self._starting[key]
            starting.set()
        log.info("mount %s: its fallback %s is played", asked, key)
        self._players[key] = player
        # Not at the end of `run`: a node that stops may kill it before it has begun.
        self._group.spawn(f"player of {key}", player.run).rawlink(lambda _: self._end(key, player))
        return mount

    def _end(self, key: str, player: "FilePlayer") -> None:
        player.close()
        if self._players.get(key) is player:
            del self._players[key]

    def _content(self, key: str, shape: "StreamShape | None") -> "LoopedContent":
        """Returns what is to be played. Raises ExternalError. May switch."""
        from pycast.disk.looped_file import LoopedBytes, LoopedFile
        from pycast.formats.file_audio import EXPECTED, detect, sound_of
        from pycast.formats.silence import silence

        if shape is None:
            webroot = self._settings.now.paths.webroot
            return off_hub(LoopedFile, below(webroot, key.partition(":")[2]), detect, EXPECTED, sound_of)
        data = silence(shape)
        if not data:
            raise ExternalError(f"there is no silence for {shape.codec or shape.format}")
        return LoopedBytes(shape.format, data)

    def _suits(self, key: str, mount: Mount, like: Mount | None) -> bool:
        if like is None:
            return True
        wanted, has = like.description.format_name, mount.description.format_name
        if is_same_format(wanted, has):
            # Silence is made for it, of samples that are none whatever their kind.
            found = None if key.startswith(SILENCE) else difference(like, mount)
            if found is None:
                return True
            wanted, has = found
        self._say(key, wanted, "mount %s: its fallback %s is %s and no %s: not used", like.name, key, has, wanted)
        return False

    def _say(self, key: str, about: str, text: str, *values: object) -> None:
        """Logs something once."""
        if (key, about) not in self._said and len(self._said) < MOST_SAID:
            self._said.add((key, about))
            log.warning(text, *values)


def below(webroot: str, name: str) -> str:
    """Returns the path of a file that the configuration names as one of webroot."""
    return f"{webroot.rstrip('/')}/{name.lstrip('/')}"


def _shape(asked: str, like: Mount | None) -> "StreamShape":
    from pycast.formats.silence import StreamShape, shape_by_name

    if like is None:
        return shape_by_name(asked)
    stats = like.all_stats()
    rate, channels = (_number(stats.get(f"audio_{key}", "")) for key in ("samplerate", "channels"))
    return StreamShape(like.description.format_name, stats.get("subtype", ""), rate, channels, like.bitrate or 0)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0
