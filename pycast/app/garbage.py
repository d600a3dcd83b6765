"""When Python looks for garbage that refers to itself, which counting references does not free.

Nearly nothing here does: sockets, mounts and listeners are let go by name. Still Python looks through all objects each
time their number has grown by a quarter, and as often under many short requests. That takes 25 to 60 ms with 2,000
listeners, in which the loop stands still, and found nothing in minutes of such load. So all objects are looked through
once in `FULL_EVERY_S` only; the young ones, where garbage would be new, as often as Python likes.
"""

import gc
import logging
import time

import gevent

log = logging.getLogger(__name__)

FULL_EVERY_S = 600.0

# Collections of the middle generation between two full ones that Python would begin itself: none that comes.
_NEVER = 1 << 30


def collect_seldom() -> None:
    """Puts off full collections, then runs one each `FULL_EVERY_S`. Does not return. Switches."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    while True:
        gevent.sleep(FULL_EVERY_S)
        began = time.monotonic()
        found = gc.collect()
        log.debug("%d objects that referred to themselves were freed in %.3f s", found, time.monotonic() - began)
