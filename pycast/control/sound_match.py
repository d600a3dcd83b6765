"""Whether a player that hears one stream can go on with another one.

The format tells most of it. In Ogg the codecs have to be the same, too. A player of WAV takes the header at its
beginning only, so all samples after it have to be of its kind, or they are noise. The one invariant: what is not known
of a stream keeps nobody from it.
"""

from pycast.formats.marks import HEADER_ONCE
from pycast.stream.mount import Mount


def difference(mount: Mount, other: Mount) -> tuple[str, str] | None:
    """Returns what the two streams are, in words, if a player that began with that of `mount` cannot play the other
    one after it; None if it can.
    """
    if other.family != mount.family:
        return mount.description.format_name, other.description.format_name
    if mount.family == "ogg":
        return _codecs(mount, other)
    return _samples(mount, other) if mount.family == HEADER_ONCE else None


def is_noise_after(mount: Mount, other: Mount) -> bool:
    """Whether the other stream would be noise to a player that began with that of `mount`."""
    return mount.family == other.family == HEADER_ONCE and _samples(mount, other) is not None


def _codecs(mount: Mount, other: Mount) -> tuple[str, str] | None:
    from pycast.formats.ogg_codecs import is_same_sound  # not at the start of the server

    one, two = (each.all_stats().get("subtype", "") for each in (mount, other))
    return None if is_same_sound(one, two) else (one, two)


def _samples(mount: Mount, other: Mount) -> tuple[str, str] | None:
    from pycast.formats.wav import sample_kind  # not at the start of the server

    one, two = (sample_kind(each.timeline.header_at(each.ring.head)) for each in (mount, other))
    return None if one is None or two is None or one == two else (str(one), str(two))
