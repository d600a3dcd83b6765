"""A line of an included file is a number that knows its file."""

from pycast.config.included_lines import IncludedLine, place_of


def test_it_is_a_number_and_is_shown_with_its_file() -> None:
    line = IncludedLine(3, "mounts/a.xml")
    assert line == 3 and sorted([line, 1]) == [1, 3] and f"closed: line {line}" == "closed: line mounts/a.xml:3"
    assert (place_of("icecast.xml", line), place_of("icecast.xml", 4)) == ("mounts/a.xml:3", "icecast.xml:4")
