"""A named stream: joins ring, timeline, program and fan-out, and outlives its sources.

A source feeds bytes in with `feed`; its program's format cuts them into whole units and finds marks; ring and timeline
keep them; the fan-out pushes them. A mirror, which has units and marks from another node, begins at `take`. A source
that ends leaves the mount WAITING for `source_grace` seconds with its listeners connected; the next source continues at
the next offset, after a splice. Nothing here waits or switches: timers and greenlets belong to `Mounts`.

A title belongs to its source. A new source begins with the title that it had as a standby, or with none, whatever the
source before had; but an encoder that connects again keeps its own. Mirrors decide none of this: they get each change
from the origin's journal.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from pycast.config.mount_settings import MountSettings
from pycast.formats.marks import Header, Info, Join, Mark, Tags
from pycast.formats.standby import StandbyStream
from pycast.http.icy import title_block
from pycast.http.titles import Song, clean_song
from pycast.stream.events import ListenerJoined, ListenerLeft, MountStateChanged, NewAudio, StreamEvents, TitleChanged
from pycast.stream.fanout import Fanout, Reason
from pycast.stream.journal import Journal, Started
from pycast.stream.listener import Identity, Listener, Transport
from pycast.stream.mount_state import LIFE, MountEvent, MountState
from pycast.stream.pacer import Pacer
from pycast.stream.placement import FALLBACK_BITRATE, Placement, begun_at, place, since_join
from pycast.stream.program import Program
from pycast.stream.ring import Ring
from pycast.stream.ring_size import RING_MARGIN, make_room, usual_size
from pycast.stream.source import SourceDescription
from pycast.stream.timeline import Timeline, Title
from pycast.stream.views import IcyView, RawView, View

log = logging.getLogger(__name__)

# Encoders clear the title right after they have set it, or send two requests of which one has nothing.
CLEAR_S = 2.0


class Mount:
    """One named stream. Its description is that of the source for which it is made, until another one starts."""

    def __init__(
        self,
        name: str,
        settings: MountSettings,
        description: SourceDescription,
        pacer: Pacer,
        events: StreamEvents,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.settings = settings
        self.state = MountState.IDLE
        self.ring = Ring(RING_MARGIN)
        self.timeline = Timeline()
        self.journal = Journal()
        self.fanout = Fanout(self.ring, pacer, self.allowed_lag, self._burst_bytes, self._listener_left, clock)
        self.end_reason: Reason | None = None
        """Why the mount is over; None before."""
        self.bytes_read = 0
        self.bytes_dropped = 0
        self.read_before = self.sent_before = 0
        """What was read and sent before an admin had it counted anew: it is not shown any more."""
        self.sources = 0
        self.restarts = 0
        """How often its offsets jumped: a reader that keeps an offset has to begin anew."""
        self.listener_peak = 0
        self.listener_connections = 0
        self.slow_listeners = 0
        self.last_audio = clock()
        """When it last got audio, on the same clock as `Listener.joined`."""
        self._events = events
        self._new_audio = NewAudio(name)
        self._clock = clock
        self._program, self._described = Program(name, description, settings.stream_name), description
        self._title_source: SourceDescription | None = None
        """The source that the latest title belongs to; None if that source took it along to its standby."""
        self._titled_at = -CLEAR_S
        """When it last got a title that is not empty."""
        self._told: frozenset[Song] = frozenset()
        """What had been told of before the offsets jumped: the same comes again with the backlog."""
        self.floor = 0
        """No listener starts before this offset: its decoder could not follow to the present audio."""
        self._begun, self._first_until = 0, -1  # where its source began, and the head after its first bytes
        self._source_since = clock()
        """When its source connected, on a clock that nobody sets."""
        self._raw = RawView(self.ring)
        self._icy: dict[tuple[int, int], View] = {}
        self._size_ring()

    @property
    def description(self) -> SourceDescription:
        """The description of the present source, or of the last one."""
        return self._described

    @property
    def family(self) -> str:
        """Which streams a listener of this mount can be moved to: as `Format.family`."""
        return self._program.family

    @property
    def bitrate(self) -> int | None:
        """Bits a second, as read from the stream; None if not known."""
        return self._program.bitrate

    @property
    def stats(self) -> Mapping[str, str]:
        """Properties read from the stream, under Icecast's names."""
        return self._program.stats

    def all_stats(self) -> Mapping[str, str]:
        """Returns the pairs of the source's `ice-audio-info`, and in their place what was read from the stream."""
        return self._program.all_stats()

    @property
    def listener_content_type(self) -> str:
        """The content type in a listener's response head."""
        return self._program.listener_content_type

    @property
    def source_lines(self) -> bytes:
        """The `icy-` lines of a listener's response head that mirror the source's headers."""
        return self._program.listener_lines

    @property
    def started_at(self) -> int:
        """The offset at which the present source began; -1 before the first one."""
        started = self.journal.started_before(self.ring.head)
        return started.offset if started else -1

    def source_age_s(self) -> float:
        """Returns for how long the present source is connected, whatever happens to the time of day."""
        return self._clock() - self._source_since

    def apply(self, settings: MountSettings) -> None:
        """Replaces the settings. Listeners that are connected stay; limits hold for them too."""
        self.settings = settings
        self._program.rename(settings.stream_name)
        self._size_ring()

    def start(self, description: SourceDescription, stream: StandbyStream | None = None) -> None:
        """Starts a source, whose bytes come through `feed`; `stream` is what it has fed so far, if it was a standby.
        Drops the listeners if they cannot play what it sends.
        """
        self.start_known(description, stream)
        self.start_title(description, stream)

    def start_known(self, description: SourceDescription, stream: StandbyStream | None = None) -> None:
        """As `start`, for a source that has had its `start_title`."""
        self._start(description, self.ring.head)
        self._program.begin(self.ring.head, stream, self.settings.dump_file)

    def feed_first(self, data: bytes) -> None:
        """As `feed`, for first bytes: until there are more, listeners start there. Raises FormatError."""
        self._program.retitle(self.timeline.title)
        self.feed(data)
        self.hold_first()

    def hold_first(self) -> None:
        """Until there is more than what is there now, listeners start with its first byte."""
        self._first_until = self.ring.head

    def start_mirror(self, description: SourceDescription, started_at: int) -> None:
        """Starts a source on another node, which began at `started_at`, at the head or before. Its units and marks come
        through `take`.
        """
        self._start(description, started_at)
        self._title_source = description

    def _start(self, description: SourceDescription, started_at: int) -> None:
        program, before = Program(self.name, description, self.settings.stream_name), self._program
        can_follow = program.can_follow(before)
        if not can_follow:
            if len(self.fanout):
                log.info(
                    "mount %s: the new source sends %s in place of %s: %d listeners are disconnected, as their players "
                    "cannot go on; those that connect again hear it",
                    *(self.name, description.format_name, before.description.format_name, len(self.fanout)),
                )
            self.fanout.drop_all(Reason.OTHER_FORMAT)
        if not can_follow or program.family != "generic":
            # A new listener's decoder could not follow from the old source to this one: its burst does not reach back.
            self.floor = self.ring.head
        if self.ring.head:
            self.timeline.add_splice(self.ring.head)
        # The codec header of the last source is of no use to listeners that start with the new one.
        self.timeline.add_header(self.ring.head, b"")
        before.close_dump()
        self._program, self._described = program, description
        # A source of another node, or one that stood by, has been connected for some time already.
        self._source_since = description.begun or self._clock() - max(0.0, time.time() - description.started)
        self._begun = started_at
        self.sources += 1
        self._move(MountEvent.SOURCE_STARTED)
        self.journal.add(Started(started_at, description))
        self.last_audio = self._clock()
        self._events.new_audio.emit(self._new_audio)

    def start_title(self, description: SourceDescription, stream: StandbyStream | None) -> None:
        """Sets the title to that of the new source, or to none."""
        before, self._title_source, self._described = self._title_source, description, description
        # An encoder that connects again keeps the title it had.
        if stream is None and before is not None and before.is_same_encoder(description):
            return
        tags, head = stream.tags if stream is not None else None, self.ring.head
        if tags is not None:
            self._add_title(tags._replace(offset=head))
        elif self.timeline.title is not None:
            self._add_title(Tags(head, "", ""))

    def restart_at(self, offset: int) -> None:
        """Discards all audio and continues at `offset`. The mount must have no listeners (`relocation.py` takes them
        out and puts them back).
        """
        assert not len(self.fanout), f"{self.name} has listeners"
        self.restarts += 1
        self.ring.restart(offset)
        self._told |= self.timeline.songs()
        self.timeline.clear()
        self.journal.clear()
        self.floor = offset

    def end(self) -> None:
        """Ends the source. The listeners stay until `close`."""
        self.take(*self._program.end())
        self._move(MountEvent.SOURCE_ENDED)
        self._events.new_audio.emit(self._new_audio)

    def resume(self) -> None:
        """Brings back the source that ended last, of which nothing was missed."""
        self._move(MountEvent.SOURCE_STARTED)
        self._events.new_audio.emit(self._new_audio)

    def to_standby(self) -> StandbyStream:
        """Returns the present source's stream, with its title. The caller feeds it from now on."""
        self._title_source, head = None, self.ring.head
        return self._program.to_standby(head, self.timeline.header_at(head), self.timeline.tags_at(head))

    def close(self, reason: Reason = Reason.SOURCE_GONE) -> None:
        """Ends the mount. Its listeners are dropped for `reason` once they have the rest of the audio."""
        self._move(MountEvent.GRACE_OVER)
        self.end_reason = reason
        self.fanout.end(reason)
        self._events.new_audio.emit(self._new_audio)

    def free(self) -> None:
        """Gives up the audio and the marks, when the fan-out's loop is over. By name: mount and fan-out refer to each
        other, and megabytes must not wait for the cyclic collector.
        """
        self.ring.free()
        self.timeline.clear()
        self.journal.clear()
        self._icy.clear()
        self.fanout.free(partial(_tell_of_departure, self._events, self.name))

    def feed(self, data: bytes) -> None:
        """Takes bytes from the source. Raises FormatError."""
        self.bytes_read += len(data)
        out, marks = self._program.feed(data)
        self.bytes_dropped += self._program.take_dropped()
        self.take(out, marks)

    def take(self, out: bytes, marks: Sequence[Mark]) -> None:
        """Appends whole units and the marks that were found in them."""
        if not out and not marks:
            return
        if out:
            self.last_audio = self._clock()
        make_room(self.ring, since_join(self.ring, self.timeline, self._begun), len(out))
        self.ring.append(out)
        for mark in marks:
            self._mark(mark)
        self.timeline.trim(self.ring.oldest)
        self.journal.trim(self.ring.oldest)
        self.fanout.wake()
        self._events.new_audio.emit(self._new_audio)

    def set_title(self, artist: str, title: str, url: str = "") -> bool:
        """Sets what plays from the head on. Nothing, within `CLEAR_S` of a title, is ignored. Returns True."""
        is_recent = self._clock() - self._titled_at < CLEAR_S
        if clean_song(artist, title).text or not is_recent:
            self._add_title(Tags(self.ring.head, artist, title, url))
            self._program.retitle(self.timeline.title)
            self._events.new_audio.emit(self._new_audio)
        return True

    def metaint(self) -> int:
        """Returns the bytes of audio between two title blocks for listeners that ask for titles; 0 if the stream
        carries none.
        """
        return self.settings.mp3_metadata_interval if self.family == "generic" else 0

    def place(self, metaint: int) -> Placement:
        """Returns where a new listener starts."""
        first = self.first_place()
        return place(self.ring, self.timeline, self.settings.burst_size, metaint, self.bitrate, self.floor, first)

    def first_place(self) -> int | None:
        """Returns the first byte of the source, as long as listeners start there."""
        return begun_at(self.ring, self.timeline, self.floor, self._begun, self._first_until)

    def join(
        self, id: int, transport: Transport, identity: Identity, head: bytes, metaint: int, now: float
    ) -> Listener:
        """Adds a listener, whose socket the fan-out owns from now on. `head` is its response head."""
        placement = self.place(metaint)
        view = self.view(metaint, placement.phase)
        first_title_at = placement.position + metaint if metaint else -1
        listener = Listener(
            id, transport, identity, view, placement.position, head + placement.header, first_title_at, now
        )
        self.enter(listener)
        return listener

    def enter(self, listener: Listener) -> None:
        """Takes a new listener over, and counts it."""
        self.listener_connections += 1
        listeners = len(self.fanout) + 1
        self.listener_peak = max(self.listener_peak, listeners)
        # Before the first write: if that fails, the listener leaves.
        self._events.listener_joined.emit(ListenerJoined(self.name, listener, listeners))
        self.fanout.join(listener)

    def count_anew(self, counts: Collection[str]) -> None:
        """Has some of what is shown counted anew: "peak", "read", "sent". What was counted stays in other totals."""
        if "peak" in counts:
            self.listener_peak = len(self.fanout)
        if "read" in counts:
            self.read_before = self.bytes_read
        if "sent" in counts:
            self.sent_before = self.fanout.bytes_sent

    def allowed_lag(self) -> int:
        """Returns how many bytes a listener may be behind; never less than the burst that new listeners get."""
        queue = self.settings.queue_size.in_bytes((self._program.bitrate or FALLBACK_BITRATE) / 8)
        return max(queue, 2 * self._burst_bytes()) + since_join(self.ring, self.timeline, self._begun)

    def _burst_bytes(self) -> int:
        return self.settings.burst_size.in_bytes((self._program.bitrate or FALLBACK_BITRATE) / 8)

    def _move(self, event: MountEvent) -> None:
        state = LIFE[self.state][event]
        log.debug("= mount %s: %s, %s", self.name, event.value, state.value)
        before, self.state = self.state, state
        if state is not before:
            self._events.mount_state_changed.emit(MountStateChanged(self.name, state))

    def _mark(self, mark: Mark) -> None:
        match mark:
            case Join(offset, time_s):
                self.timeline.add_join(offset, time_s)
            case Header(offset, data):
                self.timeline.add_header(offset, data)
                self.journal.add(mark)
            case Tags():
                self._add_title(mark)
            case Info():
                self.journal.add(mark)
                self._program.note(mark)
                self._size_ring()

    def _add_title(self, tags: Tags) -> None:
        """Begins a song, whatever it came by, made clean. Mirrors get it as it is here."""
        song, latest = clean_song(tags.artist, tags.title, tags.url), self.timeline.title
        if song.text:
            self._titled_at = self._clock()
        # No title is what listeners have already, unless they come from other offsets.
        is_first_and_empty = latest is None and not (song.text or song.url or self.restarts)
        if is_first_and_empty or (latest and (latest.artist, latest.title, latest.url) == song):
            return
        new = Title(*song, title_block(song.text, song.url, self.settings.charset or "UTF-8"))
        self.timeline.add_title(tags.offset, new)
        self.journal.add(Tags(tags.offset, *song))
        if song not in self._told:
            self._told = frozenset()
            self._events.title_changed.emit(TitleChanged(self.name, new, len(self.fanout)))

    def view(self, metaint: int, phase: int) -> View:
        """Returns the byte stream that a listener gets; without titles if `metaint` is 0."""
        if not metaint:
            return self._raw
        key = (metaint, phase)
        if key not in self._icy:
            self._icy[key] = IcyView(self.ring, self.timeline, metaint, phase)
        return self._icy[key]

    def _listener_left(self, listener: Listener, reason: Reason) -> None:
        self.slow_listeners += reason is Reason.SLOW
        _tell_of_departure(self._events, self.name, listener, reason)

    def _size_ring(self) -> None:
        self.ring.grow(usual_size(self.allowed_lag(), self._program.bitrate))


def _tell_of_departure(events: StreamEvents, name: str, listener: Listener, reason: Reason) -> None:
    events.listener_left.emit(ListenerLeft(name, listener, reason))
