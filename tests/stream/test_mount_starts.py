"""Where listeners of a real stream start: at its first byte, at a tag or at a frame, never inside one of them."""

import pytest

from pycast.config.load import loads
from pycast.config.units import Size
from pycast.formats.content_types import UNKNOWN
from pycast.formats.detect import Detector
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.stream.events import StreamEvents
from pycast.stream.mount import Mount
from pycast.stream.pacer import Pacer
from pycast.stream.source import SourceDescription
from tests.formats.feeding import every
from tests.formats.frame_bytes import adts, id3, mpeg

FRAMES = {"audio/mpeg": mpeg(), "audio/aac": adts(400)}
TAG = id3(150_000)
TAGS = {"small": [id3(100)], "150 kB": [TAG], "2 MB": [id3(2_000_000)], "several": [TAG, id3(10), TAG]}
BURSTS = [0, 4000, 65_536, 400_000, 4_000_000]


def begin(content_type: str, burst: int) -> Mount:
    settings = loads("", {}, "test").for_mount("/x").replace(burst_size=Size(bytes=burst))
    description = SourceDescription(source_info(Headers()), content_type, (), "127.0.0.1", 0.0, UNKNOWN)
    return Mount("/x", settings, description, Pacer(0.5, lambda: 0.0), StreamEvents(), lambda: 0.0)


def starts_of_units(units: list[bytes]) -> set[int]:
    """Returns where each unit begins, and the end of all."""
    starts = [0]
    for unit in units:
        starts.append(starts[-1] + len(unit))
    return set(starts)


@pytest.mark.parametrize("burst", BURSTS)
@pytest.mark.parametrize("where", ["at the start", "between songs"])
@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("content_type", FRAMES)
def test_nobody_starts_inside_a_tag(content_type: str, tags: str, where: str, burst: int) -> None:
    song = [FRAMES[content_type]] * 100
    units = [*TAGS[tags], *song] if where == "at the start" else [*song, *TAGS[tags], *song]
    starts, mount, detector, left_out = starts_of_units(units), begin(content_type, burst), Detector(content_type), -1
    checked = 0
    for piece in every(b"".join(units), 7000):
        if left_out >= 0:
            mount.feed(piece)
        elif (found := detector.feed(piece)) is not None:
            left_out = found.left_out
            mount.start(mount.description._replace(content_type=found.content_type, format=found.format))
            mount.feed_first(found.data)
        if left_out >= 0:
            places = [mount.place(metaint).position for metaint in (0, 16_000)]
            assert {left_out + place for place in places} <= starts
            assert all(mount.ring.head - place <= mount.allowed_lag() for place in places)
            checked += 1
    assert checked > 3 and left_out == (len(TAGS[tags][0]) if (tags, where) == ("2 MB", "at the start") else 0)
