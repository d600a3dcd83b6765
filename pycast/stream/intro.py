"""What a listener hears before the stream: a file in memory, sent once to each.

A listener with an intro belongs to its mount like any other, but what it gets is read from the intro, at its own place,
as fast as its connection takes it. When it has the whole intro it goes on with the stream, as one that is moved from
another mount does: after a whole frame, at a place where a decoder can begin, and with the next title block where the
player counts it. The intro counts as burst: with a short one, the rest of the burst comes from the stream.

A format that has its header once (WAV) has that of the intro, and the stream goes on without one.

An ICY listener goes on at the first frame after a line of its own grid, so all who have heard the same intro have few
phases, and share their bytes (`stream/views.py`). The one invariant: nothing of an intro is changed once it is made.
"""

from collections.abc import Sequence

from pycast.formats.file_audio import Unit
from pycast.formats.marks import Header, Info, Join
from pycast.stream.events import IntroHeard, StreamEvents
from pycast.stream.listener import Identity, Listener, Transport
from pycast.stream.mount import Mount
from pycast.stream.placement import FALLBACK_BITRATE
from pycast.stream.relocation import go_on
from pycast.stream.ring import Ring
from pycast.stream.timeline import Timeline
from pycast.stream.views import IcyView, RawView, View

# Who has not taken an intro so long after its end would be too slow for the stream as well.
PATIENCE_S = 30.0


class Intro:
    """The audio of one file."""

    def __init__(self, name: str, format: str, units: Sequence[Unit]) -> None:
        self.name = name
        self.format = format
        """The name of a row of `FORMATS`."""
        self.stats: dict[str, str] = {}
        """Properties of its stream, under Icecast's names."""
        self.header = b""
        """What a decoder needs first that is not part of the audio."""
        self.size = sum(len(unit.data) for unit in units)
        self.patience_s = max((unit.time_s for unit in units), default=0.0) + PATIENCE_S
        """How long a listener may take for it."""
        self._ring, self._timeline = Ring(self.size), Timeline()
        for unit in units:
            self._ring.append(unit.data)
            for mark in unit.marks:
                if isinstance(mark, Info):
                    self.stats |= mark.stats
                elif isinstance(mark, Join):
                    self._timeline.add_join(mark.offset, mark.time_s)
                elif isinstance(mark, Header) and mark.offset == 0:
                    self.header = mark.data
        self._views: dict[int, View] = {0: RawView(self._ring)}

    def view(self, metaint: int) -> View:
        """Returns the byte stream that a listener gets; without titles if `metaint` is 0."""
        if metaint not in self._views:
            self._views[metaint] = IcyView(self._ring, self._timeline, metaint, 0)
        return self._views[metaint]


def join_with_intro(
    mount: Mount,
    intro: Intro,
    id: int,
    transport: Transport,
    identity: Identity,
    head: bytes,
    metaint: int,
    now: float,
    requested_mount: str = "",
) -> Listener:
    """Adds a listener that hears `intro` first; the rest as `Mount.join`."""
    first_title_at = metaint or -1
    listener = Listener(id, transport, identity, intro.view(metaint), 0, head + intro.header, first_title_at, now)
    listener.intro, listener.requested_mount = intro, requested_mount
    mount.enter(listener)
    return listener


def begin_stream(mount: Mount, events: StreamEvents, listener: Listener) -> None:
    """Has a listener that has heard its intro go on with the stream. Never switches."""
    intro, metaint = listener.intro, listener.view.key[0]
    assert isinstance(intro, Intro)
    listener.intro = None
    since = intro.size % metaint if metaint else 0
    rate = (mount.bitrate or FALLBACK_BITRATE) / 8
    back = max(mount.settings.burst_size.in_bytes(rate) - intro.size, 0)
    go_on(mount, listener, since, back)
    events.intro_heard.emit(IntroHeard(mount.name, listener))
