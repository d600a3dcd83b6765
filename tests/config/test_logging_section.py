"""The section of logs follows a reload."""

from pycast.config.live import restart_needed
from pycast.config.load import loads


def test_logs_change_without_a_restart() -> None:
    changed = loads('[logging]\naccess_log = "/a"\nlogsize = "1M"\nlogarchive = true\nformat = "json"\n', {}, "f")
    assert restart_needed(loads("", {}, "f"), changed) == []
