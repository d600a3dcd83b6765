"""The local time as Icecast's logs write it: `22/Nov/2025:07:00:05 +0000`.

The renderers take the zone as an argument, so a test can stand in any; `local_utc_offset` is what the running server
passes.
"""

import time
from datetime import datetime, timedelta, timezone
from functools import lru_cache


def log_time(at: float, utc_offset_s: int) -> str:
    """The moment `at` (seconds since the epoch) in a zone that is `utc_offset_s` seconds ahead of UTC."""
    return _log_second(int(at), utc_offset_s)


def local_utc_offset(at: float) -> int:
    """How many seconds the local zone is ahead of UTC at that moment."""
    return time.localtime(at).tm_gmtoff


# When thousands of listeners leave at once, their lines share one second.
@lru_cache(maxsize=4)
def _log_second(at: int, utc_offset_s: int) -> str:
    zone = timezone(timedelta(seconds=utc_offset_s))
    return datetime.fromtimestamp(at, zone).strftime("%d/%b/%Y:%H:%M:%S %z")
