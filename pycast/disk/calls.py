"""Calls that can block for as long as a disk stalls, made in native threads. Only the greenlet that asks waits.

Every listener of a node is served by one thread. A file system that is frozen, a dead NFS server or a pipe that nobody
reads would silence all of them. So no such call is made in that thread once the node serves; a test looks for them.

The thread of a call that is never answered cannot be ended. There are `MOST_THREADS`, so a part that calls again and
again must not do so while its last call is unanswered.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeAlias, TypeVar, cast

import gevent
from gevent import get_hub
from gevent.event import AsyncResult

from pycast.errors import ExternalError

if TYPE_CHECKING:
    from gevent.threadpool import ThreadPool

MOST_THREADS = 8

# A disk that takes longer for one small file is as good as gone.
PATIENCE_S = 5.0

ResultT = TypeVar("ResultT")
ArgumentsT = ParamSpec("ArgumentsT")

_Answer: TypeAlias = tuple[ResultT | None, Exception | None]
"""What a call returned, or what it raised."""


class DiskStalled(ExternalError):
    """A call that was not answered in time. It may still be carried out, whenever the disk goes on."""


class _Threads:
    """The threads of this process, made at the first call."""

    def __init__(self) -> None:
        self._pool: ThreadPool | None = None
        self.unanswered = 0
        """How many calls are not answered yet."""

    def spawn(self, call: Callable[[], ResultT]) -> "AsyncResult[_Answer[ResultT]]":
        """Makes the call in a thread. Waits for a free one."""
        if self._pool is None or self._pool.hub is not get_hub():
            from gevent.threadpool import ThreadPool

            self._pool, self.unanswered = ThreadPool(MOST_THREADS), 0
        self.unanswered += 1
        result = self._pool.spawn(_answer, call)
        result.rawlink(self._on_answer)
        return result

    def _on_answer(self, _: object) -> None:
        self.unanswered -= 1


_threads = _Threads()


def off_hub(call: Callable[ArgumentsT, ResultT], *args: ArgumentsT.args, **kwargs: ArgumentsT.kwargs) -> ResultT:
    """Returns `call(*args)`, made in a thread, or raises what it raises. Raises DiskStalled after `PATIENCE_S`. May
    switch.
    """
    with gevent.Timeout(PATIENCE_S, DiskStalled(f"the disk does not answer within {PATIENCE_S:g} s")):
        answer = _threads.spawn(partial(call, *args, **kwargs)).get()
    return _value(answer)


def begin_off_hub(call: Callable[[], ResultT], done: Callable[[ResultT], None]) -> bool:
    """Begins `call()` in a thread. `done` gets what it returns, in the loop, and must not switch; `call` must not
    raise. Returns whether it was begun: not if all threads wait for disks. Never switches.
    """
    if _threads.unanswered >= MOST_THREADS:
        return False
    _threads.spawn(call).rawlink(lambda result: done(_value(result.get())))
    return True


def _answer(call: Callable[[], ResultT]) -> "_Answer[ResultT]":
    # gevent would print what a call raises.
    try:
        return call(), None
    except Exception as error:
        return None, error


def _value(answer: "_Answer[ResultT] | None") -> ResultT:
    assert answer is not None
    value, error = answer
    if error is not None:
        raise error
    return cast(ResultT, value)
