"""Loops of a node that look at something now and then do so at the same moments: an idle node wakes once for all."""

import time

import gevent


def wait_for_next(period_s: float) -> None:
    """Waits until the next multiple of `period_s` on the monotonic clock. May switch."""
    gevent.sleep(period_s - time.monotonic() % period_s)
