"""Loops of a node that look at something now and then do so at the same moments: an idle node wakes once for all."""

import time

import gevent


def wait_for_next(period_s: float) -> float:
    """Waits until the next multiple of `period_s` on the monotonic clock. Returns by how many seconds it came late. May
    switch.
    """
    now = time.monotonic()
    due = now + period_s - now % period_s
    gevent.sleep(due - now)
    return time.monotonic() - due
