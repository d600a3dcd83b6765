"""The timeline answers what holds at an offset, and forgets what fell off the ring."""

from pycast.stream.timeline import MOST_HEADER_BYTES, MOST_JOINS, MOST_MARKS, TRIM_BATCH, Timeline, Title


def title(text: str) -> Title:
    return Title("", text, "", text.encode())


def test_joins_are_found_at_or_after_an_offset() -> None:
    timeline = Timeline()
    assert timeline.first_join(0) is None
    assert timeline.last_join() is None
    for offset in (10, 20, 30):
        timeline.add_join(offset, offset / 10)
    assert [timeline.first_join(at) for at in (0, 10, 11, 30, 31)] == [10, 10, 20, 30, None]
    assert timeline.last_join() == 30


def test_a_join_that_is_not_later_than_the_last_is_not_kept() -> None:
    timeline = Timeline()
    timeline.add_join(10, None)
    timeline.add_join(10, None)
    timeline.add_join(5, None)
    assert timeline.first_join(0) == 10
    assert timeline.last_join() == 10


def test_seconds_are_counted_back_in_media_time() -> None:
    timeline = Timeline()
    for second in range(20):
        timeline.add_join(second * 1000, float(second))
    assert timeline.join_before_end(4) == 15_000
    assert timeline.join_before_end(0) == 19_000
    assert timeline.join_before_end(100) == 0


def test_seconds_do_not_reach_behind_a_splice() -> None:
    timeline = Timeline()
    for second in range(10):
        timeline.add_join(second * 1000, float(second))
    timeline.add_splice(10_000)
    for second in range(3):
        timeline.add_join(10_000 + second * 1000, float(second))
    assert timeline.join_before_end(100) == 10_000


def test_a_format_without_time_gives_none() -> None:
    timeline = Timeline()
    assert timeline.join_before_end(4) is None
    timeline.add_join(0, None)
    assert timeline.join_before_end(4) is None


def test_a_title_holds_for_blocks_after_its_offset() -> None:
    timeline = Timeline()
    assert timeline.title_at(10) is None
    timeline.add_title(10, title("one"))
    timeline.add_title(20, title("two"))
    assert timeline.title_at(10) is None
    assert timeline.title_at(11) == (10, title("one"))
    assert timeline.title_at(20) == (10, title("one"))
    assert timeline.title_at(21) == (20, title("two"))
    assert timeline.title == title("two")


def test_two_titles_at_one_offset_leave_the_later() -> None:
    timeline = Timeline()
    timeline.add_title(10, title("one"))
    timeline.add_title(10, title("two"))
    assert timeline.title_at(11) == (10, title("two"))


def test_a_header_holds_from_its_offset_on() -> None:
    timeline = Timeline()
    timeline.add_header(0, b"first")
    timeline.add_header(100, b"second")
    timeline.add_header(100, b"third")
    assert [timeline.header_at(at) for at in (0, 99, 100, 500)] == [b"first", b"first", b"third", b"third"]


def test_trimming_keeps_what_still_holds() -> None:
    timeline = Timeline()
    timeline.add_title(0, title("old"))
    timeline.add_title(50, title("new"))
    timeline.add_header(0, b"h")
    for offset in range(2 * TRIM_BATCH):
        timeline.add_join(offset, None)
    timeline.trim(TRIM_BATCH + 10)
    assert timeline.first_join(0) == TRIM_BATCH + 10
    assert timeline.title_at(TRIM_BATCH + 10) == (50, title("new"))
    assert timeline.header_at(TRIM_BATCH + 10) == b"h"


def test_the_text_of_a_title_is_what_players_show() -> None:
    assert Title("Artist", "Song", "", b"").text == "Artist - Song"
    assert Title("", "Song", "", b"").text == "Song"


def test_tags_that_come_late_hold_from_the_latest_title_on() -> None:
    timeline = Timeline()
    timeline.add_title(20, title("admin"))
    timeline.add_title(10, title("chain"))
    assert timeline.title_at(21) == (20, title("chain"))


def test_joins_of_a_range_come_with_their_times() -> None:
    timeline = Timeline()
    for offset in (10, 20, 30):
        timeline.add_join(offset, offset / 10)
    timeline.add_join(40, None)
    assert timeline.joins(10, 30) == [(10, 1.0), (20, 2.0)]
    assert timeline.joins(11, 20) == []
    ((offset, time_s),) = timeline.joins(31, 100)
    assert offset == 40
    assert time_s != time_s  # NaN: not known


