"""A title belongs to its source: it goes where the source goes, and is not shown as that of another one."""

from pycast.formats.marks import Tags
from pycast.http.icy import IcyReader, IcyTitle
from pycast.stream.mount import Mount
from pycast.stream.source import SourceDescription
from tests.stream.memory import MemoryTransport
from tests.stream.test_mount import SETTINGS, description, listen, new_mount, new_mount_with_events

ONE, OTHER = description(ice_name="One"), description(ice_name="Other")
METAINT = 100


def title_of(mount: Mount) -> str | None:
    return mount.timeline.title.text if mount.timeline.title else None


def with_title(first: SourceDescription = ONE) -> Mount:
    mount, _ = new_mount(SETTINGS.replace(mp3_metadata_interval=METAINT))
    mount.start(first)
    mount.set_title("Artist", "first", "http://x/")
    mount.feed(b"a" * 150)
    return mount


def titles_received(transport: MemoryTransport) -> list[tuple[int, str]]:
    """Returns each title with the number of audio bytes before it."""
    audio, titles = 0, []
    for event in IcyReader(METAINT).feed(bytes(transport.got)):
        if isinstance(event, IcyTitle):
            titles.append((audio, event.text))
        else:
            audio += len(event)
    return titles


def test_a_source_that_has_set_no_title_has_none() -> None:
    mount = with_title()
    transport = listen(mount, METAINT)
    mount.end()
    assert title_of(mount) == "Artist - first"  # until another one begins
    mount.start(OTHER)
    mount.feed(b"b" * 150)
    assert title_of(mount) == ""
    mount.set_title("", "second")
    mount.feed(b"c" * 150)
    mount.fanout._pass()
    assert [title for _, title in titles_received(transport)] == ["Artist - first", "", "second"]


def test_the_end_of_a_title_is_announced_once_and_only_if_there_was_one() -> None:
    mount, _, events = new_mount_with_events()
    received: list[str] = []
    events.title_changed.subscribe(lambda event: received.append(event.title.text))
    mount.start(ONE)
    mount.end()
    mount.start(OTHER)
    mount.set_title("", "title")
    for source in (ONE, OTHER, ONE):
        mount.end()
        mount.start(source)
    assert received == ["title", ""]


def test_an_encoder_that_connects_again_keeps_its_title() -> None:
    mount = with_title()
    for started in (50.0, 60.0):
        mount.end()
        mount.start(ONE._replace(started=started))
    assert title_of(mount) == "Artist - first"


def test_a_source_off_the_air_takes_its_title_along_and_brings_it_back() -> None:
    mount = with_title()
    standby = mount.to_standby()
    mount.end()
    mount.start(OTHER)
    assert title_of(mount) == ""
    mount.set_title("", "other's")
    mount.end()
    mount.start(ONE, standby)
    assert title_of(mount) == "Artist - first"
    assert mount.timeline.title is not None and mount.timeline.title.url == "http://x/"


def test_a_second_source_of_the_same_encoder_does_not_get_the_title_of_the_first_that_stands_by() -> None:
    mount = with_title()
    mount.to_standby()
    mount.end()
    mount.start(ONE)
    assert title_of(mount) == ""


def test_the_title_of_a_source_that_stood_by_is_the_last_it_set() -> None:
    mount = with_title()
    standby = mount.to_standby()
    mount.end()
    mount.start(OTHER)
    assert standby.set_title("", "meanwhile")
    mount.end()
    mount.start(ONE, standby)
    assert title_of(mount) == "meanwhile"


def test_a_title_that_is_too_long_does_not_leave_that_of_the_source_before() -> None:
    mount = with_title()
    standby = mount.to_standby()
    standby.set_title("", "x" * 5000)
    mount.set_title("", "other's")
    mount.end()
    mount.start(ONE, standby)
    assert title_of(mount) == "x" * 4064


def test_the_end_of_a_title_reaches_mirrors_in_order() -> None:
    mount = with_title()
    mount.end()
    number = mount.journal.next
    mount.start(OTHER)
    started, over = [event for _, event in mount.journal.since(number, 0)]
    assert (type(started).__name__, over) == ("Started", Tags(150, "", ""))


def test_a_mirror_shows_the_title_until_its_origin_ends_it() -> None:
    mount, _ = new_mount()
    mount.start_mirror(ONE, 0)
    mount.take(b"audio", [Tags(0, "", "title")])
    mount.start_mirror(OTHER, 5)
    assert title_of(mount) == "title"
    mount.take(b"", [Tags(5, "", "")])
    assert title_of(mount) == ""
