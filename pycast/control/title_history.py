"""The last titles of each mount, also of mounts that are over: what a listener wants to know who heard a song.

Each node keeps those that it has heard of itself, as the origin or as a mirror; `stats/merge.py` puts them together.
The one invariant: however many titles and mounts come and go, it keeps at most `MOST_MOUNTS` times `HISTORY`, and
`MOST_TEXT` beside those of the mount with the newest one.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from pycast.stream.events import TitleChanged

if TYPE_CHECKING:  # its module is for pages: the start does without
    from pycast.stats.snapshot import PlayedTitle

# How many mounts, and the letters of their titles together: a title may have 4,000.
MOST_MOUNTS, MOST_TEXT = 1000, 4 << 20


class TitleHistory:
    """The titles of all mounts, by name."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._by_mount: dict[str, deque[PlayedTitle]] = {}
        self._text = 0
        """The letters of all titles."""

    def on_title_changed(self, event: TitleChanged) -> None:
        """Keeps a title. One that a source sets again when it is back is not another one."""
        from pycast.stats.merge import HISTORY
        from pycast.stats.snapshot import PlayedTitle

        artist, title = event.title.artist, event.title.title
        if not (artist or title):
            return
        # The mount with the newest title is the last one.
        titles = self._by_mount.pop(event.mount, None) or deque()
        self._by_mount[event.mount] = titles
        if titles and (titles[-1].artist, titles[-1].title) == (artist, title):
            return
        titles.append(PlayedTitle(self._clock(), artist, title))
        self._text += len(artist) + len(title)
        if len(titles) > HISTORY:
            self._text -= _text_of(titles.popleft())
        while len(self._by_mount) > MOST_MOUNTS or (self._text > MOST_TEXT and len(self._by_mount) > 1):
            self._text -= sum(map(_text_of, self._by_mount.pop(next(iter(self._by_mount)))))

    def of(self, mount: str) -> "tuple[PlayedTitle, ...]":
        """Returns the mount's last titles, the newest first."""
        return tuple(reversed(self._by_mount.get(mount, ())))

    def mounts(self) -> list[str]:
        """Returns the names of all mounts that have had a title."""
        return sorted(self._by_mount)


def _text_of(played: "PlayedTitle") -> int:
    return len(played.artist) + len(played.title)
