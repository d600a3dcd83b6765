"""Views against an ICY reader that knows nothing of them."""

from hypothesis import given
from hypothesis import strategies as st

from pycast.http.icy import IcyReader, IcyTitle, title_block
from pycast.stream.ring import Ring
from pycast.stream.timeline import Timeline, Title
from pycast.stream.views import IcyView, RawView


def title(text: str) -> Title:
    block = title_block(text)
    assert block
    return Title("", text, "", block)


def filled(size: int) -> Ring:
    ring = Ring(1 << 16)
    ring.append(bytes(index % 251 for index in range(size)))
    return ring


def read_icy(metaint: int, data: bytes) -> tuple[bytes, list[tuple[int, str]]]:
    """Returns the audio, and each title with the number of audio bytes before it."""
    audio, titles = b"", []
    for event in IcyReader(metaint).feed(data):
        if isinstance(event, IcyTitle):
            titles.append((len(audio), event.text))
        else:
            audio += event
    return audio, titles


def test_the_raw_view_is_the_ring() -> None:
    ring = filled(5000)
    assert b"".join(RawView(ring).pieces(100, 4000)) == ring.read(100, 4000)


def test_blocks_stand_on_the_grid_of_the_phase() -> None:
    ring, timeline = filled(1000), Timeline()
    timeline.add_title(0, title("song"))
    data = b"".join(IcyView(ring, timeline, 100, 30).pieces(30, 1000, first_title_at=130))
    assert read_icy(100, data) == (ring.read(30, 1000), [(100, "song")])


def test_a_change_appears_once_and_at_the_next_block() -> None:
    ring, timeline = filled(1000), Timeline()
    timeline.add_title(0, title("one"))
    timeline.add_title(500, title("two"))
    data = b"".join(IcyView(ring, timeline, 100, 0).pieces(0, 1000, first_title_at=100))
    assert read_icy(100, data)[1] == [(100, "one"), (600, "two")]


def test_a_stream_without_titles_begins_with_the_empty_title() -> None:
    ring = filled(400)
    data = b"".join(IcyView(ring, Timeline(), 100, 0).pieces(0, 400, first_title_at=100))
    assert data[100:117] == b"\x01StreamTitle='';\x00"
    assert read_icy(100, data)[0] == ring.read(0, 400)


@given(
    st.integers(1, 300),
    st.integers(0, 2000),
    st.lists(st.integers(0, 400), max_size=12),
    st.lists(st.tuples(st.integers(0, 3000), st.text("abc", min_size=1, max_size=20)), max_size=6),
)
def test_any_cuts_give_the_same_stream(
    metaint: int, start: int, cuts: list[int], titles: list[tuple[int, str]]
) -> None:
    ring, timeline = filled(3000), Timeline()
    for offset, text in sorted(titles, key=lambda pair: pair[0]):
        timeline.add_title(offset, title(text))
    view = IcyView(ring, timeline, metaint, start % metaint)
    whole = b"".join(view.pieces(start, 3000, first_title_at=start + metaint))
    pieced, at = b"", start
    for cut in [*cuts, 3000]:
        stop = min(at + cut, 3000)
        pieced += b"".join(view.pieces(at, stop, first_title_at=start + metaint))
        at = stop
    assert pieced == whole
    assert read_icy(metaint, whole)[0] == ring.read(start, 3000)
