"""Tests of pycast.config.host_sections."""

from pycast.config.live import restart_needed
from pycast.config.load import loads


def test_user_and_pidfile_are_for_the_start_and_the_folder_of_files_is_not() -> None:
    changed = loads('[paths]\npidfile = "/p"\nwebroot = "/w"\n[security]\nuser = "u"\ngroup = "g"\n', {}, "f")
    assert restart_needed(loads("", {}, "f"), changed) == ["paths.pidfile", "security.user", "security.group"]
