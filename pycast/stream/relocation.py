"""Moves connected listeners to other audio: another mount, or the same one after its offsets jumped.

A listener gets the rest of its present unit (frame, page, cluster), then continues where the other audio is now. If it
goes to another mount and has got all up to the last pass, it gets what has come since, too: on a crowded node that is
up to a second, and a player that loses it with each move has nothing to play after some of them. Its player must not
notice more than a splice. An ICY player counts bytes to the next title block, so the listener keeps its place between
two blocks, and the first block on the other side carries the title in force there.
"""

from collections.abc import Callable
from typing import NamedTuple

from pycast.formats.marks import HEADER_ONCE
from pycast.stream.fanout import Reason
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.placement import FALLBACK_BITRATE, place_after

_Rests = dict[tuple[object, int, int], tuple[bytes, int]]
"""What listeners get before they go on, and where it ends, by their view and their position."""


class Detached(NamedTuple):
    """A listener between two mounts. `since_block` is how many bytes of audio it has got since its last title block;
    `metaint` is 0 without titles.
    """

    listener: Listener
    metaint: int
    since_block: int


def relocate(
    mount: Mount,
    target: Mount,
    which: Callable[[Listener], bool] = lambda listener: True,
    prepare: Callable[[list[Listener]], None] = lambda moving: None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> list[Listener]:
    """Moves the listeners of `mount` that `which` selects to `target`, which may be the same mount. Returns them.

    Calls `prepare` with them in between, while they belong to no mount; it never switches. First waits for the
    fan-out's pass to end, and may switch until then. Does nothing if `target` is over by then, or the move is no longer
    wanted.
    """
    mount.fanout.wait_until_resting()
    if target.state is MountState.ENDED or not is_wanted():
        return []
    detached = detach(mount, which, to_head=target is not mount)
    moving = [one.listener for one in detached]
    prepare(moving)
    if detached:
        attach(target, detached)
    return moving


def detach(
    mount: Mount, which: Callable[[Listener], bool] = lambda listener: True, *, to_head: bool = False
) -> list[Detached]:
    """Takes listeners out of the mount, each with the rest of its present unit as prefix; `to_head` with all that is
    there, if they have the rest. Only while the fan-out rests (`Fanout.wait_until_resting`). Drops those that are too
    far behind to get that rest.
    """
    listeners = [listener for listener in mount.fanout if which(listener)]
    for listener in listeners:
        if mount.fanout.position_of(listener) < mount.ring.oldest:
            mount.fanout.drop(listener, Reason.SLOW)
    listeners = [listener for listener in listeners if mount.fanout.get(listener.id) is listener]
    mount.fanout.take_out(listeners)
    rests: _Rests = {}
    up_to_date = mount.fanout.pushed if to_head else mount.ring.head + 1
    return [_finish(mount, listener, rests, up_to_date) for listener in listeners]


def attach(mount: Mount, moving: list[Detached]) -> None:
    """Puts listeners into `mount`: at its first byte if it has just begun, else at its head or at the last place where
    a decoder can begin.
    """
    position, header = mount.first_place(), b""
    if position is None:
        last = mount.timeline.last_join() if mount.family != "generic" else None
        position = mount.ring.head if last is None else last
    if mount.family not in ("generic", HEADER_ONCE):
        header = mount.timeline.header_at(position)
    # Most have the same rest before it, and share what becomes of it.
    begun: dict[bytes, bytes] = {}
    for one in moving:
        listener = one.listener
        if listener.intro is not None:  # it gets the rest of that, and then begins here
            mount.fanout.put_in(listener)
            continue
        if header:
            listener.prefix = begun.setdefault(listener.prefix, listener.prefix + header)
        listener.position = position
        listener.view = mount.view(one.metaint, (position - one.since_block) % one.metaint if one.metaint else 0)
        listener.first_title_at = position + one.metaint - one.since_block if one.metaint else -1
        mount.fanout.put_in(listener)
    mount.listener_peak = max(mount.listener_peak, len(mount.fanout))


def skip(mount: Mount, listener: Listener, is_whole: bool = False) -> bool:
    """Has a listener of the mount that is too far behind go on where a new one would begin, after the rest of its
    present unit; `is_whole` if it has that already. Returns False if it cannot have it any more. Never switches.
    """
    stop = listener.position
    if not is_whole:
        if stop < mount.ring.oldest:
            return False
        rests: _Rests = {}
        _finish(mount, listener, rests, mount.ring.head + 1)
        ((_, stop),) = rests.values()
    metaint, phase = listener.view.key
    since_block = (stop - phase) % metaint if metaint else 0
    back = mount.settings.burst_size.in_bytes((mount.bitrate or FALLBACK_BITRATE) / 8)
    go_on(mount, listener, since_block, back, stop)
    return True


def go_on(mount: Mount, listener: Listener, since_block: int, back: int, after: int = 0) -> None:
    """Has a listener that has had other audio go on `back` bytes back, but not before `after`, with the codec header
    unless its format has that once; `since_block` as in `Detached`.
    """
    metaint, floor, first = listener.view.key[0], max(mount.floor, after), mount.first_place()
    if first is not None and first < floor:
        first = None
    start = place_after(mount.ring, mount.timeline, back, metaint, since_block, floor, first)
    if mount.family != HEADER_ONCE:
        listener.prefix += start.header
    listener.position = start.position
    listener.view = mount.view(metaint, start.phase)
    listener.first_title_at = start.position + metaint - since_block if metaint else -1


def _finish(mount: Mount, listener: Listener, rests: _Rests, up_to_date: int) -> Detached:
    """Gives a listener the rest of its present unit as prefix; if it is at `up_to_date`, all that there is.

    `rests` keeps the rests made so far: most listeners are at the same position, and share what is left.
    """
    if listener.intro is not None:
        return Detached(listener, 0, 0)
    # A first title block that has not gone out yet still carries the title in any case.
    start = listener.position
    first_title_at = listener.first_title_at if listener.first_title_at > start else -1
    # The unit ends at the next join point, or at the head if there is none yet.
    key = (listener.view.key, start, first_title_at)
    if key not in rests:
        stop = mount.timeline.first_join(start) if start < up_to_date else None
        stop = mount.ring.head if stop is None else stop
        rests[key] = b"".join(listener.view.pieces(start, stop, first_title_at)), stop
    rest, stop = rests[key]
    listener.prefix += rest
    # The listener's place between two title blocks, once that is sent.
    metaint, phase = listener.view.key
    return Detached(listener, metaint, (stop - phase) % metaint if metaint else 0)
