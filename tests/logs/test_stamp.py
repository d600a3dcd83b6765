"""The time in log lines."""

import time

from pycast.logs.stamp import local_utc_offset, log_time

AT = 1763794805.99  # 2025-11-22 07:00:05 UTC


def test_time_is_written_in_the_zone_given() -> None:
    assert log_time(AT, 0) == "22/Nov/2025:07:00:05 +0000"
    assert log_time(AT, 19800) == "22/Nov/2025:12:30:05 +0530"
    assert log_time(AT, -3 * 3600) == "22/Nov/2025:04:00:05 -0300"


def test_local_offset_is_that_of_the_moment() -> None:
    assert local_utc_offset(AT) == time.localtime(AT).tm_gmtoff