def test_a_cleared_timeline_has_no_marks() -> None:
    timeline = Timeline()
    timeline.add_join(10, 1.0)
    timeline.add_title(10, title("one"))
    timeline.add_header(10, b"h")
    timeline.add_splice(10)
    timeline.clear()
    assert (timeline.last_join(), timeline.title, timeline.header_at(20)) == (None, None, b"")
    timeline.add_join(5, 0.0)
    timeline.add_join(15, 1.0)
    assert timeline.joins(0, 10) == [(5, 0.0)]
    assert timeline.join_before_end(100) == 5  # the splice is gone, too


def test_of_many_titles_the_latest_are_kept() -> None:
    timeline = Timeline()
    for number in range(10 * MOST_MARKS):
        timeline.add_title(number, title(f"{number}"))
    last = 10 * MOST_MARKS - 1
    assert timeline.title_at(last + 1) == (last, title(f"{last}"))
    assert timeline.title_at(last - MOST_MARKS + 2) == (last - MOST_MARKS + 1, title(f"{last - MOST_MARKS + 1}"))
    assert timeline.title_at(last - MOST_MARKS + 1) is None
    assert len(timeline._titles) == len(timeline._title_offsets) == MOST_MARKS
    assert timeline.dropped == 9 * MOST_MARKS


def test_of_many_headers_the_latest_are_kept_and_at_least_one() -> None:
    timeline = Timeline()
    for number in range(10 * MOST_MARKS):
        timeline.add_header(number, b"%d" % number)
    assert timeline.header_at(10 * MOST_MARKS) == b"%d" % (10 * MOST_MARKS - 1)
    assert len(timeline._headers) == MOST_MARKS
    assert timeline.dropped == 9 * MOST_MARKS
    for number in range(20):
        timeline.add_header(20 * MOST_MARKS + number, bytes(1 << 20))
        assert sum(map(len, timeline._headers)) == timeline._header_bytes <= MOST_HEADER_BYTES
    timeline.add_header(30 * MOST_MARKS, bytes(2 * MOST_HEADER_BYTES))
    assert len(timeline._headers) == 1
    timeline.add_header(30 * MOST_MARKS, b"h")
    timeline.add_header(31 * MOST_MARKS, b"head")
    timeline.trim(32 * MOST_MARKS)
    assert (timeline._header_bytes, timeline.header_at(32 * MOST_MARKS)) == (4, b"head")


def test_of_too_many_joins_every_second_one_is_kept_and_the_last() -> None:
    timeline = Timeline()
    for number in range(MOST_JOINS + 1):
        timeline.add_join(number * 10, number / 10)
    joins = timeline.joins(0, MOST_JOINS * 10 + 1)
    assert len(joins) == MOST_JOINS // 2 + 1
    assert timeline.dropped == MOST_JOINS // 2
    assert joins == sorted(joins) and joins[0] == (0, 0.0) and joins[-1] == (MOST_JOINS * 10, MOST_JOINS / 10)
    assert all(time_s == offset / 100 for offset, time_s in joins)
    for number in range(MOST_JOINS + 1, 3 * MOST_JOINS):
        timeline.add_join(number * 10, number / 10)
        assert timeline.last_join() == number * 10
    assert len(timeline.joins(0, 30 * MOST_JOINS)) <= MOST_JOINS


def test_splices_without_audio_between_them_are_one_and_of_many_the_latest_are_kept() -> None:
    timeline = Timeline()
    for _ in range(10):
        timeline.add_splice(5)
    assert timeline._splices == [5]
    for number in range(10 * MOST_MARKS):
        timeline.add_splice(10 + number)
    assert timeline._splices[-1] == 10 * MOST_MARKS + 9 and len(timeline._splices) == MOST_MARKS
    dropped = timeline.dropped
    assert dropped == 9 * MOST_MARKS + 1
    timeline.clear()
    assert timeline.dropped == dropped


def test_marks_that_no_listener_needs_any_more_are_not_counted_as_dropped() -> None:
    timeline = Timeline()
    for number in range(2 * TRIM_BATCH):
        timeline.add_join(number, None)
        timeline.add_title(number, title(f"{number}"))
        timeline.trim(number)
    assert timeline.dropped == 0


def test_seconds_do_not_reach_behind_a_join_of_unknown_time() -> None:
    timeline = Timeline()
    for second in range(5):
        timeline.add_join(second * 10, float(second))
    timeline.add_join(60, None)
    for second in range(6, 9):
        timeline.add_join(second * 100, float(second))
    assert timeline.join_before_end(1) == 700
    assert timeline.join_before_end(100) == 600


def test_seconds_before_the_first_audio_of_a_source_are_those_of_the_one_before() -> None:
    timeline = Timeline()
    for second in range(5):
        timeline.add_join(second * 10, float(second))
    timeline.add_splice(50)
    assert timeline.join_before_end(2) == 40
