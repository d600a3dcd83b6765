"""The mount's buffer: one memory mapping, addressed by absolute offset.

An offset counts bytes since the mount's first byte and never goes back. The ring holds `oldest <= offset < head`;
appending moves `head` and, once the mapping is full, `oldest`. Audio is stored here once and nowhere else: readers hold
a position and get slices of this memory. The ring knows nothing of listeners, formats or time.

A slice is valid until `capacity` more bytes are appended or the ring grows. Code that keeps one across a switch to
another greenlet has to stay within that (the fan-out drops a listener long before it falls that far behind).

Rejected: a list of chunks (a burst then is hundreds of buffers in a `sendmsg`, and a position needs a search).
"""

import mmap

PAGE = mmap.PAGESIZE


class Ring:
    """The last bytes of a stream: `append` adds some, `slices` and `read` return them by absolute offset."""

    def __init__(self, capacity: int) -> None:
        self._view, self._capacity = _allocate(capacity)
        self.head = 0
        self.oldest = 0

    @property
    def capacity(self) -> int:
        """Bytes the ring can hold; a multiple of the page size."""
        return self._capacity

    def append(self, data: bytes) -> None:
        """Puts `data` at the head. If it is longer than `capacity`, only its end is kept."""
        if len(data) > self._capacity:
            self.head += len(data) - self._capacity
            data = data[-self._capacity :]
        index = self.head % self._capacity
        room = self._capacity - index
        if len(data) <= room:
            self._view[index : index + len(data)] = data
        else:
            self._view[index:] = data[:room]
            self._view[: len(data) - room] = data[room:]
        self.head += len(data)
        self.oldest = max(self.oldest, self.head - self._capacity)

    def restart(self, offset: int) -> None:
        """Discards all bytes and continues at `offset`. Slices returned before are stale."""
        self.head = self.oldest = offset

    def slices(self, start: int, stop: int) -> list[memoryview]:
        """Returns the bytes from `start` to `stop` as zero, one or two views of the ring's own memory."""
        assert self.oldest <= start <= stop <= self.head, (self.oldest, start, stop, self.head)
        if start == stop:
            return []
        first, last = start % self._capacity, stop % self._capacity
        if first < last:
            return [self._view[first:last]]
        if last == 0:
            return [self._view[first:]]
        return [self._view[first:], self._view[:last]]

    def read(self, start: int, stop: int) -> bytes:
        """Returns a copy of the bytes from `start` to `stop`."""
        return b"".join(self.slices(start, stop))

    def grow(self, capacity: int) -> None:
        """Makes room for at least `capacity` bytes and keeps what the ring holds. Slices returned before are stale."""
        if capacity <= self._capacity:
            return
        kept = self.read(self.oldest, self.head)
        self._view, self._capacity = _allocate(capacity)
        self.restart(self.oldest)
        self.append(kept)

    def free(self) -> None:
        """Gives the memory back and discards all bytes. A slice that is still in use keeps it until it is gone."""
        self._view, self._capacity = memoryview(bytearray(1)), 1
        self.restart(self.head)


def _allocate(capacity: int) -> tuple[memoryview, int]:
    # Whole pages, and no page costs memory before audio has been written to it. The mapping goes with its last view.
    size = -(-max(capacity, 1) // PAGE) * PAGE
    return memoryview(mmap.mmap(-1, size)), size
