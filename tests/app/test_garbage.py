"""All objects are looked through for garbage seldom, because the loop stands still meanwhile."""

import subprocess
import sys

# In a process of its own: the settings of the collector are the process's.
SCRIPT = """
import gc, weakref
import gevent
from pycast.app import garbage

class Ring:
    def __init__(self):
        self.me = self

def full():
    return gc.get_stats()[2]["collections"]

def grow():
    return [[number] for number in range(500_000)]

gc.collect()
before = full()
kept = grow()
by_python = full() - before

garbage.FULL_EVERY_S = 0.2
gevent.spawn(garbage.collect_seldom)
gevent.sleep(0)
before = full()
kept += grow()
meanwhile = full() - before

old = Ring()
gc.collect(1)  # it is old now
gone = weakref.ref(old)
del old
gc.collect(1)
was_there = gone() is not None
gevent.sleep(0.3)
print(by_python > 0, meanwhile, was_there, gone() is None)
"""


def test_all_objects_are_looked_through_when_we_say_so_and_garbage_is_freed_then() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["True", "0", "True", "True"], done.stderr
